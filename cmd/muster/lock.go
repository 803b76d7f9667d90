package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dirLock reserves a data directory for one process. It is a kernel lock, which is released when the
// process ends for any reason, so there is never a stale lock to remove by hand.
type dirLock struct{ file *os.File }

// lockDir creates the directory if it does not exist, and locks it.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "muster.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		owner := make([]byte, 20)
		n, _ := file.ReadAt(owner, 0)
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by process %s: stop it, or use another directory with --data", dir, strings.TrimSpace(string(owner[:n])))
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err = file.Truncate(0); err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return &dirLock{file}, nil
}

func (l *dirLock) unlock() error { return l.file.Close() }
