# quicprochat: every task has a target here, and the continuous integration calls the same ones.

# One set of flags everywhere: other flags would compile the desktop toolkit a second time (minutes).
export GOFLAGS := -buildvcs=false -tags=sqlite_fts5

VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS    := -X quicprochat/core/version.Version=$(VERSION)
BIN        := $(CURDIR)/bin
FUZZTIME   ?= 1m
BENCHTIME  ?= 1s
MLSBENCHTIME ?= 200ms

# Tools outside the module, pinned; built without the flags above.
GOFUMPT     := GOFLAGS=-buildvcs=false go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := GOFLAGS=-buildvcs=false go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags sqlite_fts5
PROTOC_GEN  := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12

SOURCES := $(shell find app ui core server proto -name '*.go' -not -name '*.pb.go')

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: deps-build ## Install what is missing, build, and open the desktop app (a demo where there is no display)
	@if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY" ] && [ -z "$$WAYLAND_DISPLAY" ]; then \
		echo "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so this runs the demo instead."; \
		$(MAKE) --no-print-directory demo; \
	else \
		$(MAKE) --no-print-directory build && exec $(BIN)/quicprochat; \
	fi

.PHONY: demo
demo: deps-test build ## Two app windows, a server and a headless third talk; leaves screenshots
	go run ./app/demo -bin $(BIN) -out $(CURDIR)/dist/demo

.PHONY: screenshots
screenshots: demo ## Take the README's screenshots anew
	mkdir -p docs/images
	cp dist/demo/alice-light.png docs/images/conversation-light.png
	cp dist/demo/bob-group-dark.png docs/images/group-dark.png

.PHONY: build
build: ## Build the three programs into bin/
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/quicprochat ./app/quicprochat
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/qpc ./app/qpc
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $(BIN)/qpc-server ./app/qpc-server

.PHONY: server
server: ## Build only the server: one static binary, no C compiler needed
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $(BIN)/qpc-server ./app/qpc-server

.PHONY: test
test: deps-test build test-go test-fuzz ## The whole suite: unit, integration, end to end, windows, short fuzzing

# What has goroutines runs under the race detector. The rest of ui stays on one goroutine by
# construction, and compiling the toolkit a second time for it would take minutes. core/mls has
# goroutines in one place, when it seals a path; its vectors on big curves take minutes under the detector.
RACE  = $$(go list ./core/... ./server/... ./ui/controller ./ui/drive ./app/e2e | grep -v core/mls)
PLAIN := ./app ./app/qpc ./app/qpc-server ./app/demo ./core/mls ./core/mls/interop/mlsstdio ./ui/theme ./ui/timeline ./ui/view ./ui/widgets

.PHONY: test-go
test-go:
	QPC_BIN=$(BIN) go test -timeout 10m $(PLAIN)
	go test -race -timeout 10m -run 'TestConversation|TestWorld' ./core/mls
	go test -race -timeout 10m $(RACE)

KILLS ?= 200

.PHONY: soak
soak: ## Kill a server under load KILLS times (default 200; make test does 10) and look for what is lost
	QPC_TEST_KILLS=$(KILLS) go test -count=1 -v -timeout 30m -run TestKilledUnderLoad ./server

.PHONY: test-cluster
test-cluster: deps-test ## The same with the servers of a cluster
	QPC_TEST_KILLS=$(KILLS) go test -count=1 -v -timeout 30m -run TestClusterKilled ./server

.PHONY: test-fuzz
test-fuzz:
	.ci/fuzz 2000x

.PHONY: fuzz
fuzz: deps-build ## Fuzz every decoder, FUZZTIME each (default 1m)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: deps-build ## Run the benchmarks that docs/performance.md reports
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) $$(go list ./... | grep -v -e quicprochat/app/quicprochat)

# Rounds of ours and of the peer take turns, so that a busy disk is fair to both. Run it on a quiet
# machine; every line stands for itself.
.PHONY: bench-server
bench-server: deps-test ## Measure the server: durable posts beside NATS JetStream, fan-out, idle connections, start, several servers
	ulimit -n $$(ulimit -Hn) && go test -run '^$$' -bench 'BenchmarkServer(Durable|Idle)' -benchtime 1x -timeout 30m ./server
	go test -run '^$$' -bench BenchmarkServerFanOut -benchtime 100x -timeout 30m ./server
	go test -run '^$$' -bench BenchmarkServerStart -benchtime 3x -timeout 30m ./server
	go test -run '^$$' -bench BenchmarkPostsPostgres -benchtime 3s -timeout 30m ./server
	go test -run '^$$' -bench 'BenchmarkPost/(1|16|1000|parallel64)$$' -benchtime 300x ./server/storage/sqlite ./server/storage/postgres

# ts-mls gets a folder of its own: nothing of it belongs to the build.
TSMLS := $(CURDIR)/dist/tsmls

.PHONY: bench-mls
bench-mls: deps-build ## Measure core/mls beside what it cannot do without, and beside ts-mls
	go test -run '^$$' -bench BenchmarkMLS -benchtime $(MLSBENCHTIME) -timeout 60m ./core/mls
	@if ! command -v npm >/dev/null; then \
		echo "SKIPPED: measuring ts-mls needs Node 20 or later with npm, and there is none here."; \
	elif $(MAKE) --no-print-directory $(TSMLS)/installed; then \
		cd $(TSMLS) && node bench.mjs; \
	else \
		echo "SKIPPED: ts-mls could not be installed into $(TSMLS)."; \
	fi

.PHONY: interop
interop: ## Let core/mls talk with ts-mls (needs Node and npm; skipped without)
	@if command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null; then \
		$(MAKE) --no-print-directory $(TSMLS)/installed && \
		QPC_INTEROP=$(TSMLS) go test -count=1 -v -timeout 15m -run TSMLS ./core/mls/interop/mlsstdio; \
	else \
		echo "SKIPPED: interop needs Node 20 or later with npm, and there is none here."; \
	fi

$(TSMLS)/installed: $(wildcard core/mls/interop/tsmls/*)
	@mkdir -p $(TSMLS)
	cp core/mls/interop/tsmls/*.mjs core/mls/interop/tsmls/*.json $(TSMLS)
	cd $(TSMLS) && npm ci --no-audit --no-fund
	@touch $@

.PHONY: check
check: deps-build ## Format, vet, lint, layering
	@out=$$($(GOFUMPT) -l $(SOURCES)); if [ -n "$$out" ]; then echo "Not gofumpt-clean (make format):"; echo "$$out"; exit 1; fi
	go mod verify
	go vet ./...
	$(STATICCHECK) ./...
	go test -count=1 ./app

.PHONY: format
format: ## Format the code
	$(GOFUMPT) -w $(SOURCES)

.PHONY: proto
proto: ## Generate the Go code of the .proto files (needs protoc)
	GOFLAGS=-buildvcs=false GOBIN=$(BIN) go install $(PROTOC_GEN)
	protoc --plugin=$(BIN)/protoc-gen-go -I proto --go_out=. --go_opt=module=quicprochat proto/qpc/v1/*.proto

.PHONY: deps-build
deps-build: # System packages that compiling the desktop app needs
	@.ci/deps build

.PHONY: deps-test
deps-test: # and those that run it without a display
	@.ci/deps build test

.PHONY: clean
clean: ## Remove what the build made
	rm -rf $(BIN) dist
