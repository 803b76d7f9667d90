package eval

import (
	"encoding/binary"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// Append appends the part in the form that ReadRankPart reads.
func (p *RankPart) Append(b []byte) []byte {
	b = binary.AppendVarint(b, p.Total)
	b = appendPlaces(b, p.who)
	if p.plain {
		b = append(b, 1)
		for _, n := range p.numbers {
			b = wire.AppendValue(b, tree.Num(n))
		}
		return b
	}
	b = append(b, 0, byte(p.scale))
	b = binary.LittleEndian.AppendUint64(b, p.worst)
	for _, k := range p.keys {
		b = binary.LittleEndian.AppendUint64(b, k)
	}
	return b
}

// ReadRankPart reads a part that Append wrote. Errors are recorded in the reader.
func ReadRankPart(r *wire.Reader) RankPart {
	p := RankPart{Total: r.Varint(), who: readPlaces(r)}
	if p.plain = r.Byte() != 0; p.plain {
		if 3*len(p.who) > r.Len() {
			r.Fail("more numbers than the input has")
			return RankPart{}
		}
		p.numbers = make([]tree.Number, len(p.who))
		for i := range p.numbers {
			p.numbers[i] = readNumber(r)
		}
	} else {
		p.scale, p.worst = int8(r.Byte()), r.Fixed64()
		if p.scale != tree.FloatScale && (p.scale < 0 || p.scale > tree.MaxScale) {
			r.Fail("scale of a rank")
		}
		keys := r.Take(8 * len(p.who))
		p.keys = make([]uint64, len(keys)/8)
		for i := range p.keys {
			p.keys[i] = binary.LittleEndian.Uint64(keys[8*i:])
		}
	}
	if r.Err() != nil || p.Total < int64(len(p.who)) {
		r.Fail("rank")
		return RankPart{}
	}
	return p
}

// Append appends the end in the form that ReadRankEnd reads.
func (e *RankEnd) Append(b []byte) []byte {
	b = appendFlag(b, e.None)
	b = wire.AppendValue(b, tree.Num(e.Value))
	b = appendPlaces(b, e.Who)
	return binary.AppendUvarint(b, uint64(e.Place))
}

// ReadRankEnd reads an end that Append wrote. Errors are recorded in the reader.
func ReadRankEnd(r *wire.Reader) RankEnd {
	e := RankEnd{None: r.Byte() != 0, Value: readNumber(r), Who: readPlaces(r)}
	at := r.Uvarint()
	if e.Place = int(at); !e.None && at >= uint64(len(e.Who)) {
		r.Fail("place of a rank's end")
		return RankEnd{}
	}
	return e
}

// AppendCut appends a cut in the form that ReadCut reads.
func AppendCut(b []byte, c *query.Cut) []byte {
	b = appendFlag(b, c.None)
	b = wire.AppendValue(b, tree.Num(c.Last.Value))
	return wire.AppendString(b, c.Last.ID)
}

// ReadCut reads a cut that AppendCut wrote. Errors are recorded in the reader.
func ReadCut(r *wire.Reader) query.Cut {
	return query.Cut{None: r.Byte() != 0, Last: query.RankKey{Value: readNumber(r), ID: r.String()}}
}

func readNumber(r *wire.Reader) tree.Number {
	v := r.Value()
	if v.Type != tree.NumberType {
		r.Fail("number")
		return tree.Number{}
	}
	return v.Number()
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendPlaces appends profiles as differences, which are small within a chunk.
func appendPlaces(b []byte, who []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(who)))
	last := uint64(0)
	for _, place := range who {
		b = binary.AppendVarint(b, int64(place-last))
		last = place
	}
	return b
}

func readPlaces(r *wire.Reader) []uint64 {
	n := r.Count(1)
	if n == 0 {
		return nil
	}
	who, last := make([]uint64, n), uint64(0)
	for i := range who {
		last += uint64(r.Varint())
		who[i] = last
	}
	return who
}
