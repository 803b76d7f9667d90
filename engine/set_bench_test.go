package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
)

// BenchmarkSet measures operations on sets of several sizes.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{16, 256, 1000, 3000, 4096, 20_000, query.ChunkSize} {
		rng := rand.New(rand.NewPCG(uint64(n), 3))
		order := rng.Perm(query.ChunkSize)
		e := &epochs{}
		grow := func(order []int) (p *set) {
			for _, pos := range order {
				p, _ = p.add(e, uint16(pos))
			}
			return p
		}
		p := grow(order[:n])
		run := func(name string, do func(i int)) {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					do(i)
				}
			})
		}
		run("has", func(i int) { p.has(uint16(order[i%query.ChunkSize])) })
		run("again", func(i int) { p, _ = p.add(e, uint16(order[i%n])) })
		run("toggle", func(i int) { // out and in again, so that the set stays the same
			p, _ = p.remove(e, uint16(order[i%n]))
			p, _ = p.add(e, uint16(order[i%n]))
		})
		some := order[n/2 : n/2+min(n/2, 200)]
		var ordinals []uint32
		for _, pos := range some {
			ordinals = append(ordinals, uint32(pos))
		}
		slices.Sort(ordinals)
		run("put", func(int) {
			p = p.put(e, ordinals, false)
			p = p.put(e, ordinals, true)
		})
		run("frozen", func(i int) {
			e.freeze()
			p, _ = p.remove(e, uint16(order[i%n]))
			p, _ = p.add(e, uint16(order[i%n]))
			e.release(e.current - 1)
		})
		var cand, out query.Bits
		run("fill", func(int) { p.fill(&out) })
		for _, pos := range order[:query.ChunkSize/2] {
			cand.Set(uint16(pos))
		}
		run("among", func(int) { among(p, &cand, &out) })
		var all query.Bits
		for i := range all {
			all[i] = ^uint64(0)
		}
		run("among-all", func(int) { among(p, &all, &out) })
		run("addto", func(int) { p.holders().AddTo(&out) })
		run("grow", func(int) { grow(order[:n]) })
		ascending := slices.Sorted(slices.Values(order[:n]))
		run("ascend", func(int) { grow(ascending) })
		b.Run(fmt.Sprint("memory/", n), func(b *testing.B) {
			for range b.N {
				p = grow(order[:n])
			}
			b.ReportMetric(float64(p.memory()), "B/set")
		})
	}
}

func among(p *set, cand, out *query.Bits) int {
	return p.holders().Among(cand[:], cand.Count(), out[:])
}
