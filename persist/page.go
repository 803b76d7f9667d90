package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/zeebo/xxh3"
)

// A snapshot stream is a sequence of pages and an end frame. Only the writer and the reader of the pages
// know the meaning of kinds and keys. docs/format/pages.md draws a frame.
const (
	pageMagic  = 0x4750 // "PG"
	pageEnd    = 0xff   // kind of the end frame; pages must not use it
	pageHeader = 32

	// MaxPage is the size of the largest page in bytes, MaxPageKey that of the longest key.
	MaxPage    = 16 << 20
	MaxPageKey = 1 << 10
)

// pageHash is the hash of a page's data. Equal pages are stored once.
type pageHash [16]byte

func hashPage(data []byte) pageHash { return xxh3.Hash128(data).Bytes() }

// pageFrame is the fixed-size head of a frame.
type pageFrame struct {
	kind    uint8
	keyLen  int
	dataLen int
	hash    pageHash // of the data
	sum     uint32   // crc32c of the head's other bytes and the key
}

func (f pageFrame) size() int { return pageHeader + f.keyLen + f.dataLen }

// appendPageHead appends the head and the key of a frame.
func appendPageHead(b []byte, kind uint8, key []byte, dataLen int, hash pageHash) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = le.AppendUint16(b, pageMagic)
	b = append(b, 1, kind)
	b = le.AppendUint32(b, uint32(len(key)))
	b = le.AppendUint32(b, uint32(dataLen))
	b = append(b, hash[:]...)
	b = le.AppendUint32(b, 0)
	b = append(b, key...)
	le.PutUint32(b[start+28:], headChecksum(b[start:start+28], key))
	return b
}

func headChecksum(head, key []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, key)
}

// decodePageHead decodes a head. checkKey verifies its checksum once the key is read.
func decodePageHead(b []byte) (pageFrame, error) {
	le := binary.LittleEndian
	if le.Uint16(b) != pageMagic {
		return pageFrame{}, errors.New("it is not a page")
	}
	if b[2] != 1 {
		return pageFrame{}, fmt.Errorf("page format %d is unknown", b[2])
	}
	keyLen, dataLen := le.Uint32(b[4:]), le.Uint32(b[8:])
	if keyLen > MaxPageKey || dataLen > MaxPage {
		return pageFrame{}, fmt.Errorf("page with a key of %d and data of %d bytes: %w", keyLen, dataLen, ErrTooLarge)
	}
	f := pageFrame{kind: b[3], keyLen: int(keyLen), dataLen: int(dataLen), sum: le.Uint32(b[28:])}
	copy(f.hash[:], b[12:28])
	return f, nil
}

func (f pageFrame) checkKey(head, key []byte) error {
	if headChecksum(head[:28], key) != f.sum {
		return errors.New("page head checksum does not match")
	}
	return nil
}

func (f pageFrame) checkData(data []byte) error {
	if hashPage(data) != f.hash {
		return errors.New("page checksum does not match")
	}
	return nil
}

// endData returns the data of the end frame: the number of pages and bytes before it.
func endData(pages, size uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, pages), size)
}

// PageWriter writes pages to a stream. A stream without Close is recognised as cut.
type PageWriter struct {
	w     io.Writer
	head  []byte
	pages uint64
	size  uint64
}

// NewPageWriter returns a PageWriter that writes to w, unbuffered.
func NewPageWriter(w io.Writer) *PageWriter { return &PageWriter{w: w} }

// WritePage writes one page. kind must be below 255, key at most MaxPageKey bytes and data at most MaxPage.
func (p *PageWriter) WritePage(kind uint8, key, data []byte) error {
	if kind == pageEnd {
		return errors.New("write page: kind 255 is the end of the stream")
	}
	if len(key) > MaxPageKey || len(data) > MaxPage {
		return fmt.Errorf("write page of %d bytes: %w", len(data), ErrTooLarge)
	}
	return p.write(kind, key, data)
}

func (p *PageWriter) write(kind uint8, key, data []byte) error {
	p.head = appendPageHead(p.head[:0], kind, key, len(data), hashPage(data))
	for _, b := range [][]byte{p.head, data} {
		if _, err := p.w.Write(b); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	}
	p.pages++
	p.size += uint64(len(p.head) + len(data))
	return nil
}

// Close writes the end frame. It does not close the underlying writer.
func (p *PageWriter) Close() error { return p.write(pageEnd, nil, endData(p.pages, p.size)) }

// PageReader reads a stream of pages and verifies it.
type PageReader struct {
	r     io.Reader
	head  []byte
	key   []byte
	data  []byte
	pages uint64
	size  uint64
	ended bool
}

// NewPageReader returns a PageReader that reads from r, in whole frames.
func NewPageReader(r io.Reader) *PageReader {
	return &PageReader{r: r, head: make([]byte, pageHeader)}
}

// Next returns the next page; key and data are valid until the next call. It returns io.EOF after the last
// page of a complete stream, io.ErrUnexpectedEOF (wrapped) for a stream that was cut, and a *DamageError for
// one that was changed.
func (p *PageReader) Next() (kind uint8, key, data []byte, err error) {
	if p.ended {
		return 0, nil, nil, io.EOF
	}
	if err := p.fill(p.head); err != nil {
		return 0, nil, nil, err
	}
	damage := func(err error) error {
		return &DamageError{Where: "snapshot stream", Reason: fmt.Sprintf("page %d", p.pages), Cause: err}
	}
	f, err := decodePageHead(p.head)
	if err != nil {
		return 0, nil, nil, damage(err)
	}
	p.key = sized(p.key, f.keyLen)
	if err := p.fill(p.key); err != nil {
		return 0, nil, nil, err
	}
	if err := f.checkKey(p.head, p.key); err != nil {
		return 0, nil, nil, damage(err)
	}
	p.data = sized(p.data, f.dataLen)
	if err := p.fill(p.data); err != nil {
		return 0, nil, nil, err
	}
	if err := f.checkData(p.data); err != nil {
		return 0, nil, nil, damage(err)
	}
	if f.kind == pageEnd {
		if string(p.data) != string(endData(p.pages, p.size)) {
			return 0, nil, nil, damage(errors.New("pages are missing before the end"))
		}
		p.ended = true
		return 0, nil, nil, io.EOF
	}
	p.pages++
	p.size += uint64(f.size())
	return f.kind, p.key, p.data, nil
}

func (p *PageReader) fill(b []byte) error {
	if _, err := io.ReadFull(p.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read page %d: %w", p.pages, err)
	}
	return nil
}

// sized returns a slice of n bytes. It reuses b's memory unless that is too small or wastefully large.
func sized(b []byte, n int) []byte {
	if cap(b) < n || cap(b) > 1<<20 && n < 1<<16 {
		return make([]byte, n)
	}
	return b[:n]
}
