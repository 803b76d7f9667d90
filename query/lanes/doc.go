// Package lanes compares many small integers with a range and returns the result as a set, with one bit per
// value and 64 values per word.
//
// Its nouns: values (unsigned integers of 1, 2 or 4 bytes), the range lo to hi, the set of values inside it,
// steps between adjacent values, and prefetching. It must not know columns or predicates.
//
// On processors with AVX2 or AVX-512, the assembly in within_amd64.s and wide_amd64.s compares whole words 32 or
// 64 bytes at a time, and that in sets_amd64.s joins and counts sets. Each has a plain version in Go, which
// other processors use and tests compare with. Start reading at lanes.go.
package lanes
