package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/query/tree"
)

// input is a file as lines.
type input interface {
	// read appends the next line to the batch, accepted or rejected; io.EOF is the end.
	read(b *Batch) error
	// schema tells the columns met so far.
	schema() []ColumnReport
}

// ColumnReport describes one column of a file and what becomes of it.
type ColumnReport struct {
	Column  string
	Role    string // id, event, time, left out; "" for a property or attribute
	Name    string // as sent
	Kind    Kind
	Example string
	Seen    int   // values looked at
	Odd     int64 // values of another type, which count as missing
}

// opened is one file, ready to be read.
type opened struct {
	name   string // base name, or -
	source string // its identity
	size   int64  // on disk; 0 for stdin
	offset atomic.Int64
	input  input
	close  []func() error
}

func (o *opened) Close() {
	for i := len(o.close) - 1; i >= 0; i-- {
		_ = o.close[i]() // reading only: nothing is lost
	}
}

// Read counts what is read of the file as it lies on disk.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// open opens a path ("-" is stdin), undoes its compression, finds its format and its identity.
func open(ctx context.Context, path string, config *Config) (*opened, error) {
	o := &opened{name: filepath.Base(path)}
	var raw io.Reader = config.Stdin
	var file *os.File
	var err error
	if path != "-" {
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		o.close = append(o.close, file.Close)
		info, err := file.Stat()
		if err != nil || info.IsDir() {
			o.Close()
			return nil, fmt.Errorf("read %s: it is not a file", path)
		}
		o.size = info.Size()
		raw = file
	}
	if o.source, err = identify(ctx, o.name, file, config); err == nil {
		err = o.decode(raw, file, config)
	}
	if err != nil {
		o.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// visible writes a file's name as a source may be called: what cannot be seen is an underscore.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if tree.Unseen(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
}

// identify returns what lines of the file are known by, beside their numbers: the file's name and a
// checksum of its bytes, and what the lines were taken for. So one file can be imported once as
// profiles and once as events, and the same command twice takes each line once, whatever the file's
// place. Columns and names are not part of an event's: they say how a fact is dressed, not which it is.
// They are of a profile's: a column that was left out before is a fact of its own, and setting an
// attribute twice counts nothing twice.
func identify(ctx context.Context, name string, file *os.File, config *Config) (string, error) {
	p := &config.Plan
	meaning := xxh3.New()
	fmt.Fprintf(meaning, "%d\x00%s\x00%s\x00%s\x00%s", p.Mode, p.ID, p.Event, p.EventName, p.Time)
	if p.Mode == Profiles {
		for _, column := range slices.Sorted(slices.Values(p.Keep)) {
			fmt.Fprintf(meaning, "\x00%s", column)
		}
		for _, column := range slices.Sorted(maps.Keys(p.Rename)) {
			fmt.Fprintf(meaning, "\x00%s\x00%s", column, p.Rename[column])
		}
	}
	if config.Source != "" {
		return fmt.Sprintf("%s#%016x", config.Source, meaning.Sum64()), nil
	}
	if file == nil {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return "", err
		}
		return "stdin#" + hex.EncodeToString(id[:]), nil
	}
	content := xxh3.New()
	if _, err := io.Copy(content, stoppable{ctx, file}); err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum := content.Sum128().Bytes()
	return fmt.Sprintf("%s#%x#%016x", visible(name), sum, meaning.Sum64()), nil
}

// stoppable reads until its context ends: a checksum of a large file takes a while.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

func (o *opened) decode(raw io.Reader, file *os.File, config *Config) error {
	stream := bufio.NewReaderSize(counted{raw, &o.offset}, 256<<10)
	name := strings.ToLower(o.name)
	magic, _ := stream.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(stream)
		if err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		o.close = append(o.close, z.Close)
		stream = bufio.NewReaderSize(z, 256<<10)
		name = strings.TrimSuffix(name, ".gz")
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("read zstd: %w", err)
		}
		o.close = append(o.close, func() error { z.Close(); return nil })
		stream = bufio.NewReaderSize(z, 256<<10)
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".zstd")
	}
	format, err := findFormat(name, stream, config)
	if err != nil {
		return err
	}
	switch format {
	case "parquet":
		if file == nil {
			return fmt.Errorf("a Parquet file is read from its end and cannot come from stdin: save it first")
		}
		if !bytes.HasPrefix(magic, []byte("PAR1")) {
			return fmt.Errorf("it is not a Parquet file (or compressed once more: unpack it first)")
		}
		o.input, err = newParquet(readerAt{file, &o.offset}, o.size, &config.Plan)
	case "ndjson":
		o.input = newNDJSON(stream, &config.Plan)
	default:
		o.input, err = newCSV(stream, &config.Plan, delimiter(name, stream))
	}
	return err
}

// readerAt counts what is read, for progress.
type readerAt struct {
	io.ReaderAt
	n *atomic.Int64
}

func (r readerAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	r.n.Add(int64(n))
	return n, err
}

// findFormat takes what the caller said, what the name says, or what the first bytes look like.
func findFormat(name string, stream *bufio.Reader, config *Config) (string, error) {
	if config.Format != "" {
		return config.Format, nil
	}
	switch filepath.Ext(name) {
	case ".csv", ".tsv":
		return "csv", nil
	case ".ndjson", ".jsonl", ".json":
		return "ndjson", nil
	case ".parquet", ".pq":
		return "parquet", nil
	}
	head, err := stream.Peek(512)
	if err != nil && err != io.EOF {
		return "", err
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "parquet", nil
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		return "ndjson", nil
	}
	return "csv", nil
}

// delimiter finds what separates the columns: the one of tab, semicolon and bar that stands in a
// header without a comma.
func delimiter(name string, stream *bufio.Reader) byte {
	if filepath.Ext(name) == ".tsv" {
		return '\t'
	}
	head, _ := stream.Peek(64 << 10)
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	if bytes.IndexByte(line, ',') < 0 {
		for _, c := range []byte{'\t', ';', '|'} {
			if bytes.IndexByte(line, c) >= 0 {
				return c
			}
		}
	}
	return ','
}
