# The developer's commands. `make` alone builds.
GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s

.PHONY: build demo test race check fmt vet staticcheck lint generated fuzz conformance test-sdks test-crash test-faults test-live test-scale bench bench-peers clean

build:
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/muster ./cmd/muster

demo: build
	./bin/muster demo

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# The automatic checks of the house style. CI runs this and `make test`.
check: fmt vet staticcheck lint generated

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted (run gofmt -w):"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

lint:
	$(GO) test -count=1 ./internal/lint

# Runs the generators and fails if a generated file changes.
generated:
	@dirs=$$(git grep -l '^//go:generate' -- '*.go' | xargs -r -n1 dirname | sort -u); \
	for d in $$dirs; do (cd $$d && $(GO) generate .) && git diff --exit-code --stat -- $$d || exit 1; done

# Runs every fuzzer for FUZZTIME.
fuzz:
	@for f in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
			echo "== $$name in $$(dirname $$f)"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f) || exit 1; \
		done; done

# Compares answers with those of other databases on real data. Needs ../shared next to the repository.
conformance: build
	../shared/conformance/run --muster ./bin/muster --crash

# Runs the unmodified npm SDKs against a node that throttles and is killed (needs Node 20 and npm). It does
# not use npm ci, which refuses the lock file if a registry lacks optional packages for other platforms.
test-sdks: build
	cd test/sdks && npm install --no-save --silent --no-audit --no-fund && npm test

# Kills the node (kill -9) during imports, imports again, and checks exact counts.
test-crash: build
	MUSTER_CRASH_ROUNDS=10 $(GO) test -count=1 -v -timeout 20m -run Crash ./internal/systest

# Full disks, failed writes, kills, pauses and flipped bytes with real processes (a few minutes; the full
# disks need root for a small tmpfs, and the failed writes need strace).
test-faults: build
	MUSTER_FAULTS=1 $(GO) test -count=1 -v -timeout 15m -run 'Disk|Failed|Killed|Stopped|Paused|Flipped' ./internal/systest

# Random histories with 50 random live segments, readers that come and go over every transport, kill -9:
# ROUNDS seeds of about 40 s each. MUSTER_LIVE_SEED runs a single seed, such as one that failed.
ROUNDS ?= 10
test-live: build
	MUSTER_LIVE_ROUNDS=$(ROUNDS) $(GO) test -count=1 -v -timeout 60m -run 'TestLive$$|TestAbandonedCart' ./internal/systest

# Loads SCALE people and three times as many strings of every naming scheme into one shard of the engine and
# into a node, looks up every one, counts everything in two ways, and repeats that after a restart (about 10
# minutes and 3 GB).
SCALE ?= 1000000
test-scale: build
	MUSTER_SCALE=$(SCALE) $(GO) test -count=1 -v -timeout 40m -run 'TestScale$$' ./engine ./internal/systest

# Measures Muster alone on SIZE (XS, S, M, L). Reports go to bench/results.
SIZE ?= S
bench: build
	./bin/muster bench queries --size $(SIZE) --results bench/results

# Compares Muster with DuckDB and ClickHouse (Go driver and chDB, which needs Python 3 with venv).
# -mod=mod, since api, engine and query may need more modules than when bench/peers was last tidied.
bench-peers: bench/peers/.venv/installed
	cd bench/peers && $(GO) run -mod=mod . -size $(SIZE)

bench/peers/.venv/installed: bench/peers/requirements.txt
	python3 -m venv bench/peers/.venv
	bench/peers/.venv/bin/pip install -q --disable-pip-version-check -r bench/peers/requirements.txt
	touch $@

clean:
	rm -rf bin
