# `make run` and `make test` do all of their own set-up on a fresh Debian 12 or newer that has cargo.
# The work is in tests/machine/*.sh, one script per target.

SHELL := /bin/bash
MACHINE := tests/machine
.DEFAULT_GOAL := help
.PHONY: help run build test lint fuzz bench kernels soak fresh image deb deb-check static kind-check manifests

help:
	@echo 'make run     install what the build needs, build, and start Lanner in the foreground (root)'
	@echo 'make test    install what the tests need, and run all of them, on the real kernel and containerd too (root)'
	@echo 'make build   install what the build needs, and build target/release/lanner'
	@echo 'make image   build, and pack target/lanner-image.tar, a container image for `docker load` or `ctr images import`'
	@echo 'make deb     build, and pack target/debian/lanner_VERSION_ARCHITECTURE.deb'
	@echo 'make deb-check  that package in a minimal Debian: without systemd, with it, and from a signed repository (root)'
	@echo 'make static  build a program that needs no library of its host, and run it where there is none (root)'
	@echo 'make kind-check  what can be checked of kind-config/ without a cluster'
	@echo 'make manifests  write the plain manifests that are made out of the Helm chart'
	@echo 'make lint    formatting and clippy'
	@echo 'make fuzz    a minute of random input for each parser; FUZZ_SECONDS=... for longer'
	@echo 'make bench   what watching costs on this machine and in a counted guest, and how fast Lanner starts (root)'
	@echo 'make kernels the driver tests and counted instructions on every kernel there is, into docs/kernels.md (root)'
	@echo 'make soak    the longer and larger runs, with `make fresh` (root)'
	@echo 'make fresh   prove `make run` and `make test` on a Debian 12 that holds nothing but cargo (root)'
	@echo
	@echo 'ARGS=... goes to lanner:   make run ARGS="-r my_rules.yaml"'
	@echo 'TARGETS=... are fuzzed:    make fuzz TARGETS="condition rules template recording mux ttrpc nri"'

run:
	@$(MACHINE)/run.sh $(ARGS)

build:
	@$(MACHINE)/build.sh

test:
	@$(MACHINE)/test.sh

image: build
	@deploy/image/build.sh

deb:
	@$(MACHINE)/deb.sh

deb-check: deb
	@$(MACHINE)/deb_check.sh
	@$(MACHINE)/unit_check.sh
	@$(MACHINE)/repository_check.sh

static:
	@$(MACHINE)/static.sh

kind-check:
	@$(MACHINE)/kind.sh

manifests:
	@$(MACHINE)/chart.sh write

lint:
	@$(MACHINE)/test.sh lint

fuzz:
	@$(MACHINE)/fuzz.sh $(TARGETS)

bench:
	@$(MACHINE)/bench.sh

kernels:
	@cargo xtask kernels --write --check

soak:
	@$(MACHINE)/soak.sh

fresh:
	@$(MACHINE)/fresh.sh
