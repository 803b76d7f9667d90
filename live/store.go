package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/musterdb/muster/query/wire"
)

// state is what the store records about a shard's log besides the blocks. Blocks after synced are ignored
// when the log is opened, because the shard replays their entries.
type state struct {
	incarnation uint64
	synced      uint64
	horizon     Position
	dropped     int64 // greatest time of the dropped changes
}

// The formats of the state, which are also the formats of the blocks. The previous format has no bulks.
const (
	stateFormat       = 3
	stateWithoutBulks = 2 // read, no longer written
)

func (s state) encode() []byte {
	b := binary.AppendUvarint([]byte{stateFormat}, s.incarnation)
	b = binary.AppendUvarint(b, s.synced)
	b = binary.AppendUvarint(b, s.horizon.Seq)
	b = binary.AppendUvarint(b, uint64(s.horizon.N))
	return binary.AppendVarint(b, s.dropped)
}

func decodeState(b []byte) (s state, err error) {
	r := wire.NewReader(b)
	if format := r.Byte(); r.Err() == nil && format != stateFormat && format != stateWithoutBulks {
		return s, fmt.Errorf("the state has format %d, but this build reads only %d and %d; start the build that wrote it", format, stateWithoutBulks, stateFormat)
	}
	s = state{r.Uvarint(), r.Uvarint(), Position{r.Uvarint(), int(r.Uint32())}, r.Varint()}
	return s, r.Done()
}

// recover reads the state and finds the blocks in the store.
func (s *shardLog) recover() error {
	coded, err := s.store.State()
	if err != nil {
		return err
	}
	var st state
	if coded != nil {
		if st, err = decodeState(coded); err != nil {
			return err
		}
		if st.incarnation != s.incarnation {
			st = state{}
		}
	}
	if err := s.store.Cut(st.synced); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.head, s.mu.synced, s.mu.horizon = st.synced, st.synced, st.horizon
	s.mu.dropped = st.dropped
	return s.store.Blocks(func(seq uint64, n, size int) error {
		at := Position{seq, n}
		if len(s.mu.blocks) > 0 {
			s.mu.blocks[len(s.mu.blocks)-1].end = at // or slightly earlier, but there is nothing in between
		}
		s.mu.blocks = append(s.mu.blocks, &block{first: at, end: after(st.synced), size: size, sealed: true, stored: true})
		return nil
	})
}

// storeSealed stores the sealed blocks that are not stored yet.
func (s *shardLog) storeSealed() error {
	if s.store == nil {
		return nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	return s.storeUnlocked()
}

// storeUnlocked is storeSealed without taking the lock. REQUIRES: write is held.
func (s *shardLog) storeUnlocked() error {
	for {
		b := s.unstored()
		if b == nil {
			return nil
		}
		if err := s.store.Write(b.first.Seq, b.first.N, b.data); err != nil {
			return err
		}
		s.mu.Lock()
		b.stored = true
		s.mu.Unlock()
	}
}

// unstored returns the first sealed block that is not stored. Until it is stored its data can only be
// dropped by force, which leaves the slice intact.
func (s *shardLog) unstored() *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.mu.blocks {
		if b.sealed && !b.stored {
			return b
		}
	}
	return nil
}

// sync seals the open block, stores all blocks and makes them durable up to the head of the log.
func (s *shardLog) sync(seq uint64) error {
	if s.store == nil {
		return nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	if n := len(s.mu.blocks); n > 0 && len(s.mu.blocks[n-1].data) > 0 {
		s.mu.blocks[n-1].sealed = true
	}
	head, synced := s.mu.head, s.mu.synced
	st := state{s.incarnation, head, s.mu.horizon, s.mu.dropped}
	s.mu.Unlock()
	if head < seq {
		return fmt.Errorf("entry %d has not been appended, the last is %d", seq, head)
	}
	if head == synced && synced > 0 {
		return nil
	}
	if err := s.storeUnlocked(); err != nil {
		return err
	}
	if err := s.store.Drop(st.horizon.Seq, st.horizon.N); err != nil {
		return err
	}
	if err := s.store.Commit(st.encode()); err != nil {
		return err
	}
	s.mu.Lock()
	s.mu.synced = head
	s.mu.Unlock()
	return nil
}

// retain drops the oldest stored blocks if they exceed bytes, down to 15/16 of it, and those older than
// oldest. The last block always stays. The new horizon is durable before a block is dropped, so that after
// a crash no reader misses a gap.
func (s *shardLog) retain(bytes, oldest int64) (freed int64, err error) {
	if s.store == nil {
		return 0, nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	drop, next, err := s.excess(bytes, oldest)
	if err != nil || drop == 0 {
		return 0, err
	}
	s.mu.Lock()
	if len(s.mu.blocks) <= drop || s.mu.blocks[drop] != next {
		s.mu.Unlock()
		return 0, nil // the log was emptied meanwhile
	}
	for _, b := range s.mu.blocks[:drop] {
		s.mu.horizon, s.mu.dropped = b.end, max(s.mu.dropped, b.latest)
		freed += int64(len(b.data))
	}
	s.mu.base += uint64(drop)
	s.mu.blocks = slices.Clone(s.mu.blocks[drop:])
	s.mu.held -= freed
	st := state{s.incarnation, s.mu.synced, s.mu.horizon, s.mu.dropped}
	s.mu.Unlock()
	if err := s.store.Commit(st.encode()); err != nil {
		return freed, err
	}
	return freed, s.store.Drop(next.first.Seq, next.first.N)
}

// excess returns how many of the first blocks should be dropped, and the block after them.
func (s *shardLog) excess(bytes, oldest int64) (drop int, next *block, err error) {
	s.mu.Lock()
	sum := int64(0)
	for _, b := range s.mu.blocks {
		sum += int64(b.size)
	}
	blocks := slices.Clone(s.mu.blocks)
	s.mu.Unlock()
	limit := bytes
	for ; drop < len(blocks)-1; drop++ {
		b := blocks[drop]
		if stored := s.isStored(b); !stored {
			break
		}
		tooMuch := sum > limit
		if tooMuch {
			limit = bytes - bytes/16
		}
		latest, err := s.latest(b)
		if err != nil {
			return 0, nil, err
		}
		if !tooMuch && latest >= oldest {
			break
		}
		sum -= int64(b.size)
	}
	if drop == 0 {
		return 0, nil, nil
	}
	return drop, blocks[drop], nil
}

func (s *shardLog) isStored(b *block) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.stored
}

// latest returns the time of the last change in a block. A block of an earlier process is read to find it.
func (s *shardLog) latest(b *block) (int64, error) {
	s.mu.Lock()
	known := b.latest
	s.mu.Unlock()
	if known != 0 {
		return known, nil
	}
	loaded, err := s.load(b)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.latest = loaded.latest
	return b.latest, nil
}

// errGone is returned for a block that was dropped before it could be read.
var errGone = errors.New("block is gone")

// load reads a block back from the store.
func (s *shardLog) load(b *block) (*block, error) {
	data, err := s.store.Read(b.first.Seq, b.first.N)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, errGone
	}
	return loadBlock(data)
}
