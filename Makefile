# bert4rec-dist, from a fresh checkout:
#
#   make demo                        builds (minutes), then trains with eight ranks on a built-in data set (under a minute)
#   make build [BUILD_FLAGS=...]     the program, as .build/release/bert4rec-dist, its manual pages and completions
#   make static                      the same with Swift's runtime inside, for hosts without Swift, in .build/static
#   make test                        all tests (some 10 minutes on two cores; CONTRIBUTING.md says how to run a part)
#   make test-address [FILTER=...]   tests of what works with plain memory, in a build that looks for errors of memory
#   make test-thread [FILTER=...]    tests of what several threads do, in a build that looks for races between them
#   make check                       format of Swift and C, lint of shell and Python, unused and missing dependencies,
#                                    warnings as errors
#   make bench [DATA=data] [PYTHON=python3] [OUTPUT=.build/benchmark-rows.jsonl] [ARGUMENTS=...]
#                                    speed, memory and scaling by Tests/Benchmarks/run.py, which gets ARGUMENTS
#                                    (--quick, --only NAME,...); DATA is a folder with ml-1m.txt and beauty.txt (lines
#                                    `user item`), PYTHON one with torch to compare with; what is absent is left out
#   make install [PREFIX=/usr/local] [STATIC=yes]
#                                    the program to PREFIX/bin, manual pages and completions to PREFIX/share; STATIC=yes
#                                    takes those of `make static`; packagers set DESTDIR too
#   make deb [OUTPUT=.build]         a Debian package of the static program (packaging/deb.sh --help)
#   make deps                        Open MPI, OpenBLAS and libarchive, where they are missing; nothing else installs packages
#   make docs [OUTPUT=.build/docs]   the library's documentation as web pages
#   make clean                       removes what was built; downloaded Swift packages stay
#
# Needed besides: Swift 6.1 or newer (https://www.swift.org/install/linux). Libraries in places of their own, as on
# clusters with modules, are found through PKG_CONFIG_PATH.

PREFIX ?= /usr/local
SWIFT ?= swift
BUILD_FLAGS ?=
ARGUMENTS ?=
PYTHON ?= python3
DATA ?= data
STATIC ?=
# For --version.
export BERT4REC_COMMIT := $(or $(shell git describe --always --dirty=+ --exclude='*' 2>/dev/null),unknown)
ruff := $(shell command -v ruff || echo .build/check-tools/bin/ruff)

# Two kinds of build, each in a folder of its own.
ifeq ($(STATIC),)
built := .build
else
built := .build/static
override BUILD_FLAGS += --static-swift-stdlib --scratch-path $(built)
endif
program := $(built)/release/bert4rec-dist
# What goes to PREFIX/share, made by packaging/share.sh.
share := $(built)/share
sources := Package.swift $(shell find Sources -type f)
packages := libopenmpi-dev openmpi-bin libopenblas-dev libarchive-dev pkg-config
scripts := .ci/run $(shell find cluster packaging Tests -name '*.sh' -o -name '*.sbatch')

# mpirun refuses more ranks than cores, and root (the user of most containers), unless told otherwise.
mpi_environment := cluster/mpi-environment.sh

# Any OpenBLAS will do: pthread, OpenMP or serial.
libraries_are_there := pkg-config --exists ompi-c openblas libarchive && command -v mpirun

.PHONY: build static program-is-built check check-tools demo deps test test-address test-thread bench docs install deb clean swift-is-there \
  libraries-are-there
# `make -j` must not build while deps still installs; Swift uses all cores by itself.
.NOTPARALLEL:

build: program-is-built $(share)

# The program alone, without what only tests start.
program-is-built: swift-is-there libraries-are-there
	$(SWIFT) build -c release $(BUILD_FLAGS) --product bert4rec-dist

static:
	@$(MAKE) --no-print-directory build STATIC=yes

# The tool is swift-argument-parser's.
$(share): $(program) packaging/share.sh
	@$(MAKE) --no-print-directory swift-is-there
	$(SWIFT) build -c release $(BUILD_FLAGS) --product generate-manual
	packaging/share.sh $(program) $(built)/release/generate-manual $(share)

# In a new folder each time, so that there is always a training to see.
demo: deps program-is-built
	@parent=$$(mktemp -d "$${TMPDIR:-/tmp}/bert4rec-demo.XXXXXX") && folder=$$parent/demo && set -x && \
	. ./$(mpi_environment) && \
	{ mpirun -np 8 $(program) train --run "$$folder" || \
	{ status=$$?; rmdir "$$parent" 2>/dev/null; exit $$status; }; } && \
	printf 'anna ring0-item3\nanna ring0-item4\nanna ring0-item5\n' | \
	$(program) recommend --checkpoint "$$folder" --histories - --top-k 3
	@echo
	@echo "Next, with data of your own (more in README.md):"
	@echo "  $(program) prepare FILE"
	@echo "  . $(mpi_environment)   # in bash or sh: more ranks than cores, also as root"
	@echo "  mpirun -np 8 $(program) train --data FILE"

# The tests are built here as `make test` builds them, so that this build is not done twice. A warning fails where it is
# printed: in what was compiled now, so in everything after `make clean`.
check: deps check-tools swift-is-there
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests configs
	find Sources Tests -name '*.[ch]' -exec clang-format --dry-run --Werror {} +
	"$$(dirname "$$(command -v $(SWIFT))")/clang" -fsyntax-only -Wall -Wextra -Werror -ISources/CKernels/include Tests/OtherSystems/kernel_bits.c
	shellcheck --external-sources --severity=warning $(scripts)
	$(ruff) check Tests
	Tests/package-edges.sh
	$(PYTHON) Tests/structure.py --check
	@log=$$(mktemp) && set -x && \
	{ $(SWIFT) build -c release --build-tests --explicit-target-dependency-import-check error 2>&1; echo "exit $$?"; } \
	  | tee "$$log" | grep -v '^\[' ; \
	{ set +x; } 2>/dev/null; \
	grep -qx 'exit 0' "$$log" && ! grep -E '/(Sources|Tests|configs)/.*warning:' "$$log" >/dev/null; status=$$?; \
	rm -f "$$log"; exit $$status

# ruff is not among Debian 12's packages; it comes from PyPI into a folder of its own.
check-tools:
	@{ command -v clang-format && command -v shellcheck && command -v $(PYTHON) && { command -v '$(ruff)' || $(PYTHON) -m ensurepip --version; }; } >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then as_root=env; else as_root='sudo -n env'; fi; set -ex; \
	  $$as_root apt-get update; \
	  $$as_root DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends clang-format shellcheck python3-venv; }
	@command -v '$(ruff)' >/dev/null || { \
	  set -ex; $(PYTHON) -m venv .build/check-tools; .build/check-tools/bin/pip install --quiet ruff==0.17.6; }

test: deps swift-is-there
	$(SWIFT) build -c release --build-tests
	$(SWIFT) build -c release --product generate-manual
	@$(SWIFT) test -c release --skip-build

# A build of its own. Leaks are not looked for: what lives as long as the process is never given back.
test-address: FILTER ?= SystemSupportTests|InteractionDataTests|TensorFlowFilesTests|MaskingTests|BERT4RecModelTests|ShardTree|CheckpointsTests|EvaluationTests|TrainingTests|LibraryTests
test-address: deps swift-is-there
	$(SWIFT) build -c release --build-tests --sanitize address --scratch-path .build-address
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c release --skip-build --sanitize address --scratch-path .build-address \
	  --filter '$(FILTER)'

# Another one. A program or rank that a race is reported in ends with 66, which the test that started it finds. Uninstrumented
# libraries (Open MPI, OpenBLAS, Swift's own) are not looked into.
test-thread: FILTER ?= SystemSupportTests|ReadingTests|GradientSumTests|TableShardingTests|StallDetectionTests|EvaluationTests|TrainingTests|LibraryTests
test-thread: deps swift-is-there
	$(SWIFT) build -c release --build-tests --sanitize thread --scratch-path .build-thread
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/thread-sanitizer.txt" $(SWIFT) test -c release --skip-build --sanitize thread \
	  --scratch-path .build-thread --filter '$(FILTER)'

bench: program-is-built
	$(PYTHON) Tests/Benchmarks/run.py --program $(program) --python "$$(command -v $(PYTHON))" --data "$(DATA)" \
	  --output "$(or $(OUTPUT),.build/benchmark-rows.jsonl)" $(ARGUMENTS)

# Builds only what is newer than the program, so that `sudo make install` after `make build` needs no Swift and leaves
# no root's files.
install: $(program) $(share)
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(program) "$(DESTDIR)$(PREFIX)/bin/bert4rec-dist"
	prefix=$$(realpath -m "$(DESTDIR)$(PREFIX)") && cd $(share) && \
	  find * -type f -exec install -D -m 644 {} "$$prefix/share/{}" \;

$(program): $(sources)
	@$(MAKE) --no-print-directory program-is-built
	@touch $@

docs: swift-is-there libraries-are-there
	$(SWIFT) build -c release --product BERT4RecDist
	packaging/docs.sh .build/release "$(or $(OUTPUT),.build/docs)"

deb: deps
	packaging/deb.sh $(OUTPUT)

clean:
	$(SWIFT) package clean
	rm -rf .build/share .build/static .build-address .build-thread

swift-is-there:
	@command -v $(SWIFT) >/dev/null || { \
	  echo "make: '$(SWIFT)' is not found. Install Swift 6.1 or newer (https://www.swift.org/install/linux)" >&2; \
	  echo "      and put it on the PATH, or name it: make SWIFT=/path/to/swift" >&2; exit 1; }

libraries-are-there:
	@{ $(libraries_are_there); } >/dev/null 2>&1 || { \
	  echo "make: not all of Open MPI, OpenBLAS and libarchive are found (pkg-config: ompi-c, openblas, libarchive;" >&2; \
	  echo "      command: mpirun)." >&2; \
	  echo "      Run 'make deps', or set PKG_CONFIG_PATH and PATH if they are in a place of their own." >&2; exit 1; }

deps:
	@if { $(libraries_are_there); } >/dev/null 2>&1; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "make: there is no apt-get here to install with. Needed are pkg-config, Open MPI 4.1 or newer," >&2; \
	  echo "      OpenBLAS and libarchive, with their headers and pkg-config files (ompi-c.pc, openblas.pc," >&2; \
	  echo "      libarchive.pc)." >&2; exit 1; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=env; \
	elif sudo -n true 2>/dev/null; then as_root='sudo -n env'; \
	else \
	  echo "make: some of these packages are missing, and installing them takes root's rights. Run" >&2; \
	  echo "    sudo apt-get update && sudo apt-get install --yes --no-install-recommends $(packages)" >&2; \
	  echo "and then make again." >&2; exit 1; \
	fi; \
	set -ex; \
	$$as_root apt-get update; \
	$$as_root DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(packages)
