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

// resolve gives names their ids, defining those the catalog lacks. Messages it cannot take are refused one
// by one; what it leaves out of others is in r.dropped.
func (r *routing) resolve(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) error {
	r.arrange(msgs)
	state := r.node.registry.state.Load()
	var again []int // messages with unknown names
	var names unknownNames
	end := r.node.config.Gate.Turn(ctx)
	for k, i := range r.order {
		if names.add(i, r.resolveOne(state, &msgs[i], k)) {
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
			settle(&r.outcomes[k], withheld)
		}
	}
	r.need = state.Version()
	return nil
}

// resolveOne resolves a message, and notes in its outcome what it loses.
func (r *routing) resolveOne(state *catalog.State, in *engine.Incoming, k int) []engine.Dropped {
	dropped, err := r.resolver.Resolve(state, in, &r.msgs[k])
	if err != nil {
		r.refuse(k, err.Error())
		return nil
	}
	r.outcomes[k].Dropped = dropped
	return dropped
}

// settle says why names are still unknown now that those that could be defined are.
func settle(o *engine.Outcome, withheld map[nameKey]bool) {
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
		o.Dropped = o.Dropped[:1] // its values are not dropped one by one
	}
}

// nameKey says which name it is, whatever its type.
type nameKey struct {
	kind        query.NameKind
	event, name string
}

func keyOf(n catalog.Name) nameKey { return nameKey{n.Kind, n.Event, n.Name} }

// unknownNames are the names of a request that the catalog lacks, each as the first message has it: its value
// gives the name its type.
type unknownNames struct {
	at  map[nameKey]int // index in all
	all []unknownName
}

type unknownName struct {
	catalog.Name
	message int32 // of the request
	place   int   // in the message
}

// add adds the unknown ones of what a message lost; it reports whether there are any.
func (u *unknownNames) add(message int32, dropped []engine.Dropped) (some bool) {
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

// wanted returns the names to define: those the catalog has room for and the sender may bring. withheld are
// those it may not bring.
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
		// The definer may look at the name after we gave up and the messages are somebody else's again.
		name.Event, name.Name = strings.Clone(name.Event), strings.Clone(name.Name)
		wanted = append(wanted, name)
	}
	return wanted, withheld
}
