# The front door: a thin face on the CMake presets. `make help` says what it can do.
#
#   make serve ARGS="--listen 127.0.0.1:9000"
#   make test ONLY=api/health        tests whose name matches
#   make fuzz SECONDS=60 ONLY=json   each fuzz program for so long
#   make install PREFIX=/usr/local DESTDIR=

PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
ONLY ?= .
SECONDS ?= 30
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := weir
# The work is parallel inside each step (ninja, ctest); the steps share build folders.
.NOTPARALLEL:
.PHONY: weir serve test test-oracle check bench bench-gateway bench-engine requirements fuzz docs coverage arm64 model format install clean help \
        setup-build setup-test setup-check setup-bench setup-oracle

# ---- build and run ----

weir: setup-build ## build the program: build/weir
	@cmake --preset release $(cmake_quiet)
	@cmake --build --preset release --target weir
	@ln -f build/release/src/weir build/weir

serve: weir ## build, then serve the bundled model (ARGS="--listen HOST:PORT …")
	@exec build/weir serve $(ARGS)

install: weir ## install under PREFIX (default /usr/local)
	@scripts/install build/weir "$(DESTDIR)$(PREFIX)"

# ---- prove ----

test: setup-test weir ## build and run every test; what cannot run is skipped by name (ONLY=name)
	@cmake --build --preset release
	@scripts/neon build
	@scripts/run-tests build/release "$(ONLY)"

test-oracle: setup-test setup-oracle weir ## compare with PyTorch, transformers and lm-eval (large downloads; not part of test)
	@scripts/test-oracle

check: setup-check ## format, analysers, layers, sizes, sanitizers: everything that needs no running server
	@scripts/check

bench: setup-test setup-bench weir ## measure; figures in build/bench/*.json (ONLY=name)
	@cmake --build --preset release --target benches
	@/usr/bin/python3 tests/bench/bench.py --all $(filter-out .,$(ONLY))

bench-gateway: ## only the gateway's part of bench (WEIR_BENCH_REQUESTS=, WEIR_BENCH_STREAMS=)
	@$(MAKE) bench ONLY="gateway long"

bench-engine: ## only the engine's part of bench (peers: WEIR_PEER_LLAMA_BENCH= and so on; WEIR_BENCH_ROUNDS=)
	@$(MAKE) bench ONLY="engine engine_http"

fuzz: setup-check ## run each fuzz program for SECONDS (ONLY=part of its name)
	@scripts/fuzz "$(SECONDS)" "$(filter-out .,$(ONLY))"

coverage: setup-test setup-check ## unit, HTTP and API tests under gcov; report in build/coverage/report/
	@scripts/coverage

arm64: setup-test ## cross build; unit tests of the 64-bit Arm program under qemu-user
	@scripts/sysroot-arm64
	@cmake --preset arm64 $(cmake_quiet)
	@cmake --build --preset arm64
	@scripts/run-tests build/arm64 "$(ONLY)"

# ---- what is made from the sources ----

requirements: ## docs/TEST_MATRIX.md from the REQ: lines of the tests; last results in build/
	@tools/requirements --write

docs: weir ## docs/configuration.md and the rest that the program writes about itself
	@scripts/docs --write

model: ## train the bundled model again (hours; see tools/train/README.md)
	@scripts/setup build model --quiet
	@$(MAKE) -C tools/train

format: ## clang-format every C file
	@git ls-files '*.c' '*.h' | xargs -P $(JOBS) -n 16 clang-format-19 -i

clean: ## remove build/ but for what setup downloaded
	@find build -mindepth 1 -maxdepth 1 ! -name venv ! -name sysroot-arm64 ! -name ext -exec rm -rf {} +

help: ## this list
	@echo "weir: one program to serve, route, watch and prove LLM inference"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

setup-build setup-test setup-check setup-bench setup-oracle: setup-%:
	@scripts/setup build $* --quiet

cmake_quiet := --log-level=WARNING >build/cmake.log || { cat build/cmake.log; exit 1; }
