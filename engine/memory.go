package engine

import "unsafe"

// bytesOf returns the memory of numbers as bytes. Snapshots store numbers in this form:
// little-endian, the only byte order that Muster supports.
func bytesOf[T int8 | uint16 | uint32 | uint64 | int64](numbers []T) []byte {
	if len(numbers) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), len(numbers)*int(unsafe.Sizeof(numbers[0])))
}

// wordsOf copies bytes into whole words for cells.
func wordsOf(data []byte) []uint64 {
	words := make([]uint64, (len(data)+7)/8)
	copy(bytesOf(words), data)
	return words
}
