package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// syncMark counts the syncs of the database in two places: in a value inside it, written before each sync,
// and in a mark file next to its directory, written after the sync. If the value has a lower count than the
// mark, the database has lost synced data: its directory or some of its files were removed or are an older
// copy. Badger itself opens what is left of such a directory and removes the files its manifest does not
// name.
type syncMark struct {
	sync.Mutex
	file  *markFile
	count uint64 // the number last written into the database
}

// kindSyncs prefixes the key of the value inside, which is the database's id and the number of its syncs.
const kindSyncs = 'n'

var syncsKey = keyOf(kindSyncs, "database")

// dbMarkPath returns the path of the mark of the database in dir.
func dbMarkPath(dir string) string { return filepath.Clean(dir) + "." + markName }

// checkManifest returns a *DamageError if the directory has lost its manifest: Badger would create a new
// database and remove the remaining files.
func checkManifest(dir string, mark markState) error {
	_, err := os.Stat(filepath.Join(dir, badger.ManifestFilename))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	left := 0
	for _, pattern := range []string{"*.sst", "*.vlog", "*.mem"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		left += len(paths)
	}
	switch {
	case left > 0:
		return &DamageError{Where: "database", Reason: fmt.Sprintf("%s is missing", filepath.Join(dir, badger.ManifestFilename))}
	case mark.last > 0:
		return &DamageError{Where: "database", Reason: fmt.Sprintf("%s is missing or empty", dir)}
	}
	return nil
}

// readDBMark returns the mark of the database in dir, the zero value if there is none.
func readDBMark(dir string) (markState, error) {
	mark, err := readMark(dbMarkPath(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return markState{}, nil
	case errors.Is(err, errNoMark):
		return markState{}, &DamageError{Where: "database", Reason: dbMarkPath(dir) + " is unreadable", Cause: err}
	}
	return mark, err
}

// checkSyncs compares the value inside the database with the mark at path, and returns the value.
func (db *DB) checkSyncs(mark markState, path string) (id, count uint64, err error) {
	b, err := db.get(syncsKey)
	switch {
	case errors.Is(err, errNoValue):
		b = make([]byte, 16)
	case err != nil:
		return 0, 0, err
	case len(b) != 16:
		return 0, 0, &DamageError{Where: "database", Reason: "the number of its syncs is malformed"}
	}
	id, count = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	switch {
	case count < mark.last:
		return 0, 0, &DamageError{Where: "database",
			Reason: fmt.Sprintf("it counts %d syncs, %s counts %d: files are missing, or it is an older copy", count, path, mark.last)}
	case count > 0 && mark.id != 0 && id != mark.id:
		return 0, 0, &DamageError{Where: "database", Reason: fmt.Sprintf("%s belongs to another database", path)}
	}
	return id, count, nil
}

// openSyncs opens the mark. It creates one for a new database, or for an old one that has no mark yet.
func (db *DB) openSyncs() error {
	path := dbMarkPath(db.cfg.Dir)
	mark, err := readDBMark(db.cfg.Dir)
	if err != nil {
		return err
	}
	id, count, err := db.checkSyncs(mark, path)
	if err != nil {
		return err
	}
	if db.syncs.file, err = openMark(path, id); err != nil {
		return err
	}
	db.syncs.count = count
	return nil
}

// ID returns the random id that the database was given when it was created.
func (db *DB) ID() uint64 { return db.syncs.file.state.id }

// begin writes the number of the sync that begins into the database and returns it. It ignores the floor:
// the value is small, and the space of the previous one is freed.
func (s *syncMark) begin(db *DB) (uint64, error) {
	s.Lock()
	defer s.Unlock()
	w := db.newWriter()
	defer w.cancel()
	w.unmeasured = 0
	value := binary.LittleEndian.AppendUint64(nil, s.file.state.id)
	if err := w.put(syncsKey, binary.LittleEndian.AppendUint64(value, s.count+1)); err != nil {
		return 0, err
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	s.count++
	return s.count, nil
}

// end writes the number of a finished sync to the mark.
func (s *syncMark) end(n uint64) error {
	s.Lock()
	defer s.Unlock()
	if n <= s.file.state.last {
		return nil
	}
	return s.file.advance(n, chainHash{})
}
