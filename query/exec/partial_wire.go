package exec

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// partialVersion is the first byte of an encoded partial, stateVersion that of an encoded state. Other
// versions are errors.
const (
	partialVersion = 1
	stateVersion   = 1
)

// AppendPartial appends the encoding of a partial to b. Equal partials have equal encodings.
func AppendPartial(b []byte, p *Partial) []byte {
	b = append(b, partialVersion)
	b = binary.AppendUvarint(b, uint64(p.Round))
	for _, n := range []int64{p.Profiles, p.Scanned, p.Members, p.Others} {
		b = binary.AppendVarint(b, n)
	}
	b = appendFlag(b, p.Beyond)
	b = appendEach(b, p.Ranks, func(b []byte, r *eval.RankPart) []byte { return r.Append(b) })
	b = appendEach(b, p.IDs, func(b []byte, ids *[]string) []byte { return appendStrings(b, *ids) })
	b = appendEach(b, p.Groups, appendGroup)
	b = appendCounts(b, p.Counts)
	b = appendEach(b, p.Rows, appendRow)
	b = appendSpenders(b, &p.Spenders)
	b = appendStrings(b, p.Skipped)
	b = appendEach(b, p.Clauses, appendClause)
	b = appendEach(b, p.LeftOut, func(b []byte, n *int64) []byte { return binary.AppendVarint(b, *n) })
	b = appendEach(b, p.Sets, appendMemberSet)
	return appendEach(b, p.Names, appendNames)
}

// ReadPartial decodes what AppendPartial encoded. Other bytes are an error; the memory allocated for
// them is proportional to their number. Texts of the partial refer to data, which must not change.
func ReadPartial(data []byte) (*Partial, error) {
	r := wire.NewReader(data)
	if v := r.Byte(); r.Err() == nil && v != partialVersion {
		return nil, fmt.Errorf("read partial: version %d, want %d", v, partialVersion)
	}
	p := readPartial(r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("read partial: %w", err)
	}
	return p, nil
}

func readPartial(r *wire.Reader) *Partial {
	p := &Partial{Round: int(r.Uint32())}
	for _, n := range []*int64{&p.Profiles, &p.Scanned, &p.Members, &p.Others} {
		*n = r.Varint()
	}
	p.Beyond = r.Byte() != 0
	p.Ranks = readEach(r, 4, eval.ReadRankPart)
	p.IDs = readEach(r, 1, readStrings)
	p.Groups = readEach(r, 2, readGroup)
	p.Counts = readCounts(r)
	p.Rows = readEach(r, 4, readRow)
	p.Spenders = readSpenders(r)
	p.Skipped = readStrings(r)
	p.Clauses = readEach(r, 5, readClause)
	p.LeftOut = readEach(r, 1, (*wire.Reader).Varint)
	p.Sets = readEach(r, 2, readMemberSet)
	p.Names = readEach(r, 2, readNames)
	return p
}

// AppendState appends the encoding of a state to b.
func AppendState(b []byte, s *State) []byte {
	b = append(b, stateVersion)
	b = binary.AppendUvarint(b, uint64(s.Round))
	b = appendEach(b, s.Ends, func(b []byte, e *eval.RankEnd) []byte { return e.Append(b) })
	b = appendEach(b, s.Cuts, eval.AppendCut)
	if s.Stmt == nil {
		return append(b, 0)
	}
	return AppendPartial(append(b, 1), s.Stmt)
}

// ReadState decodes what AppendState encoded, with the guarantees of ReadPartial.
func ReadState(data []byte) (State, error) {
	r := wire.NewReader(data)
	if v := r.Byte(); r.Err() == nil && v != stateVersion {
		return State{}, fmt.Errorf("read state of a statement: version %d, want %d", v, stateVersion)
	}
	s := State{Round: int(r.Uint32()), Ends: readEach(r, 5, eval.ReadRankEnd), Cuts: readEach(r, 5, eval.ReadCut)}
	if r.Byte() != 0 {
		if v := r.Byte(); v != partialVersion {
			r.Fail("version of a partial")
		}
		s.Stmt = readPartial(r)
	}
	if err := r.Done(); err != nil {
		return State{}, fmt.Errorf("read state of a statement: %w", err)
	}
	return s, nil
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendEach[T any](b []byte, all []T, one func([]byte, *T) []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for i := range all {
		b = one(b, &all[i])
	}
	return b
}

// readEach reads what appendEach wrote; each element takes at least size bytes. It grows the slice as it
// reads, because a decoded element may be much larger than its encoding.
func readEach[T any](r *wire.Reader, size int, one func(*wire.Reader) T) (all []T) {
	for range r.Count(size) {
		if r.Err() != nil {
			return nil
		}
		all = append(all, one(r))
	}
	return all
}

func appendStrings(b []byte, all []string) []byte {
	return appendEach(b, all, func(b []byte, s *string) []byte { return wire.AppendString(b, *s) })
}

func readStrings(r *wire.Reader) []string { return readEach(r, 1, (*wire.Reader).String) }

// appendValue is wire.AppendValue extended by the missing value.
func appendValue(b []byte, v *tree.Value) []byte {
	if v.Missing() {
		return append(b, byte(tree.NoType))
	}
	return wire.AppendValue(b, *v)
}

func readValue(r *wire.Reader) tree.Value {
	if r.SkipByte(byte(tree.NoType)) {
		return tree.Value{}
	}
	return r.Value()
}

func appendGroup(b []byte, g *Group) []byte {
	return appendEach(appendEach(b, g.Key, appendValue), g.Cells, appendCell)
}

func readGroup(r *wire.Reader) Group {
	return Group{Key: readEach(r, 1, readValue), Cells: readEach(r, 4, readCell)}
}

func appendCell(b []byte, c *Cell) []byte {
	b = binary.AppendVarint(b, c.N)
	b = binary.AppendVarint(b, c.Sum.Hi)
	b = binary.AppendUvarint(b, c.Sum.Lo)
	if c.More == nil {
		return append(b, 0)
	}
	b = appendFlag(append(b, 1), c.More.Beyond)
	b = appendValue(b, &c.More.Best)
	b = appendEach(b, c.More.All, func(b []byte, n *tree.Number) []byte { return wire.AppendValue(b, tree.Num(*n)) })
	keys := make([]eval.Key, 0, len(c.More.Set))
	for k := range c.More.Set {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareSetKeys)
	return appendEach(b, keys, func(b []byte, k *eval.Key) []byte { return wire.AppendValue(b, k.Value()) })
}

func compareSetKeys(a, b eval.Key) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Scale, b.Scale), cmp.Compare(a.Int, b.Int), cmp.Compare(a.Str, b.Str))
}

func readCell(r *wire.Reader) Cell {
	c := Cell{N: r.Varint(), Sum: tree.Sum{Hi: r.Varint(), Lo: r.Uvarint()}}
	if r.Byte() == 0 {
		return c
	}
	c.More = &Values{Beyond: r.Byte() != 0, Best: readValue(r), All: readEach(r, 3, readNumber)}
	for range r.Count(2) {
		v := r.Value()
		if r.Err() != nil || v.Type == tree.ListType {
			r.Fail("value of a set")
			return Cell{}
		}
		if c.More.Set == nil {
			c.More.Set = map[eval.Key]struct{}{}
		}
		c.More.Set[eval.KeyOf(v)] = struct{}{}
	}
	return c
}

func readNumber(r *wire.Reader) tree.Number {
	v := r.Value()
	if v.Type != tree.NumberType {
		r.Fail("number")
		return tree.Number{}
	}
	return v.Number()
}

func appendCounts(b []byte, c *Counts) []byte {
	if c == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(append(b, 1), uint64(len(c.n)))
	for i, n := range c.n {
		key := keyValues(nil, c.key(i))
		b = binary.AppendVarint(appendEach(b, key, appendValue), n)
	}
	return b
}

func readCounts(r *wire.Reader) *Counts {
	if r.Byte() == 0 {
		return nil
	}
	c := &Counts{}
	for range r.Count(2) {
		for range r.Count(1) {
			v := readValue(r)
			if v.Type == tree.ListType {
				r.Fail("key of a group")
			}
			if r.Err() != nil {
				return nil
			}
			c.text = appendKey(c.text, v)
		}
		c.ends, c.n = append(c.ends, len(c.text)), append(c.n, r.Varint())
	}
	return c
}

func appendRow(b []byte, row *Row) []byte {
	b = wire.AppendString(b, row.ID)
	b = binary.AppendUvarint(b, row.Place)
	return appendEach(appendEach(b, row.Keys, appendValue), row.Values, appendValue)
}

func readRow(r *wire.Reader) Row {
	return Row{ID: r.String(), Place: r.Uvarint(), Keys: readEach(r, 1, readValue), Values: readEach(r, 1, readValue)}
}

func appendSpenders(b []byte, s *Spenders) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.Recency)))
	for _, keys := range [][]uint64{s.Recency, s.Frequency, s.Monetary} {
		for _, k := range keys {
			b = binary.LittleEndian.AppendUint64(b, k)
		}
	}
	return b
}

func readSpenders(r *wire.Reader) (s Spenders) {
	n := r.Count(24)
	if n == 0 {
		return s
	}
	for _, keys := range []*[]uint64{&s.Recency, &s.Frequency, &s.Monetary} {
		*keys = make([]uint64, n)
		for i := range *keys {
			(*keys)[i] = r.Fixed64()
		}
	}
	return s
}

func appendClause(b []byte, c *Clause) []byte {
	for _, n := range []int64{c.In, c.Kept, c.Rows, c.Blocks, c.Nanos} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func readClause(r *wire.Reader) (c Clause) {
	for _, n := range []*int64{&c.In, &c.Kept, &c.Rows, &c.Blocks, &c.Nanos} {
		*n = r.Varint()
	}
	return c
}

func appendMemberSet(b []byte, m *MemberSet) []byte {
	return wire.AppendSet(binary.AppendUvarint(b, m.Place), m.Members)
}

func readMemberSet(r *wire.Reader) MemberSet {
	m := MemberSet{Place: r.Uvarint(), Members: r.Set()}
	if m.Members.IsEmpty() || m.Members.Maximum() >= query.ChunkSize {
		r.Fail("members of a chunk")
	}
	return m
}

func appendNames(b []byte, n *ShardNames) []byte {
	return appendEach(binary.AppendUvarint(b, uint64(n.Shard)), n.Infos, appendName)
}

func readNames(r *wire.Reader) ShardNames {
	return ShardNames{Shard: int(r.Uint32()), Infos: readEach(r, nameBytes, func(r *wire.Reader) query.NameInfo { return readName(r, true) })}
}

// nameBytes is the minimum size of an encoded name.
const nameBytes = 12

func appendName(b []byte, n *query.NameInfo) []byte {
	b = append(wire.AppendString(b, n.Name), byte(n.Type))
	for _, x := range []int64{n.Cardinality, n.Count, n.FirstSeen, n.LastSeen, n.MemoryBytes, n.Mismatched} {
		b = binary.AppendVarint(b, x)
	}
	b = appendFlag(b, n.Overflowed)
	b = appendEach(b, n.Hashes, func(b []byte, h *uint64) []byte { return binary.LittleEndian.AppendUint64(b, *h) })
	b = appendEach(b, n.Examples, appendValue)
	return appendEach(b, n.Properties, appendName)
}

// readName reads a name. Properties do not have properties of their own.
func readName(r *wire.Reader, properties bool) query.NameInfo {
	n := query.NameInfo{Name: r.String(), Type: tree.Type(r.Byte())}
	for _, x := range []*int64{&n.Cardinality, &n.Count, &n.FirstSeen, &n.LastSeen, &n.MemoryBytes, &n.Mismatched} {
		*x = r.Varint()
	}
	n.Overflowed = r.Byte() != 0
	n.Hashes = readEach(r, 8, (*wire.Reader).Fixed64)
	n.Examples = readEach(r, 1, readValue)
	n.Properties = readEach(r, nameBytes, func(r *wire.Reader) query.NameInfo {
		if !properties {
			r.Fail("properties of a property")
			return query.NameInfo{}
		}
		return readName(r, false)
	})
	return n
}
