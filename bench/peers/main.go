package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/musterdb/muster/bench"
)

// config is the command line.
type config struct {
	size    string
	seed    uint64
	repeat  int
	only    string
	python  string
	scratch string
	results string
	profile string
}

func main() {
	var c config
	flag.StringVar(&c.size, "size", "S", "XS, S, M or L")
	flag.Uint64Var(&c.seed, "seed", 1, "seed of the data")
	flag.IntVar(&c.repeat, "repeat", 7, "minimum number of timings of each question")
	flag.StringVar(&c.only, "only", "duckdb,clickhouse", "peers to compare Muster with")
	flag.StringVar(&c.python, "python", ".venv/bin/python", "Python that has chdb")
	flag.StringVar(&c.scratch, "scratch", scratch(), "directory for ClickHouse's files, preferably in memory")
	flag.StringVar(&c.results, "results", "../results", "directory for reports; empty for none")
	flag.StringVar(&c.profile, "profile", "", "directory for processor profiles of Muster, one per question")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, c)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// scratch returns a directory in memory if there is one.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

func run(ctx context.Context, c config) error {
	size, err := bench.SizeByName(c.size)
	if err != nil {
		return err
	}
	threads := runtime.GOMAXPROCS(0)
	muster, err := bench.NewMuster(bench.MusterConfig{Workers: threads})
	if err != nil {
		return err
	}
	subjects := []bench.Subject{muster}
	for name := range strings.SplitSeq(c.only, ",") {
		var peer bench.Subject
		switch strings.TrimSpace(name) {
		case "duckdb":
			peer, err = newDuck(ctx, threads)
		case "clickhouse":
			peer, err = newClick(ctx, c.python, c.scratch, threads)
		case "":
			continue
		default:
			err = fmt.Errorf("peer %q: want duckdb or clickhouse", name)
		}
		if err != nil {
			for _, s := range subjects {
				err = errors.Join(err, s.Close())
			}
			return err
		}
		subjects = append(subjects, peer)
	}
	return bench.RunQueries(ctx, bench.QueriesConfig{
		Compare: bench.CompareConfig{Size: size, Seed: c.seed, Repeat: c.repeat, Subjects: subjects, Touched: muster.Touched, Profile: c.profile},
		Results: c.results, Out: os.Stdout, Flags: os.Args[1:],
	})
}
