package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
	"github.com/zeebo/xxh3"
)

// A log entry inside a raft-wal frame; docs/format/raft-log.md draws it.
const (
	entryMagic  = 0x3145_4c4d // "MLE1", little-endian; the digit is the version
	entryHeader = 68
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chainHash is the hash of an entry and, through prev, of everything before it.
type chainHash [16]byte

// entry is a raft.Log with the fields that persist adds.
type entry struct {
	log raft.Log

	// durable is the highest index that was fsynced when this entry was written. An entry found on disk
	// proves that everything up to durable was acknowledged.
	durable uint64
	prev    chainHash
}

var (
	errEntryShort    = errors.New("entry shorter than its header")
	errEntryMagic    = errors.New("it is not an entry")
	errEntryLength   = errors.New("entry length does not match its header")
	errEntryChecksum = errors.New("entry checksum does not match")
	errEntryReserved = errors.New("the entry's reserved bytes are not zero")
)

// appendEntry appends the encoding of e to buf. The checksum is seeded with the log's id, so that neither
// an entry of another log nor a payload that looks like an entry is accepted.
func appendEntry(buf []byte, id uint64, e *entry) []byte {
	start := len(buf)
	le := binary.LittleEndian
	buf = le.AppendUint32(buf, entryMagic)
	buf = le.AppendUint32(buf, 0) // checksum, set below
	buf = le.AppendUint64(buf, e.log.Index)
	buf = le.AppendUint64(buf, e.log.Term)
	var at int64
	if !e.log.AppendedAt.IsZero() {
		at = e.log.AppendedAt.UnixNano()
	}
	buf = le.AppendUint64(buf, uint64(at))
	buf = le.AppendUint64(buf, e.durable)
	buf = append(buf, e.prev[:]...)
	buf = append(buf, byte(e.log.Type), 0, 0, 0)
	buf = le.AppendUint32(buf, uint32(len(e.log.Extensions)))
	buf = le.AppendUint32(buf, uint32(len(e.log.Data)))
	buf = append(buf, e.log.Extensions...)
	buf = append(buf, e.log.Data...)
	le.PutUint32(buf[start+4:], entryChecksum(id, buf[start+8:]))
	return buf
}

func entryChecksum(id uint64, body []byte) uint32 {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], id)
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, body)
}

// entrySize returns the length of the entry that begins at b, 0 if none does.
func entrySize(b []byte) int {
	le := binary.LittleEndian
	if len(b) < entryHeader || le.Uint32(b) != entryMagic {
		return 0
	}
	n := uint64(entryHeader) + uint64(le.Uint32(b[60:])) + uint64(le.Uint32(b[64:]))
	if n > uint64(len(b)) {
		return 0
	}
	return int(n)
}

// decodeEntry decodes an entry. Its Data and Extensions alias b.
func decodeEntry(id uint64, b []byte) (entry, error) {
	var e entry
	le := binary.LittleEndian
	if len(b) < entryHeader {
		return e, errEntryShort
	}
	if le.Uint32(b) != entryMagic {
		return e, errEntryMagic
	}
	ext, data := uint64(le.Uint32(b[60:])), uint64(le.Uint32(b[64:]))
	if uint64(len(b)) != entryHeader+ext+data {
		return e, errEntryLength
	}
	if entryChecksum(id, b[8:]) != le.Uint32(b[4:]) {
		return e, errEntryChecksum
	}
	if b[57]|b[58]|b[59] != 0 {
		return e, errEntryReserved
	}
	e.log.Index = le.Uint64(b[8:])
	e.log.Term = le.Uint64(b[16:])
	if at := int64(le.Uint64(b[24:])); at != 0 {
		e.log.AppendedAt = time.Unix(0, at).UTC()
	}
	e.durable = le.Uint64(b[32:])
	copy(e.prev[:], b[40:56])
	e.log.Type = raft.LogType(b[56])
	if ext > 0 {
		e.log.Extensions = b[entryHeader : entryHeader+ext : entryHeader+ext]
	}
	if data > 0 {
		e.log.Data = b[entryHeader+ext:]
	}
	return e, nil
}

// hashEntry returns the chain hash of an encoded entry. It covers the predecessor's hash, which the
// entry contains.
func hashEntry(b []byte) chainHash { return xxh3.Hash128(b).Bytes() }

// errWrapping means that the bytes raft-wal puts around an entry are not the expected ones.
var errWrapping = errors.New("unexpected bytes around the entry")

// unwrapEntry removes what raft-wal's binary codec puts around an entry: index, term 0, type 0 and
// length as uvarints before it, no extensions and the zero time after it. A custom codec would need no
// such wrapping, but raft-wal v0.4.1 cannot reopen a log written with one: it always records the id of
// the built-in codec.
func unwrapEntry(index uint64, b []byte) ([]byte, error) {
	head := binary.AppendUvarint(make([]byte, 0, 16), index)
	head = append(head, 0, byte(raft.LogCommand))
	if !bytes.HasPrefix(b, head) {
		return nil, errWrapping
	}
	b = b[len(head):]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, errWrapping
	}
	inner, tail := b[n:n+int(size)], b[n+int(size):]
	zero, err := time.Time{}.MarshalBinary()
	if err != nil || len(tail) != 1+len(zero) || tail[0] != 0 || !bytes.Equal(tail[1:], zero) {
		return nil, errWrapping
	}
	return inner, nil
}
