package member

import (
	"unsafe"

	"github.com/musterdb/muster/query/tree"
)

// Memory is the memory that a tracker uses, in bytes.
type Memory struct {
	Rows   int64 // counts, sums and truths, by profile
	Queue  int64 // schedules and the queue
	Others int64 // definitions, and buffers for one entry
}

// Memory returns the memory that the tracker uses.
func (t *Tracker) Memory() (m Memory) {
	m.Rows = t.rows.memory()
	m.Queue = int64(cap(t.queue.items)) * int64(unsafe.Sizeof(item{}))
	m.Others = int64(cap(t.marks)+cap(t.spareMarks))*int64(unsafe.Sizeof(mark{})) +
		int64(cap(t.transitions))*int64(unsafe.Sizeof(transition{})) + int64(cap(t.touched))*int64(unsafe.Sizeof(touch{}))
	const entry = 16 // overhead of a map entry, roughly
	for _, p := range t.byID {
		switch p := p.(type) {
		case *counter:
			m.Rows += int64(len(p.spill))*(8+entry) + int64(len(p.sums))*int64(4+unsafe.Sizeof(tree.Sum{})+entry)
			m.Queue += p.schedule.memory()
			m.Others += int64(unsafe.Sizeof(*p)) + int64(2*len(p.key))
			for _, l := range p.limits {
				m.Others += int64(unsafe.Sizeof(*l)) + l.memory()
			}
		case *condition:
			m.Queue += p.schedule.memory() + p.due.memory()
			m.Others += int64(unsafe.Sizeof(*p)) + int64(2*len(p.key)) + p.leaf.memory()
		}
	}
	for _, s := range t.segments {
		m.Others += int64(unsafe.Sizeof(*s)) + s.program.memory()
	}
	return m
}

func (l *leaf) memory() int64 { return int64(cap(l.users)) * int64(unsafe.Sizeof(user{})) }

func (a *schedule) memory() int64 { return int64(cap(a.moments)) * int64(unsafe.Sizeof(moment{})) }

func (p *paged[T]) memory() (bytes int64) {
	var page [pageRows]T
	for _, chunk := range p.chunks {
		if chunk == nil {
			continue
		}
		bytes += int64(unsafe.Sizeof(*chunk))
		for _, x := range chunk {
			if x != nil {
				bytes += int64(unsafe.Sizeof(page))
			}
		}
	}
	return bytes
}

func (n *node) memory() int64 {
	if n == nil {
		return 0
	}
	bytes := int64(unsafe.Sizeof(*n))
	for i := range n.args {
		bytes += n.args[i].memory()
	}
	return bytes
}
