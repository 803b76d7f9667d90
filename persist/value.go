package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/dgraph-io/badger/v4"
)

// A key is a kind, the group's name with its length, the numbers that order values of the kind, and the
// number of the part. docs/format/values.md draws keys and values.
const (
	kindPage        = 'p' // content hash → page
	kindIndex       = 'i' // snapshot, n → part of its page list
	kindSnapshot    = 's' // snapshot → manifest
	kindBlob        = 'b' // seq, n → messages
	kindRunPart     = 'r' // run, n → locators
	kindRun         = 'R' // run → its head, which describes the parts
	kindHistory     = 'h' // → how far the history is durable
	kindChange      = 'c' // seq, n → block of changes
	kindChangeState = 'C' // → how far the changes are durable
	kindTable       = 't' // key → small value
)

const (
	valueMagic   = 0x564d // "MV"
	valueFormat  = 1
	valueHeader  = 16
	partSize     = 900 << 10 // Badger's limit for a value is 1 MiB
	partSuffix   = 2
	maxValue     = 64 << 20
	maxGroupName = 255
)

var errNoValue = errors.New("no such value")

// keyOf returns the key of a value without its part number.
func keyOf(kind byte, group string, rest ...uint64) []byte {
	k := make([]byte, 0, 2+len(group)+8*len(rest)+partSuffix)
	k = append(k, kind, byte(len(group)))
	k = append(k, group...)
	for _, r := range rest {
		k = binary.BigEndian.AppendUint64(k, r)
	}
	return k
}

// keyNumbers returns the numbers at the end of a key made by keyOf.
func keyNumbers(key []byte, group string) []uint64 {
	rest := key[2+len(group):]
	numbers := make([]uint64, len(rest)/8)
	for i := range numbers {
		numbers[i] = binary.BigEndian.Uint64(rest[8*i:])
	}
	return numbers
}

func encodeValue(key []byte, part, parts int, data []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, valueHeader, valueHeader+len(data))
	le.PutUint16(b, valueMagic)
	b[2], b[3] = valueFormat, key[0]
	le.PutUint16(b[4:], uint16(part))
	le.PutUint16(b[6:], uint16(parts))
	le.PutUint32(b[8:], uint32(len(data)))
	le.PutUint32(b[12:], valueChecksum(key, b, data))
	return append(b, data...)
}

func valueChecksum(key, header, data []byte) uint32 {
	c := crc32.Checksum(key, castagnoli)
	c = crc32.Update(c, castagnoli, header[:12])
	return crc32.Update(c, castagnoli, data)
}

// decodeValue returns a part's data, which aliases b, and how many parts the value has.
func decodeValue(key []byte, part int, b []byte) (data []byte, parts int, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) < valueHeader || le.Uint16(b) != valueMagic:
		return nil, 0, errors.New("it is not a value")
	case b[2] != valueFormat:
		return nil, 0, fmt.Errorf("value format %d is unknown", b[2])
	}
	data = b[valueHeader:]
	parts = int(le.Uint16(b[6:]))
	switch {
	case uint64(len(data)) != uint64(le.Uint32(b[8:])):
		return nil, 0, errors.New("value length does not match")
	case valueChecksum(key, b, data) != le.Uint32(b[12:]):
		return nil, 0, errors.New("value checksum does not match")
	case b[3] != key[0] || int(le.Uint16(b[4:])) != part || part >= parts:
		return nil, 0, errors.New("it is the value of another key or part")
	}
	return data, parts, nil
}

func partKey(key []byte, part int) []byte {
	return binary.BigEndian.AppendUint16(append(make([]byte, 0, len(key)+partSuffix), key...), uint16(part))
}

// get returns a copy of the value under key, errNoValue, or a *DamageError.
func (db *DB) get(key []byte) ([]byte, error) { return db.getTo(nil, key) }

// getTo is like get, but uses the memory of dst if it is large enough.
func (db *DB) getTo(dst, key []byte) ([]byte, error) {
	out := dst[:0]
	err := db.view(func(txn *badger.Txn) error {
		for part, parts := 0, 1; part < parts; part++ {
			item, err := txn.Get(partKey(key, part))
			if errors.Is(err, badger.ErrKeyNotFound) {
				if part == 0 {
					return errNoValue
				}
				return &DamageError{Where: describeKey(key), Reason: fmt.Sprintf("part %d is missing", part)}
			}
			if err != nil {
				return err
			}
			err = item.Value(func(b []byte) error {
				data, n, err := decodeValue(key, part, b)
				if err != nil {
					return &DamageError{Where: describeKey(key), Reason: err.Error()}
				}
				parts = n
				out = append(out, data...)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// has reports whether the value exists, without reading it.
func (db *DB) has(key []byte) (found bool, err error) {
	err = db.view(func(txn *badger.Txn) error {
		_, err := txn.Get(partKey(key, 0))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		found = err == nil
		return err
	})
	return found, err
}

// keys calls fn with the key of each value with prefix, beginning at from (at the prefix's first or last
// key if from is nil), in ascending or descending order, until fn returns false. fn must not keep key.
func (db *DB) keys(prefix, from []byte, down bool, fn func(key []byte) (bool, error)) error {
	return db.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Reverse: down, Prefix: prefix})
		defer it.Close()
		switch {
		case from != nil && down:
			it.Seek(partKey(from, 0xffff))
		case from != nil:
			it.Seek(from)
		case down:
			it.Seek(append(append([]byte(nil), prefix...), 0xff))
		default:
			it.Rewind()
		}
		for ; it.ValidForPrefix(prefix); it.Next() {
			k := it.Item().Key()
			if binary.BigEndian.Uint16(k[len(k)-partSuffix:]) != 0 {
				continue
			}
			if more, err := fn(k[:len(k)-partSuffix]); err != nil || !more {
				return err
			}
		}
		return nil
	})
}

// keysAndSizes calls fn with the key of each value with prefix, ascending, and the value's size in bytes.
func (db *DB) keysAndSizes(prefix []byte, fn func(key []byte, size int) error) error {
	return db.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.ValidForPrefix(prefix); it.Next() {
			k := it.Item().Key()
			if binary.BigEndian.Uint16(k[len(k)-partSuffix:]) != 0 {
				continue
			}
			if err := fn(k[:len(k)-partSuffix], int(it.Item().EstimatedSize())); err != nil {
				return err
			}
		}
		return nil
	})
}

// write stores one value, which can be read immediately afterwards.
func (db *DB) write(key, data []byte) error {
	w := db.newWriter()
	defer w.cancel()
	if err := w.put(key, data); err != nil {
		return err
	}
	return w.flush()
}

// view runs fn in a read transaction. Badger panics on some damaged tables; a panic becomes a *DamageError.
func (db *DB) view(fn func(txn *badger.Txn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Where: "database", Reason: fmt.Sprint(p)}
		}
	}()
	err = db.b.View(fn)
	if errors.Is(err, badger.ErrDBClosed) {
		return ErrClosed
	}
	return err
}

func describeKey(key []byte) string {
	names := map[byte]string{kindPage: "page", kindIndex: "page list", kindSnapshot: "manifest",
		kindBlob: "history blob", kindRunPart: "locators", kindRun: "locator run", kindHistory: "history state",
		kindChange: "changes", kindChangeState: "state of the changes", kindTable: "table", kindSyncs: "number of syncs"}
	n := 2 + int(key[1])
	return fmt.Sprintf("%s of %s %x", names[key[0]], key[2:n], key[n:])
}
