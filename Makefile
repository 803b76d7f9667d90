# Everything a developer does here. `make` alone builds.
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

# What a machine can see of the house style. CI runs this and `make test`.
check: fmt vet staticcheck lint generated

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted (run gofmt -w):"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

lint:
	$(GO) test -count=1 ./internal/lint

# Runs the generators and fails if a generated file was not what they make.
generated:
	@dirs=$$(git grep -l '^//go:generate' -- '*.go' | xargs -r -n1 dirname | sort -u); \
	for d in $$dirs; do (cd $$d && $(GO) generate .) && git diff --exit-code --stat -- $$d || exit 1; done

# Every fuzzer for FUZZTIME each.
fuzz:
	@for f in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
			echo "== $$name in $$(dirname $$f)"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f) || exit 1; \
		done; done

# Answers computed by other databases on real data, if the data lies beside the repository.
conformance: build
	../shared/conformance/run --muster ./bin/muster --crash

# The unmodified npm SDKs against a node that throttles and is killed (needs Node 20 and npm). Not npm
# ci: it refuses the lock file where a registry lacks optional packages for other platforms.
test-sdks: build
	cd test/sdks && npm install --no-save --silent --no-audit --no-fund && npm test

# kill -9 in the middle of an import, import again, exact counts.
test-crash: build
	MUSTER_CRASH_ROUNDS=10 $(GO) test -count=1 -v -timeout 20m -run Crash ./internal/systest

# Full disks, failed writes, kills, pauses and flipped bytes, done to real processes (a few minutes; the
# full disks need root, for a small tmpfs, and the failed writes strace).
test-faults: build
	MUSTER_FAULTS=1 $(GO) test -count=1 -v -timeout 15m -run 'Disk|Failed|Killed|Stopped|Paused|Flipped' ./internal/systest

# Random histories with 50 random live segments, readers that come and go over every transport, kill -9:
# ROUNDS seeds of about 40 s each. A seed that failed runs alone with MUSTER_LIVE_SEED.
ROUNDS ?= 10
test-live: build
	MUSTER_LIVE_ROUNDS=$(ROUNDS) $(GO) test -count=1 -v -timeout 60m -run 'TestLive$$|TestAbandonedCart' ./internal/systest

# SCALE people and three times as many strings of every naming scheme, through one shard of the engine and
# through a node: every one looked up, everything counted in two ways, again after a restart (about 10
# minutes and 3 GB).
SCALE ?= 1000000
test-scale: build
	MUSTER_SCALE=$(SCALE) $(GO) test -count=1 -v -timeout 40m -run 'TestScale$$' ./engine ./internal/systest

# Muster alone: questions on SIZE (XS, S, M, L). Reports go to bench/results.
SIZE ?= S
bench: build
	./bin/muster bench queries --size $(SIZE) --results bench/results

# The same beside DuckDB and ClickHouse (Go driver and chDB, which needs Python 3 with venv).
# -mod=mod: what api, engine and query need may have grown since the module of the peers was tidied.
bench-peers: bench/peers/.venv/installed
	cd bench/peers && $(GO) run -mod=mod . -size $(SIZE)

bench/peers/.venv/installed: bench/peers/requirements.txt
	python3 -m venv bench/peers/.venv
	bench/peers/.venv/bin/pip install -q --disable-pip-version-check -r bench/peers/requirements.txt
	touch $@

clean:
	rm -rf bin
