package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
)

// resolve replaces names by ids and defines the names the catalog lacks. Messages that cannot be
// accepted are refused one by one; what is left out of the others is in the Dropped of their outcomes.
func (r *routing) resolve(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) error {
	r.arrange(msgs)
	state := r.node.registry.state.Load()
	var again []int // messages with unknown names
	var names unknownNames
	end := r.node.config.Gate.Turn(ctx)
	for k, i := range r.order {
		if names.addUnknown(i, r.resolveOne(state, &msgs[i], k)) {
			again = append(again, k)
		}
	}
	end()
	if len(again) > 0 {
		wanted, withheld := names.wanted(state, mayName)
		if len(wanted) > 0 {
			defined, err := r.node.definer.names(ctx, wanted)
			if err != nil {
				return fmt.Errorf("define names: %w", err)
			}
			state = defined
		}
		for _, k := range again {
			if len(wanted) > 0 {
				r.resolveOne(state, &msgs[r.order[k]], k)
			}
			explainUnknown(&r.outcomes[k], withheld)
		}
	}
	r.need = state.Version()
	return nil
}

// resolveOne resolves a message, and records in its outcome what the message loses.
func (r *routing) resolveOne(state *catalog.State, in *engine.Incoming, k int) []engine.Dropped {
	dropped, err := r.resolver.Resolve(state, in, &r.msgs[k])
	if err != nil {
		r.refuse(k, err.Error())
		return nil
	}
	r.outcomes[k].Dropped = dropped
	return dropped
}

// explainUnknown sets the reason for names that are still unknown after the allowed ones have been
// defined.
func explainUnknown(o *engine.Outcome, withheld map[nameKey]bool) {
	for i := range o.Dropped {
		d := &o.Dropped[i]
		if d.Reason != engine.NameUnknown {
			continue
		}
		if d.Reason = engine.NameLimit; withheld[keyOf(d.Name)] {
			d.Reason = engine.NameWithheld
		}
	}
	if len(o.Dropped) > 0 && o.Dropped[0].WholeMessage() {
		o.Dropped = o.Dropped[:1] // do not list the values as well
	}
}

// nameKey identifies a name, whatever its type.
type nameKey struct {
	kind        query.NameKind
	event, name string
}

func keyOf(n catalog.Name) nameKey { return nameKey{n.Kind, n.Event, n.Name} }

// unknownNames are the names of a request that the catalog lacks, each as in the first message that has
// it: the type of its value there becomes the type of the name.
type unknownNames struct {
	at  map[nameKey]int // index in all
	all []unknownName
}

type unknownName struct {
	catalog.Name
	message int32 // index in the request
	place   int   // index in what the message lost
}

// addUnknown adds the unknown names of what a message lost, and reports whether there are any.
func (u *unknownNames) addUnknown(message int32, dropped []engine.Dropped) (some bool) {
	for i := range dropped {
		if dropped[i].Reason != engine.NameUnknown {
			continue
		}
		some = true
		name := unknownName{dropped[i].Name, message, i}
		at, known := u.at[keyOf(name.Name)]
		switch {
		case !known:
			if u.at == nil {
				u.at = map[nameKey]int{}
			}
			u.at[keyOf(name.Name)] = len(u.all)
			u.all = append(u.all, name)
		case message < u.all[at].message:
			u.all[at] = name
		}
	}
	return some
}

// inOrder returns the names in the order of the request.
func (u *unknownNames) inOrder() []catalog.Name {
	slices.SortFunc(u.all, func(a, b unknownName) int {
		return cmp.Or(cmp.Compare(a.message, b.message), cmp.Compare(a.place, b.place))
	})
	names := make([]catalog.Name, len(u.all))
	for i := range u.all {
		names[i] = u.all[i].Name
	}
	return names
}

// wanted returns the names to define: those the catalog has space for and the sender may bring. withheld
// are those the sender may not bring.
func (u *unknownNames) wanted(state *catalog.State, mayName func(catalog.Name) bool) (wanted []catalog.Name, withheld map[nameKey]bool) {
	admitted, _ := state.Admit(catalog.Change{Kind: catalog.DefineNames, Names: u.inOrder()})
	for _, name := range admitted.Names {
		unnamed := name.Kind == query.PropertyName && withheld[nameKey{kind: query.EventName, name: name.Event}]
		if unnamed || mayName != nil && !mayName(name) {
			if withheld == nil {
				withheld = map[nameKey]bool{}
			}
			withheld[keyOf(name)] = true
			continue
		}
		// The definer may read the name after this request has given up and its buffers are reused.
		name.Event, name.Name = strings.Clone(name.Event), strings.Clone(name.Name)
		wanted = append(wanted, name)
	}
	return wanted, withheld
}
