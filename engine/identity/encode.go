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
// After is the moment of the other shard that the command follows; none where its Seq is 0.
type Command struct {
	Op            Op
	Owner, Target Ref
	Alias         bool
	Part, Parts   int
	Data          []byte
	Outcome       Outcome
	Next          Ref
	After         Moment
	// Apart is true of commands that were written before Muster knew moments: an absorbed target of the
	// same shard then stayed until its own release.
	Apart bool
}

// Moment is an entry of the log of a shard, and all before it.
type Moment struct {
	Shard int
	Seq   uint64
}

// At returns the id whose home shard the command is for.
func (c Command) At() Ref {
	if c.Op == ClaimOp || c.Op == ReleaseOp {
		return c.Target
	}
	return c.Owner
}

// Reply is what applying a Command says: Answer for ClaimOp, Done whether AbsorbOp's facts are all
// absorbed or ReleaseOp released.
type Reply struct {
	Answer Answer
	Done   bool
}

// Apply carries out a command that DecodeCommand has accepted.
func (m *Machine) Apply(c Command) (reply Reply) {
	m.follow(c.After)
	switch c.Op {
	case ClaimOp:
		reply.Answer = m.Claim(c.Owner, c.Target, c.Alias)
	case AbsorbOp:
		reply.Done = m.Absorb(c.Owner, c.Target, c.Part, c.Parts, c.Data, c.Apart)
	case ReleaseOp:
		reply.Done = m.Release(c.Owner, c.Target)
	case SettleOp:
		m.Settle(c.Owner, c.Target, c.Outcome, c.Next)
	}
	return reply
}

// The versions of the encoding. In the first, commands had no After and states no needs.
const (
	encodingApart = 1
	encodingNow   = 2
)

// maxShard bounds the number of a shard in a moment.
const maxShard = 1 << 16

var errDamaged = errors.New("damaged identity record")

// Append appends the encoding of c to b.
func (c Command) Append(b []byte) []byte {
	version := byte(encodingNow)
	if c.Apart {
		version = encodingApart
	}
	b = append(b, version, byte(c.Op))
	b = appendRef(appendRef(b, c.Owner), c.Target)
	b = appendBool(b, c.Alias)
	b = binary.AppendUvarint(b, uint64(c.Part))
	b = binary.AppendUvarint(b, uint64(c.Parts))
	b = appendBytes(b, c.Data)
	b = appendRef(append(b, byte(c.Outcome)), c.Next)
	if c.Apart {
		return b
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.After.Shard)), c.After.Seq)
}

// DecodeCommand reads one command that fills b; Data aliases b.
func DecodeCommand(b []byte) (Command, error) {
	r := reader{b: b}
	version := r.version()
	c := Command{Op: Op(r.byte()), Apart: version == encodingApart}
	c.Owner, c.Target = r.ref(), r.ref()
	c.Alias = r.bool()
	c.Part, c.Parts = r.int(), r.int()
	c.Data = r.bytes()
	c.Outcome = Outcome(r.byte())
	c.Next = r.ref()
	if version == encodingNow {
		c.After = Moment{Shard: r.int(), Seq: r.uint()}
	}
	if c.Op < ClaimOp || c.Op > SettleOp || c.Outcome > Retarget || c.Op == SettleOp && c.Outcome == 0 || c.After.Shard >= maxShard {
		r.bad = true
	}
	return c, r.end()
}

// AppendState appends the Machine's own state (outbox with parts, conflicts, needs) to b, in a fixed order.
func (m *Machine) AppendState(b []byte) []byte {
	b = append(b, encodingNow)
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
	b = binary.AppendUvarint(b, uint64(len(m.needs)))
	for _, seq := range m.needs {
		b = binary.AppendUvarint(b, seq)
	}
	return b
}

// RestoreState replaces the Machine's own state by what AppendState wrote.
func (m *Machine) RestoreState(b []byte) error {
	r := reader{b: b}
	version := r.version()
	outbox, conflicts := map[Ref][]*Merge{}, map[Ref][]Ref{}
	var absorbed []Pair
	var needs []uint64
	for range r.count() {
		owner := r.ref()
		for range r.count() {
			merge := &Merge{Owner: owner, Target: r.ref(), Alias: r.bool(), Stage: Stage(r.byte())}
			for range r.count() {
				merge.Parts = append(merge.Parts, append([]byte(nil), r.bytes()...))
			}
			outbox[owner] = append(outbox[owner], merge)
			if merge.Stage == Absorbed {
				absorbed = append(absorbed, Pair{owner, merge.Target})
			}
		}
	}
	for range r.count() {
		owner := r.ref()
		for range r.count() {
			conflicts[owner] = append(conflicts[owner], r.ref())
		}
	}
	if version == encodingNow {
		for range r.count() {
			needs = append(needs, r.uint())
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	m.outbox, m.conflicts, m.absorbed, m.needs = outbox, conflicts, absorbed, needs
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

func (r *reader) version() byte {
	version := r.byte()
	if version != encodingApart && version != encodingNow {
		r.bad = true
	}
	return version
}

func (r *reader) bool() bool { return r.byte() == 1 }

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int {
	v := r.uint()
	if v > 1<<31 {
		r.bad, r.b = true, nil
		return 0
	}
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
