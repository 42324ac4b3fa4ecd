# Every task of this repository. `make` alone lists them.

CARGO ?= cargo
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
export CARGO_TARGET_DIR ?= $(CURDIR)/target

# Builds name their target (.cargo/config.toml), so the binary lies in a folder of that name. The binary is linked with
# musl, whose start asks the processor nothing (docs/decisions/0011-musl.md), where the toolchain has it.
HOST = $(shell rustc --print host-tuple 2>/dev/null)
MUSL = $(HOST:-gnu=-musl)
HAS_MUSL = test -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)/lib"
TRIPLE = $(shell if $(HAS_MUSL); then echo $(MUSL); else echo $(HOST); fi)
RELEASE = $(CARGO_TARGET_DIR)/$(TRIPLE)/release
# What the integration tests start.
export SLUICE_BIN = $(RELEASE)/sluice
export SLUICE_DOCTOR_BIN = $(RELEASE)/sluice-doctor
export SLUICE_SHIM_BIN = $(RELEASE)/containerd-shim-sluice-v2

.DEFAULT_GOAL := help
.PHONY: toolchain help setup build test test-vm lint unit soak fuzz demo bench docs install uninstall clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: ## install the Debian packages that building and testing need (root; starts no service)
	scripts/setup

# A toolchain of rustup lies in a user's own folder, which sudo takes out of PATH.
toolchain:
	@command -v $(CARGO) >/dev/null || { echo "no Rust toolchain ($(CARGO)) in PATH: install one from https://rustup.rs; with sudo: sudo env \"PATH=\$$PATH\" make ..."; exit 1; }
	@$(HAS_MUSL) || rustup target add $(MUSL) || echo "no $(MUSL) in this toolchain: the binary gets the host's C library and starts more slowly"

# The object files stay beside the binaries: `child-side` reads them.
build: toolchain ## the release binaries: static, one file each
	$(CARGO) rustc --release --locked --target $(TRIPLE) --package sluice --bin sluice -- --emit=obj
	$(CARGO) rustc --release --locked --target $(TRIPLE) --package sluice-shim --bin containerd-shim-sluice-v2 -- --emit=obj
	$(CARGO) build --release --locked --target $(TRIPLE) --package sluice-doctor
	@echo "built $(RELEASE)/sluice, $(SLUICE_SHIM_BIN) and $(SLUICE_DOCTOR_BIN)"

lint: toolchain ## house rules, format, clippy
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: toolchain ## only the tests that need neither root nor packages
	$(CARGO) test --locked --workspace --exclude sluice-tests

# Everything is there after setup, so a test that would skip for want of a partner fails instead.
test: export SLUICE_REQUIRE_PARTNERS = 1
# The same cases in every run; `make unit` and `make fuzz` look for new ones.
test: export PROPTEST_RNG_SEED = 1
test: ## everything: needs, lint, release build, all tests here, a part of them in a guest (root)
	@test "$$(id -u)" -eq 0 || { echo "make test starts containers and so needs root; without it: make lint unit"; exit 1; }
	scripts/setup --quiet
	$(MAKE) lint
	$(MAKE) build
	$(CARGO) xtask child-side --target $(TRIPLE)
	$(CARGO) test --locked --workspace --doc --quiet
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then set -x; $(CARGO) nextest run --locked --workspace --no-fail-fast; \
	else set -x; $(CARGO) test --locked --workspace --no-fail-fast --lib --bins --tests; fi
	$(CARGO) xtask vm test --sluice $(RELEASE)/sluice --part tests/guest-part.txt --without ::runc

# GUEST=5.10 for one kernel, FILTER='oci::exec kill' for tests whose names contain one of the words,
# FILTER='--without ::runc' to leave out the cases that show what runc does.
test-vm: GUEST = 6.1 5.10
test-vm: FILTER =
test-vm: ## all integration tests in a guest with systemd and pure cgroup v2, on each kernel (root)
	@test "$$(id -u)" -eq 0 || { echo "make test-vm makes a Debian with debootstrap and so needs root; without it: make lint unit"; exit 1; }
	scripts/setup --quiet
	$(MAKE) build
	$(CARGO) xtask vm test --sluice $(RELEASE)/sluice $(GUEST:%=--kernel %) $(FILTER)

soak: build ## the big counts: kills, execs, a busy node under the doctor's eyes; most of an hour (root)
	$(CARGO) test --locked --package sluice-tests --tests -- --ignored --nocapture soak

fuzz: ## every fuzz target for one minute (needs cargo-fuzz, see fuzz/README.md)
	fuzz/run

demo: toolchain ## containers and execs in good times and at their limits, beside runc and crun (root)
	@$(CARGO) xtask demo --needs
	@$(MAKE) --no-print-directory build
	@$(CARGO) xtask demo --sluice $(RELEASE)/sluice

bench: build ## what verbs and the shim cost, beside the stock ones: 8 minutes; writes docs/bench (root)
	$(CARGO) build --release --locked --target $(TRIPLE) --package sluice-container --example exec_again
	$(CARGO) build --release --locked --target $(TRIPLE) --package sluice-diagnose --example log_speed
	@$(CARGO) xtask bench --sluice $(RELEASE)/sluice --library $(RELEASE)/examples/exec_again \
		--shim $(SLUICE_SHIM_BIN) $(BENCH)
	@$(RELEASE)/examples/log_speed

docs: ## rewrite the generated parts of the documents
	$(CARGO) xtask docs

install: build ## copy the binaries to PREFIX/bin (default /usr/local)
	install -D -m 755 $(RELEASE)/sluice $(DESTDIR)$(BINDIR)/sluice
	install -D -m 755 $(SLUICE_DOCTOR_BIN) $(DESTDIR)$(BINDIR)/sluice-doctor
	install -D -m 755 $(SLUICE_SHIM_BIN) $(DESTDIR)$(BINDIR)/containerd-shim-sluice-v2

uninstall: ## remove them again
	rm -f $(DESTDIR)$(BINDIR)/sluice $(DESTDIR)$(BINDIR)/sluice-doctor $(DESTDIR)$(BINDIR)/containerd-shim-sluice-v2

clean: ## remove what was built
	$(CARGO) clean
