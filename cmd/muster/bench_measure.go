package main

import (
	"context"

	"github.com/musterdb/muster/bench"
)

// measureFlags are what all measuring commands have in common.
type measureFlags struct {
	Size    string `help:"XS, S, M or L: 100k, 1M, 10M, 100M profiles with 2M, 20M, 200M, 500M events." default:"S"`
	Seed    uint64 `help:"Equal seeds make equal data." default:"1"`
	Results string `help:"Directory of the reports; the last one of a kind is compared with." default:"bench/results" placeholder:"DIR"`
}

type benchQueries struct {
	measureFlags
	Repeat  int    `help:"Times each question is timed, at least." default:"7"`
	Profile string `help:"Directory for processor profiles, one a question." type:"existingdir" placeholder:"DIR"`
}

// Run measures the engine alone; `make bench-peers` measures others beside it.
func (c *benchQueries) Run(ctx context.Context, a *app) error {
	size, err := bench.SizeByName(c.Size)
	if err != nil {
		return usageError{err}
	}
	muster, err := bench.NewMuster(bench.MusterConfig{})
	if err != nil {
		return err
	}
	return bench.RunQueries(ctx, bench.QueriesConfig{
		Compare: bench.CompareConfig{Size: size, Seed: c.Seed, Repeat: c.Repeat, Subjects: []bench.Subject{muster}, Touched: muster.Touched, Profile: c.Profile},
		Results: c.Results, Out: a.stdout, Flags: []string{"--size", size.Name},
	})
}
