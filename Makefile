# Everything that people and CI do here. CARGO_TARGET_DIR is honoured.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/whitewater
target := $(or $(CARGO_TARGET_DIR),target)
# Where scripts/setup.sh puts what the system lacks.
export PATH := $(HOME)/.cargo/bin:$(cache)/node/node_modules/node/bin:$(PATH)

pages := web-demo/dist/index.html
page_modules := web-demo/node_modules/.package-lock.json
page_sources := $(shell find web-demo -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help
help:
	@echo 'make run     build and start the server, pages included'
	@echo 'make build   build everything, release: $(target)/release/whitewater'
	@echo 'make test    check, and run every test'
	@echo 'make bench   measure a release build on loopback, against a bare loop'
	@echo 'make flood   flood a release build on loopback, while viewers watch'
	@echo 'make fuzz    fuzz every target for SECONDS (60)'
	@echo 'make check   formatting, lints, walls, documents, licences'
	@echo 'make setup   install what is missing (the others do it too)'

.PHONY: setup
setup:
	@scripts/setup.sh build

.PHONY: setup-tests
setup-tests:
	@scripts/setup.sh tests

.PHONY: setup-bench
setup-bench:
	@scripts/setup.sh bench

.PHONY: build
build: setup $(pages)
	cargo build --locked --workspace --release

.PHONY: run
run: build
	$(target)/release/whitewater serve

.PHONY: check
check: setup-tests $(page_modules)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	cargo test --locked --test tidy
	scripts/deny.sh
	'$(cache)/check-jsonschema/bin/check-jsonschema' --builtin-schema vendor.compose-spec docker-compose.yml
	cd web-demo && npm run check

.PHONY: test
test: check $(pages)
	cargo test --locked --workspace --no-fail-fast
	cd web-demo && npm test
	scripts/browser-tests.sh
	cargo test --locked --test readme -- --ignored
	scripts/firewall-test.sh

.PHONY: bench
bench: setup-bench build
	CARGO_TARGET_DIR='$(target)' scripts/bench.sh
	CARGO_TARGET_DIR='$(target)' scripts/bench.sh hls
	CARGO_TARGET_DIR='$(target)' scripts/bench.sh recording
	CARGO_TARGET_DIR='$(target)' scripts/bench.sh glass

.PHONY: flood
flood: build
	CARGO_TARGET_DIR='$(target)' scripts/flood.sh

.PHONY: fuzz
fuzz: setup
	scripts/fuzz.sh $(or $(SECONDS),60)

# The order: setup may have to bring npm first.
$(page_modules): web-demo/package-lock.json | setup
	cd web-demo && npm ci --no-audit --no-fund
	@touch $@

$(pages): $(page_modules) $(page_sources)
	cd web-demo && npm run build
	@touch $@
