// Package retrylog writes one line when something that is tried again and again begins to fail, and one when it
// works again, however often it is tried in between.
//
// Its nouns: Tries (of one thing). Start reading at tries.go.
//
// It must not know what is tried.
package retrylog
