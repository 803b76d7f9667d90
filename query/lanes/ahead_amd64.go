package lanes

import "unsafe"

//go:noescape
func ahead(first unsafe.Pointer)

//go:noescape
func aheadLine(at unsafe.Pointer)

// AheadLine has the processor load the cache line something lies in.
func AheadLine[T any](at *T) { aheadLine(unsafe.Pointer(at)) }

// AheadOf has the processor load 512 bytes from the beginning of what will be read soon.
func AheadOf[T any](next *T) { ahead(unsafe.Pointer(next)) }

// Ahead has the processor load the first 512 bytes of values that will be asked for soon. Pages lie apart
// in memory: who waits for each of them waits longer than comparing takes.
func Ahead[T Value](vals []T) {
	if len(vals) > 0 {
		ahead(unsafe.Pointer(&vals[0]))
	}
}
