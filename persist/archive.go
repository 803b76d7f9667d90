package persist

import (
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/raft"
)

// Archive is a data directory that no process is using, opened for reading. Its database is read through
// a shadow copy, which Close removes. Nothing in the directory changes.
type Archive struct {
	shadow string
	unlock func()
	db     *DB
}

// OpenArchive opens a data directory. Call it in a separate process: Badger may end the process when it
// meets damaged files.
func OpenArchive(data string) (a *Archive, err error) {
	dir := DBDir(data)
	a = &Archive{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.unlock, err = lockDir(dir); err != nil {
		return a, fmt.Errorf("another process has it open: %w", err)
	}
	if a.shadow, err = makeShadow(dir); err != nil {
		return a, err
	}
	cfg := DBConfig{Dir: a.shadow, Floor: 1, Ballast: -1}.withDefaults()
	b, err := openBadger(badgerOptions(cfg).WithNumCompactors(0))
	if err != nil {
		return a, err
	}
	a.db = &DB{cfg: cfg, guard: guard{dir: a.shadow, floor: 1, stat: Statfs}, b: b}
	if a.db.codec, err = newBlobCodec(); err != nil {
		return a, fmt.Errorf("open archive: %w", err)
	}
	return a, nil
}

// DB returns the shadow of the database. Writes to it are lost.
func (a *Archive) DB() *DB { return a.db }

// Close removes the shadow.
func (a *Archive) Close() error {
	var errs []error
	if a.db != nil {
		errs = append(errs, a.db.b.Close())
	}
	if a.shadow != "" {
		errs = append(errs, os.RemoveAll(a.shadow))
	}
	if a.unlock != nil {
		a.unlock()
	}
	*a = Archive{}
	return errors.Join(errs...)
}

// CommitTogether makes snapshots of several groups of one database visible at the same time: after a crash
// there are all of them or none. Their streams must be complete. It closes the sinks. Older snapshots stay
// until the next ones are taken.
func CommitTogether(sinks []raft.SnapshotSink) (err error) {
	var all []*sink
	defer func() {
		for _, k := range all {
			k.finish()
		}
	}()
	for _, s := range sinks {
		k, ok := s.(*sink)
		if !ok || len(all) > 0 && k.store.db != all[0].store.db {
			return fmt.Errorf("commit snapshots: %s is in another database", s.ID())
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil
	}
	db := all[0].store.db
	for _, k := range all {
		err := k.err
		if err == nil && !k.ended {
			err = errors.New("the stream has no end frame")
		}
		if err == nil {
			err = errors.Join(k.putList(), k.w.flush())
		}
		if err != nil {
			return fmt.Errorf("commit snapshot %s: %w", k.m.id, err)
		}
	}
	if err := db.Sync(); err != nil {
		return fmt.Errorf("commit snapshots: %w", err)
	}
	last := db.newWriter() // one transaction: manifests are small
	defer last.cancel()
	for _, k := range all {
		if err := last.put(k.m.id.key(kindSnapshot, k.store.group), k.m.encode()); err != nil {
			return fmt.Errorf("commit snapshot %s: %w", k.m.id, err)
		}
	}
	if err := errors.Join(last.flush(), db.Sync()); err != nil {
		return fmt.Errorf("commit snapshots: %w", err)
	}
	return nil
}
