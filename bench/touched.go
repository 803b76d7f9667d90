package bench

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// bitmapValues is the number of values up to which an attribute is assumed to have a bitmap for each.
const bitmapValues = 64

// Touched returns the bytes that answering a question must read with the engine's current data layout: positions
// of all blocks that overlap the window, times of those that cross its ends, the requested columns, and one
// bit per profile for each requested value of an attribute with few values. It is what an ideal pass reads,
// not what the engine reads. It is 0 for a question with unknown names.
func (m *Muster) Touched(q Question) int64 {
	total := int64(0)
	for _, shard := range m.shards {
		v := shard.View()
		for _, t := range q.Touches {
			for chunk := range v.Chunks() {
				if t.Attribute != "" {
					total += touchedAttribute(v, t, chunk)
				} else {
					total += touchedEvents(v, t, chunk)
				}
			}
		}
		v.Release()
	}
	return total
}

const bitsetBytes = query.ChunkSize / 8

func touchedAttribute(v *engine.View, t Touch, chunk int) int64 {
	id, kind, ok := v.Catalog().Attribute(t.Attribute)
	if !ok {
		return 0
	}
	var bytes int64
	few := kind == tree.StringType && t.Values > 0
	for _, page := range v.Attribute(id, chunk) {
		bytes += vecBytes(&page)
		few = few && page.Dict != nil && page.Dict.Len() <= bitmapValues
	}
	if few {
		return min(bytes, int64(t.Values)*bitsetBytes)
	}
	return bytes
}

func touchedEvents(v *engine.View, t Touch, chunk int) int64 {
	event, ok := v.Catalog().Event(t.Event)
	if !ok {
		return 0
	}
	if t.Ever {
		return bitsetBytes
	}
	from, to := int64(-1<<62), Now().Add(-time.Duration(t.To)*24*time.Hour).UnixMilli()+1
	if t.From > 0 {
		from = Now().Add(-time.Duration(t.From) * 24 * time.Hour).UnixMilli()
	}
	var bytes int64
	for _, b := range v.Series(event, chunk).Blocks {
		if b.Max < from || b.Min >= to {
			continue
		}
		bytes += 2 * int64(b.Rows)
		if t.Times || b.Min < from || b.Max >= to {
			if b.Off != nil {
				bytes += 4 * int64(b.Rows)
			} else {
				bytes += 8 * int64(b.Rows)
			}
		}
		for _, name := range t.Columns {
			if property, _, ok := v.Catalog().Property(event, name); ok {
				if column := b.Col(property); column != nil {
					bytes += vecBytes(column)
				}
			}
		}
	}
	return bytes
}

// vecBytes returns the encoded size of a column.
func vecBytes(v *query.Vec) int64 {
	width := 0
	switch {
	case v.Const:
		return 8
	case v.U8 != nil:
		width = 1
	case v.U16 != nil:
		width = 2
	case v.U32 != nil:
		width = 4
	case v.I64 != nil:
		width = 8
	}
	if v.Scales != nil {
		width++
	}
	return int64(width) * int64(v.Rows)
}

// formatBytes formats a number of bytes for people.
func formatBytes(n int64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", f, units[i])
}
