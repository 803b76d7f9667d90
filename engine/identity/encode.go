package identity

import (
	"encoding/binary"
	"errors"
)

// Op is a command of the protocol in a shard's log. Want is no command: it rides in the entry of the
// message that names both ids.
type Op uint8

// The commands.
const (
	ClaimOp Op = iota + 1
	AbsorbOp
	ReleaseOp
	SettleOp
)

// Command is one command. Alias is ClaimOp's; Part, Parts and Data AbsorbOp's; Outcome and Next SettleOp's.
type Command struct {
	Op            Op
	Owner, Target Ref
	Alias         bool
	Part, Parts   int
	Data          []byte
	Outcome       Outcome
	Next          Ref
}

// Reply is what applying a Command says: Answer for ClaimOp, Done whether AbsorbOp's facts are all
// absorbed or ReleaseOp released.
type Reply struct {
	Answer Answer
	Done   bool
}

// Apply carries out a command that DecodeCommand has accepted.
func (m *Machine) Apply(c Command) (reply Reply) {
	switch c.Op {
	case ClaimOp:
		reply.Answer = m.Claim(c.Owner, c.Target, c.Alias)
	case AbsorbOp:
		reply.Done = m.Absorb(c.Owner, c.Target, c.Part, c.Parts, c.Data)
	case ReleaseOp:
		reply.Done = m.Release(c.Owner, c.Target)
	case SettleOp:
		m.Settle(c.Owner, c.Target, c.Outcome, c.Next)
	}
	return reply
}

const encodingVersion = 1

var errDamaged = errors.New("damaged identity record")

// Append appends the encoding of c to b.
func (c Command) Append(b []byte) []byte {
	b = append(b, encodingVersion, byte(c.Op))
	b = appendRef(appendRef(b, c.Owner), c.Target)
	b = appendBool(b, c.Alias)
	b = binary.AppendUvarint(b, uint64(c.Part))
	b = binary.AppendUvarint(b, uint64(c.Parts))
	b = appendBytes(b, c.Data)
	b = append(b, byte(c.Outcome))
	return appendRef(b, c.Next)
}

// DecodeCommand reads one command that fills b; Data aliases b.
func DecodeCommand(b []byte) (Command, error) {
	r := reader{b: b}
	r.version()
	c := Command{Op: Op(r.byte())}
	c.Owner, c.Target = r.ref(), r.ref()
	c.Alias = r.bool()
	c.Part, c.Parts = r.int(), r.int()
	c.Data = r.bytes()
	c.Outcome = Outcome(r.byte())
	c.Next = r.ref()
	if c.Op < ClaimOp || c.Op > SettleOp || c.Outcome > Retarget || c.Op == SettleOp && c.Outcome == 0 {
		r.bad = true
	}
	return c, r.end()
}

// AppendState appends the Machine's own state (outbox with parts, conflicts) to b, in a fixed order.
func (m *Machine) AppendState(b []byte) []byte {
	b = append(b, encodingVersion)
	b = binary.AppendUvarint(b, uint64(len(m.outbox)))
	for _, owner := range sortedRefs(m.outbox) {
		b = binary.AppendUvarint(appendRef(b, owner), uint64(len(m.outbox[owner])))
		for _, merge := range m.outbox[owner] {
			b = appendBool(appendRef(b, merge.Target), merge.Alias)
			b = append(b, byte(merge.Stage))
			b = binary.AppendUvarint(b, uint64(len(merge.Parts)))
			for _, part := range merge.Parts {
				b = appendBytes(b, part)
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.conflicts)))
	for _, owner := range sortedRefs(m.conflicts) {
		b = binary.AppendUvarint(appendRef(b, owner), uint64(len(m.conflicts[owner])))
		for _, id := range m.conflicts[owner] {
			b = appendRef(b, id)
		}
	}
	return b
}

// RestoreState replaces the Machine's own state by what AppendState wrote.
func (m *Machine) RestoreState(b []byte) error {
	r := reader{b: b}
	r.version()
	outbox, conflicts := map[Ref][]*Merge{}, map[Ref][]Ref{}
	for range r.count() {
		owner := r.ref()
		for range r.count() {
			merge := &Merge{Owner: owner, Target: r.ref(), Alias: r.bool(), Stage: Stage(r.byte())}
			for range r.count() {
				merge.Parts = append(merge.Parts, append([]byte(nil), r.bytes()...))
			}
			outbox[owner] = append(outbox[owner], merge)
		}
	}
	for range r.count() {
		owner := r.ref()
		for range r.count() {
			conflicts[owner] = append(conflicts[owner], r.ref())
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	m.outbox, m.conflicts = outbox, conflicts
	return nil
}

func appendRef(b []byte, ref Ref) []byte {
	return appendBytes(appendBool(b, ref.Anonymous), []byte(ref.ID))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendBytes(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// reader reads what the append functions wrote; after the first fault it yields zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) version() {
	if r.byte() != encodingVersion {
		r.bad = true
	}
}

func (r *reader) bool() bool { return r.byte() == 1 }

func (r *reader) int() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// count reads a number of items; each takes at least a byte, so a larger one is damage.
func (r *reader) count() int {
	n := r.int()
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

func (r *reader) bytes() []byte {
	n := r.count()
	data := r.b[:n:n]
	r.b = r.b[n:]
	return data
}

func (r *reader) ref() Ref { return Ref{Anonymous: r.bool(), ID: string(r.bytes())} }

func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errDamaged
	}
	return nil
}
