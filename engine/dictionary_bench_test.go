package engine

import (
	"testing"

	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// BenchmarkDictionary adds 100,000 ids, finds them, and builds the index of a restored dictionary. It
// reports the time per id.
func BenchmarkDictionary(b *testing.B) {
	const n = 100_000
	texts, hashes := make([]string, n), make([]uint64, n)
	for i := range texts {
		texts[i] = string(naming.AppendPerson(nil, i))
		hashes[i] = xxh3.HashString(texts[i])
	}
	full := func() *dictionary {
		d := newDictionary(tree.StringType)
		for i, text := range texts {
			if _, ok := d.find(text, hashes[i]); !ok {
				d.add(text, hashes[i])
			}
		}
		return d
	}
	perID := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/id")
	}
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			full()
		}
		perID(b)
	})
	b.Run("find", func(b *testing.B) {
		d := full()
		for b.Loop() {
			for i, text := range texts {
				if _, ok := d.find(text, hashes[i]); !ok {
					b.Fatal(text)
				}
			}
		}
		perID(b)
	})
	b.Run("restore", func(b *testing.B) {
		d := full()
		for b.Loop() {
			var index codeIndex
			if index.fill(hashes, func(x, y uint32) bool { return d.text(x) == d.text(y) }) {
				b.Fatal("two values are equal")
			}
		}
		perID(b)
	})
}
