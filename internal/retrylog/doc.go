// Package retrylog logs one line when an operation that is retried over and over begins to fail, and one line
// when it succeeds again, however many tries there are in between.
//
// Its nouns: Tries (the tries of one operation). Start reading at tries.go.
//
// It must not know what the operation is.
package retrylog
