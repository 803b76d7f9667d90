package catalog

import "maps"

// With the three structures in this file, the successor of a State with thousands of names is made in
// microseconds. All are persistent: an old value never changes when something is added to a newer one.

const vectorPage = 128

// vector is a list that only grows; adding an element copies its last page.
type vector[T any] struct {
	pages [][]T
	n     int
}

func (v vector[T]) at(i uint32) T { return v.pages[i/vectorPage][i%vectorPage] }

func (v vector[T]) with(x T) vector[T] {
	return v.put(uint32(v.n), x)
}

// put returns v with x at i. REQUIRES: i <= v.n.
func (v vector[T]) put(i uint32, x T) vector[T] {
	pages := make([][]T, (max(v.n, int(i)+1)+vectorPage-1)/vectorPage)
	copy(pages, v.pages)
	page := append(make([]T, 0, vectorPage), pages[i/vectorPage]...)
	if int(i%vectorPage) == len(page) {
		page = append(page, x)
	} else {
		page[i%vectorPage] = x
	}
	pages[i/vectorPage] = page
	return vector[T]{pages, max(v.n, int(i)+1)}
}

// recentLimit is the number of names in the small map at which the large one is copied.
const recentLimit = 256

// layered maps names to ids. It consists of a large map, which is rarely copied, and a small map, which is
// copied on every change.
type layered struct {
	base, recent map[string]uint32
}

func (l layered) get(name string) (uint32, bool) {
	if id, ok := l.recent[name]; ok {
		return id, true
	}
	id, ok := l.base[name]
	return id, ok
}

func (l layered) with(added map[string]uint32) layered {
	if len(added) == 0 {
		return l
	}
	if len(l.recent)+len(added) <= recentLimit {
		recent := make(map[string]uint32, len(l.recent)+len(added))
		maps.Copy(recent, l.recent)
		maps.Copy(recent, added)
		return layered{l.base, recent}
	}
	base := make(map[string]uint32, len(l.base)+len(l.recent)+len(added))
	maps.Copy(base, l.base)
	maps.Copy(base, l.recent)
	maps.Copy(base, added)
	return layered{base, nil}
}

// directory maps names to segments in the same two layers. A nil in the small map marks a segment of the
// large map as dropped.
type directory struct {
	base, recent map[string]*Segment
	n            int
}

func (d directory) get(name string) (*Segment, bool) {
	s, ok := d.recent[name]
	if !ok {
		s = d.base[name]
	}
	return s, s != nil
}

// put returns d with s under a name, or without the name if s is nil.
func (d directory) put(name string, s *Segment) directory {
	next := directory{base: d.base, n: d.n}
	if _, had := d.get(name); had {
		next.n--
	}
	if s != nil {
		next.n++
	}
	if len(d.recent) < recentLimit {
		next.recent = make(map[string]*Segment, len(d.recent)+1)
		maps.Copy(next.recent, d.recent)
		next.recent[name] = s
		return next
	}
	next.base = make(map[string]*Segment, next.n)
	for name, s := range d.all {
		next.base[name] = s
	}
	delete(next.base, name)
	if s != nil {
		next.base[name] = s
	}
	return next
}

// all calls yield for every segment, in no order.
func (d directory) all(yield func(string, *Segment) bool) {
	for name, s := range d.recent {
		if s != nil && !yield(name, s) {
			return
		}
	}
	for name, s := range d.base {
		if _, newer := d.recent[name]; !newer && !yield(name, s) {
			return
		}
	}
}
