// Package lanes compares many small integers with one stretch at once and returns the answer as a set:
// one bit a value, 64 values a word.
//
// Its nouns: values (unsigned integers of 1, 2 or 4 bytes), the stretch lo to hi, the set of those
// inside, steps between neighbours, and what is asked of the memory ahead of its turn. It must not
// know columns or predicates.
//
// Where the processor has AVX2 or AVX-512, whole words are compared 32 or 64 bytes at a time by the assembly
// in within_amd64.s and wide_amd64.s, and sets are joined and counted by that in sets_amd64.s; the plain
// way of each is beside it in Go, which everything else takes and tests compare with. Start reading at
// lanes.go.
package lanes
