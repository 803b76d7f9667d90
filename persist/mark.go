package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A high-water mark says which entries must be in a log: [floor, last], the newest with this chain hash.
// The database's mark counts its syncs instead, see syncMark. A mark is only written after the entries it
// names are durable, so whatever version of it survives a crash is true; an old version only proves less.
const (
	markName   = "high-water"
	markMagic  = 0x4d57_484d // "MHWM"
	markFormat = 1
	markSlot   = 4096 // slots are in different pages and sectors, so that a torn write damages only one
	markLen    = 64
)

type markState struct {
	generation uint64
	id         uint64 // random, from the log's creation; seeds the checksums of its entries
	floor      uint64 // entries below were truncated on purpose
	last       uint64 // newest entry known to be durable; below floor if there is none
	chain      chainHash
}

type markFile struct {
	f     *os.File
	file  fs.FileInfo // of f; never changes
	state markState
	dirty bool // written since the last fsync
}

var errNoMark = errors.New("no valid high-water mark")

func encodeMark(s markState) []byte {
	b := make([]byte, 0, markLen)
	le := binary.LittleEndian
	b = le.AppendUint32(b, markMagic)
	b = le.AppendUint16(b, markFormat)
	b = le.AppendUint16(b, markLen)
	b = le.AppendUint64(b, s.generation)
	b = le.AppendUint64(b, s.floor)
	b = le.AppendUint64(b, s.last)
	b = append(b, s.chain[:]...)
	b = le.AppendUint64(b, s.id)
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMark(b []byte) (markState, bool) {
	le := binary.LittleEndian
	if len(b) < markLen || le.Uint32(b) != markMagic || le.Uint16(b[4:]) != markFormat ||
		le.Uint16(b[6:]) != markLen || crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return markState{}, false
	}
	s := markState{generation: le.Uint64(b[8:]), floor: le.Uint64(b[16:]), last: le.Uint64(b[24:])}
	copy(s.chain[:], b[32:48])
	s.id = le.Uint64(b[48:])
	return s, true
}

// readMark returns the newer valid slot of the mark at path. It returns fs.ErrNotExist without a file and
// errNoMark without a valid slot.
func readMark(path string) (markState, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return markState{}, fmt.Errorf("read high-water mark: %w", err)
	}
	var best markState
	found := false
	for off := 0; off < len(b); off += markSlot {
		if s, ok := decodeMark(b[off:]); ok && (!found || s.generation > best.generation) {
			best, found = s, true
		}
	}
	if !found {
		return markState{}, errNoMark
	}
	return best, nil
}

// openMark opens the mark at path. If there is none, it creates an empty one with the given id (0: a random
// one) through a rename, so that a crash cannot leave half a mark.
func openMark(path string, id uint64) (*markFile, error) {
	state, err := readMark(path)
	if errors.Is(err, fs.ErrNotExist) {
		for id == 0 {
			id = rand.Uint64()
		}
		state = markState{generation: 1, id: id}
		b := make([]byte, markSlot+markLen)
		copy(b, encodeMark(state))
		copy(b[markSlot:], encodeMark(state))
		if err := writeFileDurably(path, b); err != nil {
			return nil, fmt.Errorf("create high-water mark: %w", err)
		}
	} else if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open high-water mark: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open high-water mark: %w", err), f.Close())
	}
	return &markFile{f: f, file: info, state: state}, nil
}

// present returns an error unless the open file is still the one at its path.
func (m *markFile) present() error {
	info, err := os.Stat(m.f.Name())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, m.file) {
		return fmt.Errorf("%s was removed or replaced while the node runs", m.f.Name())
	}
	return err
}

// advance records that the entries up to last are durable. It does not fsync; DESIGN.md lists what is
// detected nevertheless.
func (m *markFile) advance(last uint64, chain chainHash) error {
	m.state.last, m.state.chain = last, chain
	return m.writeSlot()
}

// retreat writes a mark that promises less, before entries are removed. It overwrites and fsyncs both
// slots, since an old slot that survived would promise entries that are about to be removed.
func (m *markFile) retreat(s markState) error {
	s.generation, s.id = m.state.generation, m.state.id
	m.state = s
	for range 2 {
		if err := m.writeSlot(); err != nil {
			return err
		}
	}
	return m.sync()
}

func (m *markFile) writeSlot() error {
	m.state.generation++
	off := int64(m.state.generation%2) * markSlot
	if _, err := m.f.WriteAt(encodeMark(m.state), off); err != nil {
		return fmt.Errorf("write high-water mark: %w", err)
	}
	m.dirty = true
	return nil
}

func (m *markFile) sync() error {
	if !m.dirty {
		return nil
	}
	if err := m.f.Sync(); err != nil {
		return fmt.Errorf("sync high-water mark: %w", err)
	}
	m.dirty = false
	return nil
}

func (m *markFile) close() error { return errors.Join(m.sync(), m.f.Close()) }

// writeFileDurably makes path hold b or stay as it was.
func writeFileDurably(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
