package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestDedupMessages adds hashes of messages and compares the answers with a map of when each arrived.
// It covers many hashes of one part, whose index grows past every width of its slots and frees
// memory, and hashes that differ in a few bits, with views and restarts.
func TestDedupMessages(t *testing.T) {
	draws := map[string]func(rng *rand.Rand) uint64{
		"random":        func(rng *rand.Rand) uint64 { return rng.Uint64() },
		"of one part":   func(rng *rand.Rand) uint64 { return 0xff<<56 | rng.Uint64()>>8 },
		"with one tag":  func(rng *rand.Rand) uint64 { return 7<<56 | rng.Uint64N(1<<20)<<32 },
		"at the end":    func(rng *rand.Rand) uint64 { return 0xffffff<<40 | rng.Uint64N(1<<10)<<20 },
		"small numbers": func(rng *rand.Rand) uint64 { return rng.Uint64N(100_000) },
	}
	for name, draw := range draws {
		t.Run(name, func(t *testing.T) {
			messages := 90_000
			if name != "random" && name != "of one part" {
				messages = 3000 // a look-up passes all the others
			}
			dedupMessages(t, draw, messages)
		})
	}
}

func dedupMessages(t *testing.T, draw func(rng *rand.Rand) uint64, messages int) {
	rng := rand.New(rand.NewPCG(1, 10))
	config := Config{DedupWindow: 2_000_000, DedupCap: messages / 2}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	var sent []uint64 // hashes, in order
	var at []int64
	last := map[uint64]int{} // index in sent
	for len(sent) < messages {
		s.own()
		s.root.time += rng.Int64N(4_000_000 / int64(messages) * 2)
		s.forgetMessages()
		hash := draw(rng)
		place, before := last[hash]
		seen := s.seenMessage(hash)
		switch {
		case seen && !before:
			t.Fatalf("message %d: %x is known before it was sent", len(sent), hash)
		case seen && s.root.time-at[place] > config.DedupWindow+2*dedupSpan:
			t.Fatalf("message %d: %x is known %d ms after it was sent", len(sent), hash, s.root.time-at[place])
		case before && !seen && s.root.time-at[place] < config.DedupWindow && len(sent)-place < config.DedupCap*7/8:
			t.Fatalf("message %d: %x, which was message %d, is not known", len(sent), hash, place)
		}
		if !seen {
			s.rememberMessage(hash)
			last[hash] = len(sent)
			sent, at = append(sent, hash), append(at, s.root.time)
		} else if rng.IntN(200) == 0 {
			sent, at = append(sent, hash), append(at, at[place]) // so that a stream of few values ends
		}
		switch rng.IntN(messages / 5) {
		case 0:
			s.root.seq++
			if s, err = Restore(config, snapshotOf(t, s)); err != nil {
				t.Fatalf("message %d: %v", len(sent), err)
			}
		case 1:
			s.View().Release()
		}
	}
}

// lineTwin has the lines of each source that have been sent.
type lineTwin map[string]map[uint64]bool

// TestDedupLines adds lines of sources in order, backwards and at random, around the numbers at which
// a set of lines becomes words and at which the next set begins, and compares the answers with a map.
func TestDedupLines(t *testing.T) {
	words := false
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := newTestShard(t)
		twin := lineTwin{}
		base := []uint64{0, 1<<16 - 600, 1<<40 - 600, 1<<64 - 6000}[seed]
		for round := range 12 {
			source := fmt.Sprint("file-", rng.IntN(3))
			if twin[source] == nil {
				twin[source] = map[uint64]bool{}
			}
			from := base + rng.Uint64N(3000)
			s.own()
			for n := range uint64(rng.IntN(3000)) {
				line := from + n
				switch round % 3 {
				case 1:
					line = from - n
				case 2:
					line = base + rng.Uint64N(6000)
				}
				if seen := s.seenLine(source, line); seen != twin[source][line] {
					t.Fatalf("seed %d, round %d: line %d of %s is known: %t", seed, round, line, source, seen)
				}
				if !twin[source][line] {
					s.rememberLine(source, line)
					twin[source][line] = true
				}
			}
			switch rng.IntN(3) {
			case 0:
				s.View().Release()
			case 1:
				s = restoreCopy(t, s)
			}
			for source, lines := range twin {
				for line := base - 3000; line != base+6000; line++ {
					if seen := s.seenLine(source, line); seen != lines[line] {
						t.Fatalf("seed %d, after round %d: line %d of %s is known: %t", seed, round, line, source, seen)
					}
				}
			}
		}
		for _, source := range s.root.imports {
			for _, set := range source.sets {
				words = words || set.lines.holders().Listed() == 0
			}
		}
	}
	if !words {
		t.Error("no set of lines has become words: the test is too small")
	}
}
