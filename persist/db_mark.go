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

// syncMark says how often the database has been synced, twice: by a value inside it, written before each
// sync, and by a mark beside its directory, written after. A database that knows of fewer syncs than the mark
// has lost some of what was synced: its directory or some of its files were removed or are an older copy.
// Badger opens what is left of such a directory, and removes what its manifest does not name.
type syncMark struct {
	sync.Mutex
	file  *markFile
	count uint64 // written into the database
}

// kindSyncs prefixes the key of the value inside: the database's id and the number of its syncs.
const kindSyncs = 'n'

var syncsKey = keyOf(kindSyncs, "database")

// dbMarkPath is where the mark of the database in dir lies.
func dbMarkPath(dir string) string { return filepath.Clean(dir) + "." + markName }

// checkManifest refuses a directory without the manifest that it had: Badger would begin anew, and remove
// what is left.
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

// readDBMark returns the mark of the database in dir, the zero one if there is none.
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

// checkSyncs compares the value inside the database with the mark beside it, at path, and returns what is inside.
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
			Reason: fmt.Sprintf("it knows of %d syncs, %s of %d: files are missing, or it is an older copy", count, path, mark.last)}
	case count > 0 && mark.id != 0 && id != mark.id:
		return 0, 0, &DamageError{Where: "database", Reason: fmt.Sprintf("it is not the one of %s", path)}
	}
	return id, count, nil
}

// openSyncs opens the mark, making it if there is none: a new database, or an old one that had none yet.
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

// ID tells the database from every other: it is random, and made with it.
func (db *DB) ID() uint64 { return db.syncs.file.state.id }

// begin writes into the database that there is one more sync, and returns its number. It passes the floor: the
// value is small, and what it overwrites is given back.
func (s *syncMark) begin(db *DB) (uint64, error) {
	s.Lock()
	defer s.Unlock()
	w := db.newWriter()
	defer w.cancel()
	w.unasked = 0
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

// end notes beside the database that a sync is done.
func (s *syncMark) end(n uint64) error {
	s.Lock()
	defer s.Unlock()
	if n <= s.file.state.last {
		return nil
	}
	return s.file.advance(n, chainHash{})
}
