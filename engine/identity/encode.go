package identity

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/musterdb/muster/query/wire"
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
		reply.Answer = m.claim(c.Owner, c.Target, c.Alias)
	case AbsorbOp:
		reply.Done = m.absorb(c.Owner, c.Target, c.Part, c.Parts, c.Data, c.Apart)
	case ReleaseOp:
		reply.Done = m.release(c.Owner, c.Target)
	case SettleOp:
		m.settle(c.Owner, c.Target, c.Outcome, c.Next)
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

// Append appends the encoding of c to b.
func (c Command) Append(b []byte) []byte {
	version := byte(encodingNow)
	if c.Apart {
		version = encodingApart
	}
	b = append(b, version, byte(c.Op))
	b = appendRef(appendRef(b, c.Owner), c.Target)
	b = wire.AppendBool(b, c.Alias)
	b = binary.AppendUvarint(b, uint64(c.Part))
	b = binary.AppendUvarint(b, uint64(c.Parts))
	b = wire.AppendBytes(b, c.Data)
	b = appendRef(append(b, byte(c.Outcome)), c.Next)
	if c.Apart {
		return b
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.After.Shard)), c.After.Seq)
}

// DecodeCommand reads one command that fills b; Data aliases b.
func DecodeCommand(b []byte) (Command, error) {
	r := newReader(b)
	version := r.version()
	c := Command{Op: Op(r.Byte()), Apart: version == encodingApart}
	c.Owner, c.Target = r.ref(), r.ref()
	c.Alias = r.Bool()
	c.Part, c.Parts = r.int(), r.int()
	c.Data = r.Bytes()
	c.Outcome = Outcome(r.Byte())
	c.Next = r.ref()
	if version == encodingNow {
		c.After = Moment{Shard: r.int(), Seq: r.Uvarint()}
	}
	if c.Op < ClaimOp || c.Op > SettleOp || c.Outcome > Retarget || c.Op == SettleOp && c.Outcome == 0 || c.After.Shard >= maxShard {
		r.Fail("identity command")
	}
	return c, r.Done()
}

// AppendState appends the Machine's own state (outbox with parts, conflicts, needs) to b, in a fixed order.
func (m *Machine) AppendState(b []byte) []byte {
	b = append(b, encodingNow)
	b = binary.AppendUvarint(b, uint64(len(m.outbox)))
	for _, owner := range sortedRefs(m.outbox) {
		b = binary.AppendUvarint(appendRef(b, owner), uint64(len(m.outbox[owner])))
		for _, merge := range m.outbox[owner] {
			b = wire.AppendBool(appendRef(b, merge.Target), merge.Alias)
			b = append(b, byte(merge.Stage))
			b = binary.AppendUvarint(b, uint64(len(merge.Parts)))
			for _, part := range merge.Parts {
				b = wire.AppendBytes(b, part)
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
	r := newReader(b)
	version := r.version()
	outbox, conflicts := map[Ref][]*Merge{}, map[Ref][]Ref{}
	var absorbed []Pair
	var needs []uint64
	for range r.Count(1) {
		owner := r.ref()
		for range r.Count(1) {
			merge := &Merge{Owner: owner, Target: r.ref(), Alias: r.Bool(), Stage: Stage(r.Byte())}
			for range r.Count(1) {
				merge.Parts = append(merge.Parts, append([]byte(nil), r.Bytes()...))
			}
			outbox[owner] = append(outbox[owner], merge)
			if merge.Stage == Absorbed {
				absorbed = append(absorbed, Pair{owner, merge.Target})
			}
		}
	}
	for range r.Count(1) {
		owner := r.ref()
		for range r.Count(1) {
			conflicts[owner] = append(conflicts[owner], r.ref())
		}
	}
	if version == encodingNow {
		for range r.Count(1) {
			needs = append(needs, r.Uvarint())
		}
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("read the identity state: %w", err)
	}
	m.outbox, m.conflicts, m.absorbed, m.needs = outbox, conflicts, absorbed, needs
	return nil
}

func appendRef(b []byte, ref Ref) []byte {
	return wire.AppendString(wire.AppendBool(b, ref.Anonymous), ref.ID)
}

// reader reads what the append functions wrote; after the first fault it yields zeros.
type reader struct{ *wire.Reader }

func newReader(b []byte) reader { return reader{wire.NewReader(b)} }

func (r reader) version() byte {
	version := r.Byte()
	if version != encodingApart && version != encodingNow {
		r.Fail("version of an identity record")
	}
	return version
}

func (r reader) int() int {
	v := r.Uvarint()
	if v > 1<<31 {
		r.Fail("number of an identity record")
		return 0
	}
	return int(v)
}

func (r reader) ref() Ref { return Ref{Anonymous: r.Bool(), ID: strings.Clone(r.String())} }
