package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Persist reads raft-wal's segment files itself, because raft-wal drops everything after the first frame it
// cannot read. That is right for a torn write, but loses acknowledged entries when the frame is damaged. The
// layout is that of raft-wal v0.4.1, package segment.
const (
	walFileHeader  = 32
	walFrameHeader = 8
	walMagic       = 0x58eb6b0d

	walFrameEntry  = 1
	walFrameIndex  = 2
	walFrameCommit = 3
)

// segmentScan is the result of reading a segment file.
type segmentScan struct {
	last uint64 // highest committed index, 0 if none
	end  int    // where the committed bytes end
	size int    // of the file
	torn bool   // there are nonzero bytes after end

	// sealed reports whether the committed bytes end with an index, which raft-wal writes before it updates
	// its metadata; indexStart is the offset of the index's array.
	sealed     bool
	indexStart uint64

	// claim is the highest index that an intact entry after the committed bytes declares durable.
	claim uint64
}

// segmentFrames is the structure of a segment: the offsets of its entries, and where its valid bytes end.
type segmentFrames struct {
	offsets    []int // of payloads of committed entries
	lengths    []int
	end        int
	sealed     bool
	indexStart uint64
}

func segmentPath(dir string, info types.SegmentInfo) string {
	return filepath.Join(dir, segment.FileName(info))
}

// scanSegment reads the segment that info describes and calls visit with the bytes of each entry that
// belongs to the log, in order. visit must not keep the bytes.
func scanSegment(dir string, id uint64, info types.SegmentInfo, visit func(index uint64, b []byte) error) (segmentScan, error) {
	path := segmentPath(dir, info)
	b, err := os.ReadFile(path)
	if err != nil {
		return segmentScan{}, fmt.Errorf("read segment: %w", err)
	}
	fr := parseFrames(b)
	scan := segmentScan{end: fr.end, size: len(b), sealed: fr.sealed, indexStart: fr.indexStart}
	damage := func(index uint64, reason string) error {
		return &DamageError{Where: "segment " + filepath.Base(path), Index: index, Reason: reason}
	}
	if n := len(fr.offsets); n > 0 {
		if !headerMatches(b, info) {
			return scan, damage(info.BaseIndex, "the file header does not match the metadata")
		}
		scan.last = info.BaseIndex + uint64(n) - 1
	}
	if !info.SealTime.IsZero() {
		if reason := checkIndex(b, fr, info); reason != "" {
			return scan, damage(info.MinIndex, reason)
		}
		if scan.last < info.MaxIndex {
			return scan, damage(scan.last+1, "the sealed segment ends too early")
		}
		scan.last = info.MaxIndex
	} else {
		rest := b[min(fr.end, len(b)):]
		scan.torn = len(bytes.Trim(rest, "\x00")) > 0
		scan.claim = searchClaims(rest, id)
	}
	if visit == nil {
		return scan, nil
	}
	for i, off := range fr.offsets {
		index := info.BaseIndex + uint64(i)
		if index < info.MinIndex {
			continue // truncated at the front
		}
		if index > scan.last {
			break // truncated at the back
		}
		inner, err := unwrapEntry(index, b[off:off+fr.lengths[i]])
		if err != nil {
			return scan, &DamageError{Where: "segment " + filepath.Base(path), Index: index, Reason: "unreadable entry", Cause: err}
		}
		if err := visit(index, inner); err != nil {
			return scan, err
		}
	}
	return scan, nil
}

// parseFrames walks the frames as raft-wal's recovery does: up to the first invalid one, and back to the
// last commit whose checksum is right. Like raft-wal, it accepts the last commit unchecked when entries
// follow it, since they were only written after the commit was fsynced; the entries have their own
// checksums.
func parseFrames(b []byte) segmentFrames {
	type commit struct {
		offset, crcStart, entries int
		crc                       uint32
		indexStart                uint64
	}
	var fr segmentFrames
	var prev, final *commit
	var indexStart uint64
	for off := walFileHeader; off+walFrameHeader <= len(b); {
		kind, n := b[off], int(binary.LittleEndian.Uint32(b[off+4:]))
		if kind != walFrameEntry && kind != walFrameIndex && kind != walFrameCommit {
			break
		}
		if kind == walFrameCommit {
			c := &commit{offset: off, entries: len(fr.offsets), crc: uint32(n), indexStart: indexStart}
			if final != nil {
				c.crcStart = final.offset + walFrameHeader
			}
			prev, final = final, c
			off += walFrameHeader
			continue
		}
		if n > len(b)-off-walFrameHeader {
			break
		}
		if kind == walFrameEntry {
			fr.offsets = append(fr.offsets, off+walFrameHeader)
			fr.lengths = append(fr.lengths, n)
		} else {
			indexStart = uint64(off + walFrameHeader)
		}
		off += walFrameHeader + (n+7)&^7
	}
	if final != nil && final.entries == len(fr.offsets) &&
		crc32.Checksum(b[final.crcStart:final.offset], castagnoli) != final.crc {
		final = prev
	}
	if final == nil {
		return segmentFrames{}
	}
	fr.offsets, fr.lengths = fr.offsets[:final.entries], fr.lengths[:final.entries]
	fr.end = final.offset + walFrameHeader
	fr.indexStart = final.indexStart
	fr.sealed = final.indexStart > 0
	return fr
}

func headerMatches(b []byte, info types.SegmentInfo) bool {
	le := binary.LittleEndian
	return len(b) >= walFileHeader && le.Uint64(b) == walMagic && le.Uint64(b[8:]) == info.BaseIndex &&
		le.Uint64(b[16:]) == info.ID && le.Uint64(b[24:]) == info.Codec
}

// checkIndex compares a sealed segment's index, which raft-wal reads by, with the offsets of its entries.
func checkIndex(b []byte, fr segmentFrames, info types.SegmentInfo) string {
	if !fr.sealed || fr.indexStart != info.IndexStart {
		return "a sealed segment has no index"
	}
	start := int(info.IndexStart)
	if start+4*len(fr.offsets) > len(b) {
		return "the index goes beyond the end of the file"
	}
	for i, off := range fr.offsets {
		if int(binary.LittleEndian.Uint32(b[start+4*i:])) != off-walFrameHeader {
			return "the index does not match the entries"
		}
	}
	return ""
}

// searchClaims searches the bytes that recovery gives up for intact entries. It returns the highest index
// that one of them declares durable.
func searchClaims(b []byte, id uint64) uint64 {
	magic := binary.LittleEndian.AppendUint32(nil, entryMagic)
	var claim uint64
	for {
		i := bytes.Index(b, magic)
		if i < 0 {
			return claim
		}
		b = b[i:]
		n := entrySize(b)
		if n > 0 {
			if e, err := decodeEntry(id, b[:n]); err == nil {
				claim = max(claim, min(e.durable, e.log.Index-1))
				b = b[n:]
				continue
			}
		}
		b = b[len(magic):]
	}
}

// cutTorn zeroes the bytes after the committed ones in a tail segment. raft-wal leaves them and writes over
// them, so a shorter batch would leave the rest of a torn one after its commit.
func cutTorn(dir string, info types.SegmentInfo, scan segmentScan) error {
	f, err := os.OpenFile(segmentPath(dir, info), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cut torn tail: %w", err)
	}
	defer f.Close()
	if scan.torn {
		if err := errors.Join(f.Truncate(int64(scan.end)), f.Truncate(int64(scan.size))); err != nil {
			return fmt.Errorf("cut torn tail: %w", err)
		}
	}
	// The fsync also makes an entry durable that was complete only in the page cache: from here on raft counts
	// it as stored.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync tail: %w", err)
	}
	return nil
}
