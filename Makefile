# pgtee: `make` alone prints the targets. What each needs is installed by tools/install.sh.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CONFIGURATION ?= debug
# Seconds for each fuzz target.
SECONDS ?= 60
# Minutes of the soak run.
MINUTES ?= 10

export SEED

.PHONY: help build release demo test fuzz soak regress bench-relay lint clean install-tools

help: ## Print this help
	@echo 'pgtee: one address for every tenant, and each tenant'"'"'s own PostgreSQL cluster behind it'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: ONCE=1 (demo ends by itself), QUICK=1 (test, bench-relay: less of each),'
	@echo '           SECONDS=60 (fuzz, each target), MINUTES=10 (soak), SEED=n (repeat a run)'

build: ## Build pgtee for development (.build/debug/pgtee)
	@tools/install.sh build
	swift build --product pgtee

release: ## Build pgtee for use (.build/release/pgtee)
	@tools/install.sh build
	swift build --configuration release --product pgtee --static-swift-stdlib

demo: ## Two real clusters behind one address, step by step; Ctrl-C or ONCE=1 ends it
	@tools/install.sh demo
	@ONCE=$(ONCE) tools/demo.sh

test: ## Install what is missing and run every test (QUICK=1: no fuzzing, no demo)
	@QUICK=$(QUICK) tools/test.sh

fuzz: ## Fuzz each decoder for SECONDS=60
	@tools/install.sh build
	SECONDS=$(SECONDS) tools/fuzz.sh

soak: ## A release build under load and faults for MINUTES=10
	@tools/install.sh test
	tools/soak.sh $(MINUTES)

regress: ## PostgreSQL's regression suite, direct and through pgtee: the differences
	@tools/install.sh regress
	swift build --product pgtee
	tools/regress.sh

bench-relay: ## Measure the relay beside PgBouncer, HAProxy and bare relays (QUICK=1: fewer rounds)
	@tools/install.sh bench
	swift build --configuration release --product pgtee --static-swift-stdlib
	python3 tools/bench/relay.py $(if $(QUICK),--quick)

lint: ## Check the layout of the code and the house rules
	@tools/lint.sh

install-tools: ## Install what tests, the suite and benchmarks need, and nothing else
	@tools/install.sh regress
	@tools/install.sh bench

clean: ## Remove what builds, tests and the demo left behind
	rm -rf .build .build-* .demo
