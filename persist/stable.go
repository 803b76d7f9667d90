package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	wal "github.com/hashicorp/raft-wal"
)

// The stable store keeps raft's term and vote in raft-wal's bbolt file, whose data pages have no checksums.
// A damaged vote could be cast twice, so each value has its own checksum: crc32c(key, value), value.

// Set stores value under key, durably. If it cannot, the log fails, since raft would panic.
func (l *Log) Set(key, value []byte) error {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(value)), stableChecksum(key, value))
	err := l.w.Set(key, append(b, value...))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wal.ErrClosed):
		return fmt.Errorf("store %s: %w", key, ErrClosed)
	}
	return l.failAndBlock(fmt.Errorf("store %s: %w", key, err))
}

// Get returns the value under key, nil if there is none.
func (l *Log) Get(key []byte) ([]byte, error) {
	b, err := l.w.Get(key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if b == nil {
		return nil, nil
	}
	return decodeStable(key, b)
}

func decodeStable(key, b []byte) ([]byte, error) {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != stableChecksum(key, b[4:]) {
		return nil, &DamageError{Where: "stable store", Reason: fmt.Sprintf("the checksum of %s does not match", key)}
	}
	return b[4:], nil
}

// SetUint64 stores value under key, durably.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 returns the number under key, 0 if there is none.
func (l *Log) GetUint64(key []byte) (uint64, error) {
	b, err := l.Get(key)
	if err != nil || b == nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, &DamageError{Where: "stable store", Reason: fmt.Sprintf("%s is not a number", key)}
	}
	return binary.LittleEndian.Uint64(b), nil
}

func stableChecksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
