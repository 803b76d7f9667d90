package persist

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// A snapshot is a manifest, lists of its pages, and the pages. The manifest is written last, when
// everything else is durable: a snapshot without one does not exist. docs/format/snapshots.md draws both.
type manifest struct {
	id            snapshotID
	version       raft.SnapshotVersion
	configIndex   uint64
	configuration []byte // raft.EncodeConfiguration
	size          int64  // of the stream in bytes, including its end frame
	pages         uint64
	lists         uint64
}

// snapshotID orders snapshots by index, term and creation time.
type snapshotID struct {
	index, term, nano uint64
}

func (s snapshotID) String() string { return fmt.Sprintf("%d-%d-%d", s.index, s.term, s.nano) }

func parseSnapshotID(s string) (snapshotID, error) {
	var id snapshotID
	if _, err := fmt.Sscanf(s, "%d-%d-%d", &id.index, &id.term, &id.nano); err != nil || id.String() != s {
		return snapshotID{}, fmt.Errorf("snapshot id %q is malformed", s)
	}
	return id, nil
}

func (s snapshotID) key(kind byte, group string, rest ...uint64) []byte {
	return keyOf(kind, group, append([]uint64{s.index, s.term, s.nano}, rest...)...)
}

const manifestFixed = 44

func (m manifest) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(m.version))
	b = le.AppendUint64(b, m.configIndex)
	b = le.AppendUint64(b, uint64(m.size))
	b = le.AppendUint64(b, m.pages)
	b = le.AppendUint64(b, m.lists)
	b = le.AppendUint64(b, uint64(len(m.configuration)))
	return append(b, m.configuration...)
}

func decodeManifest(id snapshotID, b []byte) (manifest, error) {
	le := binary.LittleEndian
	if len(b) < manifestFixed || uint64(len(b)-manifestFixed) != le.Uint64(b[36:]) {
		return manifest{}, errors.New("manifest length does not match")
	}
	return manifest{
		id:            id,
		version:       raft.SnapshotVersion(le.Uint32(b)),
		configIndex:   le.Uint64(b[4:]),
		size:          int64(le.Uint64(b[12:])),
		pages:         le.Uint64(b[20:]),
		lists:         le.Uint64(b[28:]),
		configuration: append([]byte(nil), b[manifestFixed:]...),
	}, nil
}

func (m manifest) meta() (meta *raft.SnapshotMeta, err error) {
	// DecodeConfiguration returns no error but panics on malformed bytes. A damaged manifest must only be left
	// out.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("configuration is unreadable: %v", p)
		}
	}()
	return &raft.SnapshotMeta{
		Version: m.version, ID: m.id.String(), Index: m.id.index, Term: m.id.term,
		Configuration: raft.DecodeConfiguration(m.configuration), ConfigurationIndex: m.configIndex,
		Size: m.size,
	}, nil
}

// listEntry is a page in a list: its frame without the data.
type listEntry struct {
	kind    uint8
	key     []byte
	dataLen int
	hash    pageHash
}

// listSize is about how many bytes a list has before the next one begins.
const listSize = 512 << 10

func appendListEntry(b []byte, e listEntry) []byte {
	b = append(b, e.kind)
	b = binary.AppendUvarint(b, uint64(len(e.key)))
	b = binary.AppendUvarint(b, uint64(e.dataLen))
	b = append(b, e.hash[:]...)
	return append(b, e.key...)
}

// nextListEntry decodes the first entry of b. The entry's key aliases b.
func nextListEntry(b []byte) (e listEntry, rest []byte, err error) {
	bad := errors.New("page list is malformed")
	if len(b) < 1 {
		return e, nil, bad
	}
	e.kind, b = b[0], b[1:]
	keyLen, n := binary.Uvarint(b)
	if n <= 0 || keyLen > MaxPageKey {
		return e, nil, bad
	}
	b = b[n:]
	dataLen, n := binary.Uvarint(b)
	if n <= 0 || dataLen > MaxPage || uint64(len(b)-n) < uint64(len(e.hash))+keyLen {
		return e, nil, bad
	}
	b = b[n:]
	e.dataLen = int(dataLen)
	b = b[copy(e.hash[:], b):]
	e.key = b[:keyLen]
	return e, b[keyLen:], nil
}
