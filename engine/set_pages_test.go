package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/wire"
)

// inFirstFormat returns a snapshot as older builds wrote it, before sets were in roaring's portable
// format.
func inFirstFormat(t testing.TB, s *memoryPages) *memoryPages {
	t.Helper()
	var old memoryPages
	for _, p := range s.pages {
		if p.data[0] == formatOfSets {
			r := wire.NewReader(p.data[2:])
			data := []byte{snapshotFormat, 0}
			switch p.kind {
			case pageList:
				data = append(data, listBits(r, r.Set(), old.pages, p.key)...)
			case pageImport:
				data = wire.AppendString(data, r.String())
				n := r.Count(3)
				data = binary.AppendUvarint(data, uint64(n))
				for range n {
					data = appendFirstSet(binary.AppendUvarint(data, r.Uvarint()), r.Set())
				}
			default:
				data = appendFirstSet(data, r.Set())
			}
			if err := r.Done(); err != nil || p.data[1] != 0 {
				t.Fatalf("page of kind %d: %v", p.kind, err)
			}
			p.data = data
		}
		old.pages = append(old.pages, p)
	}
	return &old
}

func appendFirstSet(b []byte, s *roaring.Bitmap) []byte {
	if s.GetCardinality() > 1024 {
		var bits query.Bits
		s.WriteDenseTo(bits[:])
		return append(append(b, 1), bytesOf(bits[:])...)
	}
	b = binary.AppendUvarint(append(b, 0), s.GetCardinality())
	for pos := range roaring.Values(s) {
		b = binary.LittleEndian.AppendUint16(b, uint16(pos))
	}
	return b
}

// listBits returns a bit for every code of the list's dictionary, which is among the pages before it.
func listBits(r *wire.Reader, s *roaring.Bitmap, before []storedPage, list []byte) []byte {
	codes := uint64(0)
	for _, p := range before {
		if p.kind == pageDictionary && p.key[7] == dictList && bytes.Equal(p.key[8:16], list) {
			codes += wire.NewReader(p.data[2:]).Uvarint()
		}
	}
	bits := make([]byte, (codes+7)/8)
	for code := range roaring.Values(s) {
		if uint64(code) >= codes {
			r.Fail("code of a list")
			break
		}
		bits[code/8] |= 1 << (code % 8)
	}
	return bits
}

// TestFirstFormat checks that a snapshot with sets of the first format restores the state it was
// written from, and that a snapshot of the restored state equals the original one.
func TestFirstFormat(t *testing.T) {
	s := newTestShard(t)
	log := newScript(19, 3000)
	x := &listRun{t: t, s: s, seq: s.root.seq, on: map[string]bool{}}
	x.edit(listIDs(0, 3000), nil)
	x.edit(nil, listIDs(10, 900))
	for seq := x.seq + 1; seq < 60; seq++ {
		mustApply(t, s, seq, log.step(nil))
	}
	pages := snapshotOf(t, s)
	old := inFirstFormat(t, pages)
	sets := map[uint8]bool{}
	for i, p := range pages.pages {
		if p.data[0] == formatOfSets {
			sets[p.kind] = true
			if old.pages[i].data[0] != snapshotFormat {
				t.Fatal("a page keeps its format")
			}
		}
	}
	if !sets[pageProfiles] || !sets[pageList] || !sets[pageImport] {
		t.Fatalf("only pages of the kinds %v have sets", sets)
	}
	restored, err := Restore(s.config, old)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.Check(); err != nil || restored.Hash() != s.Hash() {
		t.Fatalf("the restored state differs: %v", err)
	}
	for i, p := range snapshotOf(t, restored).pages {
		if want := pages.pages[i]; p.kind != want.kind || !bytes.Equal(p.key, want.key) || !bytes.Equal(p.data, want.data) {
			t.Fatalf("page %d, of kind %d, differs", i, p.kind)
		}
	}
}

// TestLaterFormat checks that the error for a page of a later build says what to do.
func TestLaterFormat(t *testing.T) {
	pages := snapshotOf(t, newTestShard(t))
	pages.pages[len(pages.pages)-1].data[0] = formatOfSets + 1
	if _, err := Restore(Config{Key: 42}, pages); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), "start the build that wrote it") {
		t.Error(err)
	}
}

// TestSetsOfPages checks that a set with positions beyond its chunk is refused, and that the runs of
// a set in a page are converted.
func TestSetsOfPages(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	x := &restorer{s: s, format: formatOfSets}
	full := roaring.New()
	full.AddRange(0, query.ChunkSize)
	r := wire.NewReader(wire.AppendSet(nil, full))
	if p := x.set(r); r.Done() != nil || p.count() != query.ChunkSize || p.bitmap.HasRunCompression() {
		t.Errorf("%d positions: %v", p.count(), r.Err())
	}
	r = wire.NewReader(wire.AppendSet(nil, roaring.BitmapOf(1, query.ChunkSize)))
	if p := x.set(r); r.Err() == nil || p.count() != 0 {
		t.Errorf("%d positions of another chunk", p.count())
	}
}
