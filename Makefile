# Longwire's build. `make` alone lists what there is to do.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= longwire:$(VERSION)
FUZZ    ?= 30s
SOAK    ?= 10m

# The linter and the generator have a go.mod of their own, so that what they need never touches ours. They are built once.
TOOLS    := $(CURDIR)/bin/tools
LINTER   := bin/tools/golangci-lint
CODEGEN  := bin/tools/oapi-codegen

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list what there is to do
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/longwire
	CGO_ENABLED=0 $(GO) build -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/longwire .

.PHONY: run
run: build ## build it and serve on 127.0.0.1:8080, with everything in ./data
	LONGWIRE_LISTEN="$${LONGWIRE_LISTEN:-127.0.0.1:$${PORT:-8080}}" LONGWIRE_OPS_LISTEN="$${LONGWIRE_OPS_LISTEN-127.0.0.1:9090}" exec bin/longwire serve

.PHONY: test
test: ## run all tests with the race detector, beside a MariaDB or MySQL and a Redis of their own
	scripts/need 'gcc,libc6-dev=$(firstword $(shell $(GO) env CC) gcc)' curl=curl nodejs=node 'chromium=chromium|chromium-browser|google-chrome'
	CGO_ENABLED=1 scripts/with-servers $(GO) test -race -timeout 23m -p 2 ./...

.PHONY: fuzz
fuzz: ## run each fuzz test for 30s, or for FUZZ=2m
	GO=$(GO) scripts/fuzz $(FUZZ)

.PHONY: chaos
chaos: ## attack a cluster with 120 faults and a million deliveries, about ten minutes
	scripts/with-servers $(GO) test ./e2e -count=1 -run '^TestChaos$$' -timeout 60m -v -args -chaos.race=false -chaos.faults=120 \
		-chaos.nodes=3 -chaos.members=50 -chaos.pace=150ms -chaos.deliveries=1000000 -chaos.minutes=30

.PHONY: soak
soak: ## load two nodes for ten minutes and check that what they take stays the same; SOAK=1h for longer
	scripts/with-servers $(GO) test ./e2e -count=1 -run '^TestSoak$$' -timeout 24h -v -args -soak.race=false -soak.time=$(SOAK) \
		-soak.people=40 -soak.pace=1s

.PHONY: bench
bench: ## measure it beside a bare loop that keeps nothing, less than five minutes; BENCH=--full for all
	GO=$(GO) scripts/bench $(BENCH)

.PHONY: lint
lint: $(LINTER) ## check style, mistakes, the direction of imports, and that imports and calls which are forbidden are found
	$(LINTER) run ./...
	scripts/prove-depguard $(LINTER)
	scripts/prove-forbidigo $(LINTER)

.PHONY: format
format: $(LINTER) ## put all Go files in form
	$(LINTER) fmt

.PHONY: generate
generate: $(CODEGEN) ## write the generated code anew, from openapi/openapi.yaml
	PATH="$(TOOLS):$$PATH" $(GO) generate ./...

.PHONY: verify
verify: $(CODEGEN) ## check that generated code and go.mod are what they are made from
	MAKE='$(MAKE)' scripts/verify-generated
	$(GO) mod tidy -diff

.PHONY: image
image: ## build the container image longwire, also tagged longwire:VERSION
	docker build --build-arg VERSION='$(VERSION)' -t '$(IMAGE)' -t longwire .

.PHONY: clean
clean: ## remove what was built, but not ./data
	rm -rf bin

$(LINTER): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CODEGEN): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen
