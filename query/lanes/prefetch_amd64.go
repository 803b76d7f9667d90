package lanes

import "unsafe"

//go:noescape
func prefetch512(first unsafe.Pointer)

//go:noescape
func prefetch64(at unsafe.Pointer)

// PrefetchLine prefetches the cache line of *at.
func PrefetchLine[T any](at *T) { prefetch64(unsafe.Pointer(at)) }

// Prefetch prefetches the first 512 bytes at next.
func Prefetch[T any](next *T) { prefetch512(unsafe.Pointer(next)) }

// PrefetchValues prefetches the first 512 bytes of values that will be read soon. Pages are apart in memory, and
// waiting for one takes longer than comparing its values.
func PrefetchValues[T Value](vals []T) {
	if len(vals) > 0 {
		prefetch512(unsafe.Pointer(&vals[0]))
	}
}
