package main

import (
	"os"
	"runtime"
)

// spareProcessors is how much larger GOMAXPROCS is than the number of processors. Go polls the network when
// one of its processors (Ps) has no goroutine to run, and otherwise only every 10 ms. Under full ingest all
// of them are busy, so each step of an answer would wait that long. With a few more Ps, one of them is usually
// blocked in the network poll, and the operating system wakes it immediately and gives it a fair share.
const spareProcessors = 2

// addProcessors adds the spare processors to GOMAXPROCS, unless the environment sets it. It returns
// GOMAXPROCS without them.
func addProcessors() int {
	processors := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors + spareProcessors)
	}
	return processors
}
