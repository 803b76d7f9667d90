package persist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// makeShadow makes a directory in which Badger can recover the database in dir without touching it.
// Opening dir read-only does not work: after a kill Badger wants to truncate its logs first. Tables and
// full value logs are never written again and are linked; the files that recovery writes to are copied.
func makeShadow(dir string) (shadow string, err error) {
	shadow, err = os.MkdirTemp(filepath.Dir(dir), "check-")
	if err != nil {
		return "", fmt.Errorf("make shadow: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(shadow)
		}
	}()
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("make shadow: %w", err)
	}
	var logs []string
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".vlog") {
			logs = append(logs, f.Name())
		}
	}
	slices.Sort(logs) // numbered with leading zeros
	for _, f := range files {
		name := f.Name()
		from, to := filepath.Join(dir, name), filepath.Join(shadow, name)
		fixed := strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".vlog") && name != logs[len(logs)-1]
		switch {
		case f.IsDir() || name == "LOCK" || name == "ballast":
		case fixed && os.Link(from, to) == nil:
		default:
			if err := copySparse(from, to); err != nil {
				return "", fmt.Errorf("make shadow: %w", err)
			}
		}
	}
	return shadow, nil
}

// copySparse copies a file and leaves holes for zeros, which most of a Badger log is.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	block, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	var size int64
	for {
		n, err := io.ReadFull(in, block)
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := out.WriteAt(block[:n], size); err != nil {
				return errors.Join(err, out.Close())
			}
		}
		size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.Join(out.Truncate(size), out.Close())
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
}
