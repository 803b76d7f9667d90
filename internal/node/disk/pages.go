package disk

// PageWriter writes the pages of a snapshot. Close ends the stream; without it the reader reports a
// truncated stream.
type PageWriter interface {
	WritePage(kind uint8, key, data []byte) error
	Close() error
}

// PageReader reads pages back. Next returns io.EOF at the end.
type PageReader interface {
	Next() (kind uint8, key, data []byte, err error)
}
