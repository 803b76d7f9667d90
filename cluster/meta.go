package cluster

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// meta identifies a data directory. It is written when the cluster is made, and again when all parts of
// the directory exist. It decides outcomes, so it must not change while there are logs to replay.
type meta struct {
	Cluster string // 32 hex digits
	Node    string
	Shards  int
	Dedup   int // the most messageIds that all shards together remember

	// Parts are the ids of the logs and of the database, by path. It is nil if they are unknown: the
	// directory is new, or was last used by a version that did not write them.
	Parts map[string]uint64
}

const metaFile = "cluster.meta"

const metaVersion = "muster-cluster 1"

// loadMeta reads the meta of dir. If nothing was found there, it makes one with the given number of
// shards (0: eight) and messageIds.
func loadMeta(dir string, shards, dedup int, found Found) (meta, error) {
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkNew(dir, found); err != nil {
			return meta{}, err
		}
		if shards == 0 {
			shards = 8
		}
		return makeMeta(dir, shards, dedup)
	}
	if err != nil {
		return meta{}, fmt.Errorf("read cluster meta: %w", err)
	}
	m, err := parseMeta(string(text))
	if err != nil {
		return meta{}, fmt.Errorf("read %s: %w", path, err)
	}
	if shards != 0 && shards != m.Shards {
		return meta{}, fmt.Errorf("open %s: it was made with %d shards, which cannot change; %d were requested", dir, m.Shards, shards)
	}
	return m, nil
}

// CheckMeta verifies the meta of a data directory that has been in use. It returns the ids of the parts
// that the directory must have, by path: 0 where the id is unknown.
func CheckMeta(dir string) (parts map[string]uint64, err error) {
	m, err := readMeta(dir)
	if err != nil || m.Parts != nil {
		return m.Parts, err
	}
	parts = map[string]uint64{}
	for _, group := range m.groups() {
		parts[logPart(group)] = 0
	}
	return parts, nil
}

// readMeta reads the meta of a data directory that has been in use.
func readMeta(dir string) (meta, error) {
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return meta{}, fmt.Errorf("open %s: %s is missing, which says how ids are distributed over the shards: put it back, or restore the whole data directory from one copy", dir, metaFile)
	}
	if err != nil {
		return meta{}, fmt.Errorf("read cluster meta: %w", err)
	}
	m, err := parseMeta(string(text))
	if err != nil {
		return meta{}, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

func makeMeta(dir string, shards, dedup int) (meta, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return meta{}, fmt.Errorf("make a cluster id: %w", err)
	}
	m := meta{Cluster: hex.EncodeToString(id[:]), Node: "node-1", Shards: shards, Dedup: dedup}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return meta{}, fmt.Errorf("make data directory: %w", err)
	}
	return m, m.write(dir)
}

// write replaces the meta of dir.
func (m meta) write(dir string) error {
	path := filepath.Join(dir, metaFile)
	if err := writeDurably(path, m.format()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// format writes one "key value" per line, and last the checksum of all lines before.
func (m meta) format() string {
	text := fmt.Sprintf("%s\ncluster %s\nnode %s\nshards %d\ndedup %d\n",
		metaVersion, m.Cluster, m.Node, m.Shards, m.Dedup)
	for _, part := range slices.Sorted(maps.Keys(m.Parts)) {
		text += fmt.Sprintf("part %016x %s\n", m.Parts[part], part)
	}
	return text + fmt.Sprintf("sum %08x\n", crc32.ChecksumIEEE([]byte(text)))
}

func parseMeta(text string) (meta, error) {
	body, sum, found := strings.Cut(text, "sum ")
	if !found || sum != fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(body))) {
		return meta{}, errors.New("its checksum is wrong")
	}
	lines := bufio.NewScanner(strings.NewReader(body))
	if !lines.Scan() || lines.Text() != metaVersion {
		return meta{}, fmt.Errorf("unknown format %q", lines.Text())
	}
	var m meta
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch key {
		case "cluster":
			m.Cluster = value
		case "node":
			m.Node = value
		case "shards":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > MaxShards {
				return meta{}, fmt.Errorf("shards is %q", value)
			}
			m.Shards = n
		case "dedup":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return meta{}, fmt.Errorf("dedup is %q", value)
			}
			m.Dedup = n
		case "part":
			id, part, _ := strings.Cut(value, " ")
			n, err := strconv.ParseUint(id, 16, 64)
			if err != nil || part == "" {
				return meta{}, fmt.Errorf("part is %q", value)
			}
			if m.Parts == nil {
				m.Parts = map[string]uint64{}
			}
			m.Parts[part] = n
		}
	}
	if len(m.Cluster) != 32 || m.Node == "" || m.Shards == 0 || m.Dedup == 0 {
		return meta{}, errors.New("it is incomplete")
	}
	return m, nil
}

// writeDurably replaces path atomically: a crash leaves the old file or the new one.
func writeDurably(path, text string) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
