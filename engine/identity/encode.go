package identity

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/musterdb/muster/query/wire"
)

// Op is a command of the protocol in a shard's log. Want is not a command: it is part of the entry of the
// message that names both ids.
type Op uint8

// The commands.
const (
	ClaimOp Op = iota + 1
	AbsorbOp
	ReleaseOp
	SettleOp
)

// Command is one command. Alias belongs to ClaimOp; Part, Parts and Data to AbsorbOp; Outcome and Next to
// SettleOp. After is the moment, in the other shard, that the command follows; there is none if its Seq is
// 0.
type Command struct {
	Op            Op
	Owner, Target Ref
	Alias         bool
	Part, Parts   int
	Data          []byte
	Outcome       Outcome
	Next          Ref
	After         Moment
	// Apart marks commands written before moments existed. At that time a target in the owner's shard was not
	// released by its absorb but by a separate release.
	Apart bool
}

// Moment is an entry of a shard's log, and everything before it.
type Moment struct {
	Shard int
	Seq   uint64
}

// At returns the id to whose home shard the command is sent.
func (c Command) At() Ref {
	if c.Op == ClaimOp || c.Op == ReleaseOp {
		return c.Target
	}
	return c.Owner
}

// Reply is the result of a Command: Answer for ClaimOp; Done reports whether all facts are absorbed
// (AbsorbOp) or the target was released (ReleaseOp).
type Reply struct {
	Answer Answer
	Done   bool
}

// Apply applies a command that DecodeCommand has accepted.
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

// The versions of the encoding. In the first, commands have no After and states have no needs.
const (
	encodingV1 = 1
	encodingV2 = 2
)

// maxShard limits the number of a shard in a moment.
const maxShard = 1 << 16

// Append appends the encoding of c to b.
func (c Command) Append(b []byte) []byte {
	version := byte(encodingV2)
	if c.Apart {
		version = encodingV1
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

// DecodeCommand decodes one command from all of b; Data aliases b.
func DecodeCommand(b []byte) (Command, error) {
	r := newReader(b)
	version := r.version()
	c := Command{Op: Op(r.Byte()), Apart: version == encodingV1}
	c.Owner, c.Target = r.ref(), r.ref()
	c.Alias = r.Bool()
	c.Part, c.Parts = r.int(), r.int()
	c.Data = r.Bytes()
	c.Outcome = Outcome(r.Byte())
	c.Next = r.ref()
	if version == encodingV2 {
		c.After = Moment{Shard: r.int(), Seq: r.Uvarint()}
	}
	if c.Op < ClaimOp || c.Op > SettleOp || c.Outcome > Retarget || c.Op == SettleOp && c.Outcome == 0 || c.After.Shard >= maxShard {
		r.Fail("identity command")
	}
	return c, r.Done()
}

// AppendState appends the Machine's state (outbox with parts, conflicts, needs) to b, in a deterministic
// order.
func (m *Machine) AppendState(b []byte) []byte {
	b = append(b, encodingV2)
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

// RestoreState replaces the Machine's state by one that AppendState wrote.
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
	if version == encodingV2 {
		for range r.Count(1) {
			needs = append(needs, r.Uvarint())
		}
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("cannot read the identity state: %w", err)
	}
	m.outbox, m.conflicts, m.absorbed, m.needs = outbox, conflicts, absorbed, needs
	return nil
}

func appendRef(b []byte, ref Ref) []byte {
	return wire.AppendString(wire.AppendBool(b, ref.Anonymous), ref.ID)
}

// reader reads what the append functions wrote; after the first error it returns zeros.
type reader struct{ *wire.Reader }

func newReader(b []byte) reader { return reader{wire.NewReader(b)} }

func (r reader) version() byte {
	version := r.Byte()
	if version != encodingV1 && version != encodingV2 {
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
