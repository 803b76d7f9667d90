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

// input reads a file line by line.
type input interface {
	// read appends the next line to the batch, accepted or rejected. It returns io.EOF at the end.
	read(b *Batch) error
	// schema returns the columns found so far.
	schema() []ColumnReport
}

// ColumnReport describes one column of a file and how it is sent.
type ColumnReport struct {
	Column     string
	Role       string // id, event, time or left out; "" for a property or attribute
	Name       string // as sent
	Kind       Kind
	Example    string
	Seen       int   // number of values read
	Mismatched int64 // values of another type, which count as missing
}

// inputFile is an open file, ready to be read.
type inputFile struct {
	name   string // base name, or - for stdin
	source string // its identity
	size   int64  // on disk; 0 for stdin
	offset atomic.Int64
	input  input
	close  []func() error
}

func (o *inputFile) Close() {
	for i := len(o.close) - 1; i >= 0; i-- {
		_ = o.close[i]() // the file was only read: nothing is lost
	}
}

// countingReader adds the number of bytes read from the file on disk to n, for progress.
type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// open opens a path ("-" is stdin), decompresses it, and determines its format and its identity.
func open(ctx context.Context, path string, config *Config) (*inputFile, error) {
	o := &inputFile{name: filepath.Base(path)}
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
	if o.source, err = sourceID(ctx, o.name, file, config); err == nil {
		err = o.decode(raw, file, config)
	}
	if err != nil {
		o.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// visibleName returns a file's name as it may appear in a source's name: invisible characters become
// underscores.
func visibleName(name string) string {
	return strings.Map(func(r rune) rune {
		if tree.Unseen(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
}

// sourceID returns the identity of a file. Together with its number it identifies a line. It consists of
// the file's base name, a checksum of its bytes, and a hash of the parts of the plan that decide what a
// line means. So the same file can be imported once as profiles and once as events, and repeating a
// command counts each line once, even if the file has been moved.
//
// For events, the selected columns and their new names are not part of the identity: with other columns
// it is still the same event, and it must not be counted again. For profiles they are: a column that was
// left out before is new information, and setting an attribute twice does no harm.
func sourceID(ctx context.Context, name string, file *os.File, config *Config) (string, error) {
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
	if _, err := io.Copy(content, contextReader{ctx, file}); err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum := content.Sum128().Bytes()
	return fmt.Sprintf("%s#%x#%016x", visibleName(name), sum, meaning.Sum64()), nil
}

// contextReader fails once its context ends: the checksum of a large file takes a while.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (s contextReader) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

func (o *inputFile) decode(raw io.Reader, file *os.File, config *Config) error {
	stream := bufio.NewReaderSize(countingReader{raw, &o.offset}, 256<<10)
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
	format, err := detectFormat(name, stream, config)
	if err != nil {
		return err
	}
	switch format {
	case "parquet":
		if file == nil {
			return fmt.Errorf("a Parquet file is read from its end and cannot come from stdin: save it to a file first")
		}
		if !bytes.HasPrefix(magic, []byte("PAR1")) {
			return fmt.Errorf("it is not a Parquet file, or it was compressed again: decompress it first")
		}
		o.input, err = newParquet(countingReaderAt{file, &o.offset}, o.size, &config.Plan)
	case "ndjson":
		o.input = newNDJSON(stream, &config.Plan)
	default:
		o.input, err = newCSV(stream, &config.Plan, detectDelimiter(name, stream))
	}
	return err
}

// countingReaderAt adds the number of bytes read to n, for progress.
type countingReaderAt struct {
	io.ReaderAt
	n *atomic.Int64
}

func (r countingReaderAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	r.n.Add(int64(n))
	return n, err
}

// detectFormat returns the format that the caller gave, else the one of the file's extension, else the
// one that the first bytes look like.
func detectFormat(name string, stream *bufio.Reader, config *Config) (string, error) {
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

// detectDelimiter returns the byte that separates the columns: a comma, or the first of tab, semicolon
// and bar that occurs in a header without a comma.
func detectDelimiter(name string, stream *bufio.Reader) byte {
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
