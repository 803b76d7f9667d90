package engine

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/engine/identity"
)

// FuzzCommand applies hostile entries. There must be no panic, no change on an error, and a sound
// shard afterwards. What decodes as messages must encode to something that decodes the same.
func FuzzCommand(f *testing.F) {
	log := newScript(11, 20)
	for range 5 {
		f.Add(log.step(nil))
	}
	f.Add(EncodeCatalog(1, testChanges()[0]))
	f.Add(EncodeIdentity(1, identity.Command{Op: identity.AbsorbOp, Owner: identity.User("a"), Target: identity.Anon("b"), Parts: 1, Data: []byte{1}}))
	f.Add(EncodeIdentity(1, identity.Command{Op: identity.SettleOp, Outcome: identity.Retarget, Owner: identity.User("a")}))
	f.Fuzz(func(t *testing.T, entry []byte) {
		s := newTestShard(t)
		before := s.Hash()
		for seq := range uint64(2) {
			if _, err := s.Apply(4+seq, entry); err != nil {
				if !errors.Is(err, ErrCommand) || s.Hash() != before || s.Seq() != 3 {
					t.Fatalf("a refused entry changed the shard, or has the wrong error: %v", err)
				}
				return
			}
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		c, err := DecodeCommand(entry)
		if err != nil || c.Kind != MessagesCommand {
			return
		}
		checkSplit(t, entry, &c)
		again := EncodeMessages(c.Catalog, c.Now, c.Messages)
		d, err := DecodeCommand(again)
		if err != nil || !bytes.Equal(again, EncodeMessages(d.Catalog, d.Now, d.Messages)) {
			t.Fatalf("messages do not survive a round trip: %v", err)
		}
	})
}

// FuzzPages restores snapshots with one damaged page. The result must be an error, or a shard that
// can be read.
func FuzzPages(f *testing.F) {
	s := newTestShard(f)
	log := newScript(13, 40)
	for seq := uint64(4); seq < 24; seq++ {
		mustApply(f, s, seq, log.step(nil))
	}
	good := snapshotOf(f, s)
	for i, p := range good.pages {
		f.Add(i, p.kind, p.key, p.data)
		f.Add(i, p.kind, p.key, p.data[:len(p.data)/2])
	}
	f.Fuzz(func(t *testing.T, at int, kind uint8, key, data []byte) {
		pages := &memoryPages{pages: append([]storedPage(nil), good.pages...)}
		pages.pages[uint(at)%uint(len(pages.pages))] = storedPage{kind, key, data}
		restored, err := Restore(Config{Key: 42}, pages)
		if err != nil {
			return
		}
		readAll(restored)
	})
}

// readAll reads everything that a reader can request.
func readAll(s *Shard) {
	v := s.View()
	defer v.Release()
	describeView(v)
	v.NameInfo(0)
	v.NameInfo(1)
	for _, id := range []string{"id-1", "id-2"} {
		v.About(id)
	}
	_ = v.root.examine()
	for s.Maintain(1 << 20) {
	}
}

// TestDamagedPages restores snapshots of which a page has a flipped bit, is truncated or is missing.
func TestDamagedPages(t *testing.T) {
	s := newTestShard(t)
	log := newScript(17, 40)
	for seq := uint64(4); seq < 16; seq++ {
		mustApply(t, s, seq, log.step(nil))
	}
	good := snapshotOf(t, s)
	rng := rand.New(rand.NewPCG(17, 1))
	for i := range good.pages {
		for range 12 {
			pages := &memoryPages{pages: append([]storedPage(nil), good.pages...)}
			p := &pages.pages[i]
			p.data = bytes.Clone(p.data)
			switch rng.IntN(3) {
			case 0:
				p.data[rng.IntN(len(p.data))] ^= 1 << rng.IntN(8)
			case 1:
				p.data = p.data[:rng.IntN(len(p.data))]
			case 2:
				pages.pages = append(pages.pages[:i:i], pages.pages[i+1:]...)
			}
			if restored, err := Restore(Config{Key: 42}, pages); err == nil {
				readAll(restored)
			} else if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("page %d: %v", i, err)
			}
		}
	}
}
