package main

import (
	"os"
	"runtime"
)

// spareProcessors is how many more goroutines may run at once than there are processors. Go looks at the
// network when a processor of its own runs out of goroutines, or every 10 ms; under full ingest none
// runs out, and each step of an answer waits as long. With some to spare one of them waits in the
// network's poll, and the system wakes it at once and gives it its share.
const spareProcessors = 2

// addProcessors lets Go use the spare ones, unless the environment says how many it may use. It returns
// how many there really are.
func addProcessors() int {
	real := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(real + spareProcessors)
	}
	return real
}
