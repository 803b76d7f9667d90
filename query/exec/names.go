package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// ShardNames is what one shard reports about the names of a kind.
type ShardNames struct {
	Shard int
	Infos []query.NameInfo
}

// maxExamples is the most example values of a name.
const maxExamples = 5

// Names describes the names of a kind over all sources, in ascending order.
func Names(ctx context.Context, kind query.NameKind, sources []query.Source) ([]query.NameInfo, error) {
	var parts []*Partial
	for _, s := range Shards(sources) {
		part, err := NamesPartial(ctx, kind, s)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return MergeNames(parts), nil
}

// NamesPartial returns the contribution of one shard to Names.
func NamesPartial(ctx context.Context, kind query.NameKind, s Shard) (*Partial, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	describer, ok := s.Source.(query.Describer)
	if !ok {
		return nil, fmt.Errorf("describe the names of shard %d: its source cannot describe names", s.Number)
	}
	return &Partial{Names: []ShardNames{{s.Number, describer.NameInfo(kind)}}}, nil
}

// MergeNames merges the partials of all shards, in any order. Examples come from the shards with the
// lowest numbers.
func MergeNames(parts []*Partial) []query.NameInfo {
	var shards []ShardNames
	for _, part := range parts {
		shards = append(shards, part.Names...)
	}
	slices.SortFunc(shards, func(a, b ShardNames) int { return cmp.Compare(a.Shard, b.Shard) })
	var merged names
	for _, s := range shards {
		merged.add(s.Infos)
	}
	return merged.sorted()
}

// names are descriptions that are being merged.
type names map[string]*query.NameInfo

// add adds one shard's descriptions. Shards have different profiles, but may share values, so distinct
// values are counted by their hashes. If a shard has too many, the number is unknown.
func (n *names) add(infos []query.NameInfo) {
	if *n == nil {
		*n = names{}
	}
	for _, info := range infos {
		have, ok := (*n)[info.Name]
		if !ok {
			(*n)[info.Name] = &info
			continue
		}
		mergeName(have, &info)
	}
}

func mergeName(have, info *query.NameInfo) {
	have.Hashes = slices.Concat(have.Hashes, info.Hashes)
	slices.Sort(have.Hashes)
	have.Hashes = slices.Compact(have.Hashes)
	if info.Cardinality < 0 || have.Cardinality < 0 {
		have.Cardinality = -1
	} else {
		have.Cardinality = int64(len(have.Hashes))
	}
	examples := slices.Clone(have.Examples)
	for _, v := range info.Examples {
		if len(examples) < maxExamples && !slices.ContainsFunc(examples, func(w tree.Value) bool { return w.Equal(v) }) {
			examples = append(examples, v)
		}
	}
	have.Examples = examples
	switch {
	case have.Count == 0:
		have.FirstSeen, have.LastSeen = info.FirstSeen, info.LastSeen
	case info.Count > 0: // times before 1970 are negative, so 0 cannot mean "none"
		have.FirstSeen, have.LastSeen = min(have.FirstSeen, info.FirstSeen), max(have.LastSeen, info.LastSeen)
	}
	have.Count += info.Count
	have.MemoryBytes += info.MemoryBytes
	have.Overflowed = have.Overflowed || info.Overflowed
	have.Mismatched += info.Mismatched
	if len(info.Properties) > 0 {
		var merged names
		merged.add(have.Properties)
		merged.add(info.Properties)
		have.Properties = merged.sorted()
	}
}

func (n names) sorted() []query.NameInfo {
	all := make([]query.NameInfo, 0, len(n))
	for _, info := range n {
		all = append(all, *info)
	}
	slices.SortFunc(all, func(a, b query.NameInfo) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
