# SPDX-License-Identifier: GPL-2.0
#
# make [all]      module, tools and tests            KVER=6.12 chooses the kernel, KVER=sid Debian sid's
# make deps       install what is missing (Debian 12; the others call it)
# make deps-lang  the same, and the languages of selftests/lang
# make deps-bench the same, and the benchmark's peers
# make deps-fuzz  the same, and the compiler of fuzz-parsers
# make demo       the main job in a VM, to be watched
# make test       the tests in a VM                  T="NAME..." only those
# make test-kernel    those of what runs in the kernel
# make test-dkms      DKMS with its build in the VM (minutes: the compiler is emulated)
# make test-debug     the tests on a kernel that watches itself (KASAN, lockdep, ...)  T="NAME..."
# make test-debug-ci  those of them that CI has the time for
# make test-kcsan     the same on a kernel that watches for data races          T="NAME..."
# make test-matrix    the log's tests with 1, 2, 4 CPUs and each way to preempt, on 6.1 and 6.12
# make coverage       lines and branches of the module that test-debug ran, the last time
# make test-mutants   do the tests notice a broken module?    M="NAME..." only those
# make fuzz       random programs of calls on topics, on that kernel   MINUTES=5
# make fuzz-parsers   random input for each parser of the tools       SECONDS=60
# make bench      what a message costs beside its peers, and the goals   PEERS=all or NAME,...
#                 B="OPTION..." only that, as mqbench's options
# make bench-gate the same costs as in the baseline?  UPDATE=1 writes it
# make bench-cross    are the figures other programs' (Python, dd), too?
# make peers      the peers of mqbench that have a library or a server of their own
# make bench-peers  what a message costs there    PEERS=all or NAME,... B="OPTION..."
# make bench-peers-check  each of them carries messages
# make shell      a shell in a VM with the module loaded
# make check      static checks                      C="NAME..." only those
# make install    what tools/packaging/files lists, into DESTDIR; make uninstall
# make deb        Debian packages, in build/package
# make gen        what is generated from uapi/mq/netlink.yaml
# make clean

MAKEFLAGS += --no-builtin-rules
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:

SHELL = /bin/bash

Q = $(if $(V),,@)

all:

.PHONY: all module tools tests lang deps deps-lang deps-bench deps-fuzz demo shell
.PHONY: test test-kernel test-dkms test-debug test-debug-ci test-kcsan test-matrix test-mutants coverage
.PHONY: fuzz fuzz-parsers
.PHONY: check bench bench-gate bench-cross peers bench-peers bench-peers-check install uninstall deb dkms clean gen

# --- kernel ---------------------------------------------------------------

# On a fresh machine no kernel is there to choose from before `make deps`.
ifeq ($(filter clean deps deps-lang deps-bench deps-fuzz,$(MAKECMDGOALS)),)
ifeq ($(shell tools/kver $(KVER) 2>/dev/null),)
$(shell tools/deps >&2)
endif
release := $(shell tools/kver $(KVER))
ifeq ($(release),)
$(error no kernel to build for)
endif
endif
override KVER := $(or $(release),none)
KSRC ?= /lib/modules/$(KVER)/build
# Debian sid's has tools that run only there.
kmake = $(if $(wildcard /lib/modules/$(KVER)/.mq-sid),tools/sid-kernel make,$(MAKE))

MODULE_DIR := build/$(KVER)
# The debug kernel counts what runs of the module (make coverage).
KARGS := $(if $(findstring -mq-debug,$(KVER)),GCOV_PROFILE=y)
kmod-src := $(wildcard kmod/*.c kmod/*.h)
module-src := Kbuild $(kmod-src) $(wildcard uapi/mq/*.h)

module: $(MODULE_DIR)/mq.ko

# Kbuild writes beside the sources: one folder of links for each kernel keeps
# the kernels' objects, and the source folder, apart.
# A kernel of the same release can be built anew (tools/debug-kernel).
$(MODULE_DIR)/mq.ko: $(module-src) $(wildcard $(KSRC)/Module.symvers) | deps
	@test -d $(KSRC) || test -e /lib/modules/$(KVER)/.mq-sid || { \
		echo "make: no headers of kernel $(KVER) ($(KSRC)): install linux-headers-$(KVER)" >&2; exit 1; }
	@printf '%s\n' 6.1 $(KVER) | sort -VC || { \
		echo "make: kernel $(KVER) is too old: mq needs 6.1 or newer" >&2; exit 1; }
	@mkdir -p $(@D)/kmod
	@find $(@D)/kmod -type l -delete
	@ln -sfn $(CURDIR)/Kbuild $(CURDIR)/uapi $(@D)/
	@ln -sf $(addprefix $(CURDIR)/,$(kmod-src)) $(@D)/kmod/
	+@flock $(@D)/.lock $(kmake) -C $(KSRC) M=$(CURDIR)/$(@D) --no-print-directory \
		$(if $(V),V=$(V)) $(KARGS) modules 2>&1 | grep -v 'Skipping BTF generation'; \
		exit $${PIPESTATUS[0]}
	@touch $@

# --- userspace ------------------------------------------------------------

mq-version := $(shell sed -n 's/^mq-version := //p' Kbuild)

CC = gcc
CFLAGS ?= -O2 -g
cflags = -std=gnu11 -Wall -Wextra -Werror $(CFLAGS) -Iuapi -isystem build/kselftest \
	-DMQ_VERSION='"$(mq-version)"' -pthread
nl-cflags = $(shell pkg-config --cflags libnl-genl-3.0)
# Every program is offered all of them; the linker takes what is used.
libs = -Wl,--as-needed $(shell pkg-config --libs libnl-genl-3.0 smartcols json-c inih liburing libuv cmocka) -lm

# Files appear whole or not at all, even to another make or a VM.
obj-out = -MMD -MP -MT $@ -MF $(@:.o=.d) -o $@.$$$$
put = && mv $@.$$$$ $@

# tools/NAME/*.c is build/bin/NAME
tool-names := $(filter-out vm.d checks,$(sort $(patsubst tools/%/,%,$(dir $(wildcard tools/*/*.c)))))
tool-bins := $(addprefix build/bin/,$(tool-names))

# selftests/NAME.c is a test, selftests/helpers/NAME.c a program that tests
# use; a helper called *32 is a 32-bit program, without libraries.
test-common := $(wildcard selftests/mqtest*.c)
test-names := $(patsubst selftests/%.c,%,$(filter-out $(test-common),$(wildcard selftests/*.c)))
helper-names := $(patsubst selftests/%.c,%,$(wildcard selftests/helpers/*.c))
test-bins := $(addprefix build/selftests/,$(test-names) $(helper-names))

# tools/man/PAGE.in is build/man/PAGE; what mqctl itself can tell comes from it.
man-pages := $(patsubst tools/man/%.in,build/man/%,$(wildcard tools/man/*.in))

tools: $(tool-bins) $(man-pages)
tests: $(test-bins) $(patsubst selftests/%.c,build/%,$(wildcard selftests/lang/*.c))
all: deps module tools tests

build/man/%: tools/man/%.in tools/man/gen build/bin/mqctl uapi/mq/netlink.yaml
	@mkdir -p $(@D)
	@echo "  MAN     $@"
	$(Q)set -o pipefail; build/bin/mqctl help --table | tools/man/gen $< $(mq-version) >$@.$$$$ $(put)

build/obj/%.o: %.c Makefile | deps
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(cflags) $(nl-cflags) -I$(<D) $(obj-out) -c $< $(put)

# Runs a source of the module in user space.
build/obj/selftests/name_parse_unit.o: cflags += -Iselftests/shim

build/obj/selftests/helpers/%32.o: selftests/helpers/%32.c Makefile | deps
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) -m32 $(cflags) -Iselftests $(obj-out) -c $< $(put)

build/obj/selftests/helpers/%.o: selftests/helpers/%.c Makefile | deps
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(cflags) $(nl-cflags) -Iselftests $(obj-out) -c $< $(put)

# Examples to be copied: a program of one file.
build/lang/%: selftests/lang/%.c uapi/mq/mq.h Makefile | deps
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(cflags) -D_GNU_SOURCE -o $@.$$$$ $< $(put)

define tool-rule
build/bin/$(1): $(patsubst %.c,build/obj/%.o,$(wildcard tools/$(1)/*.c))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$$(Q)$$(CC) $$(cflags) $$(LDFLAGS) -o $$@.$$$$$$$$ $$^ $$(libs) $$(put)
endef
$(foreach name,$(tool-names),$(eval $(call tool-rule,$(name))))

# Peers of mqbench with a library of their own: it loads build/peers/NAME.so when asked to.
build/bin/mqbench: libs += -rdynamic

mandatory-peers := zeromq redis nats jetstream rabbitmq
optional-peers := kafka nsq mosquitto
PEERS ?= mandatory
comma := ,
peers := $(if $(filter all,$(PEERS)),$(mandatory-peers) $(optional-peers),$(if \
	$(filter mandatory,$(PEERS)),$(mandatory-peers),$(subst $(comma), ,$(PEERS))))
empty :=
peer-names := $(subst $(empty) $(empty),$(comma),$(strip $(peers)))
peer-plugins := $(patsubst %,build/peers/%.so,$(sort $(subst jetstream,nats,$(peers))))

peers: $(peer-plugins)

build/peers/%.so: tools/mqbench/brokers/%.c tools/mqbench/bench.h tools/mqbench/server.h \
		Makefile | deps-bench
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(cflags) -D_GNU_SOURCE -fPIC -shared -Itools/mqbench -o $@.$$$$ $< \
		-Wl,--as-needed $(peer-libs-$*) $(put)

peer-libs-zeromq := -lzmq
peer-libs-redis := -lhiredis
peer-libs-nats := -lnats
peer-libs-rabbitmq := -lrabbitmq
peer-libs-kafka := -lrdkafka
peer-libs-mosquitto := -lmosquitto

build/selftests/helpers/%32: build/obj/selftests/helpers/%32.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -m32 $(cflags) $(LDFLAGS) -o $@.$$$$ $^ $(put)

build/selftests/%: build/obj/selftests/%.o $(test-common:%.c=build/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(cflags) $(LDFLAGS) -o $@.$$$$ $^ $(libs) $(put)

# The examples in languages that need compiling; C has the rule above.
lang: $(addprefix build/lang/,example example-go example-rust Example.class)

build/lang/example-go: selftests/lang/example.go Makefile | deps-lang
	@mkdir -p $(@D)
	@echo "  GO      $@"
	$(Q)GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 go build -o $@.$$$$ $< $(put)

build/lang/example-rust: selftests/lang/example.rs Makefile | deps-lang
	@mkdir -p $(@D)
	@echo "  RUSTC   $@"
	$(Q)MAKEFLAGS= rustc --edition 2021 -O -D warnings -o $@.$$$$ $< $(put)

build/lang/Example.class: selftests/lang/Example.java Makefile | deps-lang
	@mkdir -p $(@D)
	@echo "  JAVAC   $@"
	$(Q)javac -Xlint:all -Werror -d $(@D) $<

# Parsers with libFuzzer in front: selftests/parsers/NAME.c is build/parsers/NAME.
parsers := $(patsubst selftests/parsers/%.c,build/parsers/%,$(wildcard selftests/parsers/*.c))
parser-objs := $(patsubst %.c,build/parsers/obj/%.o,$(filter-out %/main.c,$(wildcard tools/mqctl/*.c)))
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=undefined

build/parsers/obj/%.o: %.c Makefile | deps-fuzz
	@mkdir -p $(@D)
	@echo "  CLANG   $@"
	$(Q)clang -std=gnu11 -O1 -g -Wall -Wextra -Werror $(sanitize) -fsanitize=fuzzer-no-link \
		-DMQ_VERSION='"$(mq-version)"' $(nl-cflags) -Iuapi $(includes) $(obj-out) -c $< $(put)

build/parsers/obj/%.o: includes = -Itools/mqctl
build/parsers/obj/kmod/%.o build/parsers/obj/selftests/parsers/name.o: \
	includes = -Iselftests/shim -iquote kmod

build/parsers/name: build/parsers/obj/kmod/name.o
build/parsers/options: libs += -Wl,--wrap=exit
$(parsers): build/parsers/%: build/parsers/obj/selftests/parsers/%.o $(parser-objs)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)clang $(sanitize) -fsanitize=fuzzer -o $@.$$$$ $^ $(libs) $(put)

.SECONDARY:
-include $(shell find build/obj build/parsers/obj -name '*.d' 2>/dev/null)

# --- what to do with it ---------------------------------------------------

deps:
	@tools/deps

deps-lang: deps
	@tools/deps lang

deps-fuzz: deps
	@tools/deps fuzz

deps-bench: deps
	@tools/deps $(if $(filter $(optional-peers),$(peers)),bench-all,bench)

demo: all
	tools/demo -k $(KVER)

# Sid's compiler is not this machine's: no packages and no DKMS for its kernel.
test: all lang $(if $(wildcard /lib/modules/$(KVER)/.mq-sid),,deb dkms)
	@selftests/vm-run -k $(KVER) $(T)

# What runs in the kernel, and so may differ with it.
kernel-groups := log line record part splice mmap poll topic filter hold mem netlink sync fs \
	fault fuzz name torture

test-kernel: all
	@selftests/vm-run -k $(KVER) $(if $(T),$(T),$(addprefix -g ,$(kernel-groups)))

test-dkms: all
	+MQ_PATIENCE=$${MQ_PATIENCE:-1} selftests/vm-run -k $(KVER) adopt_dkms_build

# The kernels are built once, in ten minutes each, and kept: see there.
# For CI's time limit: without what takes longest there, or mostly waits.
debug-ci-tests := $(filter-out log_concurrent log_fault log_memory log_overrun log_position log_torn \
	splice_cork splice_empty splice_recycle splice_stopped_receiver topic_life topic_unload, \
	$(filter $(addsuffix _%,log record part splice mmap topic fault),$(test-names)))

test-debug: deps
	+@release=$$(tools/debug-kernel debug) && \
		$(MAKE) --no-print-directory KVER=$$release all $(if $(T),,lang deb dkms) && \
		MQ_PATIENCE=$${MQ_PATIENCE:-6} MQ_VM_LIMIT=$${MQ_VM_LIMIT:-3h} \
			selftests/vm-run -k $$release -m 3G $(T)

test-debug-ci: deps
	+@release=$$(tools/debug-kernel debug) && \
		$(MAKE) --no-print-directory KVER=$$release all && \
		MQ_PATIENCE=$${MQ_PATIENCE:-6} selftests/vm-run -k $$release -m 3G $(debug-ci-tests)

test-kcsan: deps
	+@release=$$(tools/debug-kernel kcsan) && \
		$(MAKE) --no-print-directory KVER=$$release all && \
		MQ_PATIENCE=$${MQ_PATIENCE:-6} selftests/vm-run -k $$release -m 3G \
			$(if $(T),$(T),$(addprefix -g ,$(kernel-groups)))

test-matrix: deps
	+@for version in 6.1 6.12; do \
		$(MAKE) --no-print-directory KVER=$$version all || exit 1; \
	done
	@selftests/matrix $(T)

# Of the last test-debug, whatever it ran.
coverage: deps
	@release=$$(tools/debug-kernel debug) && tools/coverage $$release $(C)

# What it found, and the corpus, are in build/out/fuzz.
MINUTES ?= 5
fuzz: deps
	+@release=$$(tools/debug-kernel debug) && \
		$(MAKE) --no-print-directory KVER=$$release all && \
		tools/vm -k $$release -m 4G -t $$(($(MINUTES) + 15))m -o build/out/fuzz -- \
			mqfuzz -t $(MINUTES) $(if $(SEED),-s $(SEED)) selftests/corpus

SECONDS ?= 60
fuzz-parsers: $(parsers)
	@selftests/parsers/run $(SECONDS)

test-mutants: all
	@tools/mutants/run -k $(KVER) $(M)

shell: all
	tools/vm -k $(KVER) -i

# The guest's clock counts instructions, so that runs can be compared.
bench: all $(if $(B),,peers)
	$(if $(B),tools/vm -k $(KVER) -I -t 60m -- mqbench $(B),tools/bench run -k $(KVER) \
		$(if $(peers),-p $(peer-names)))

bench-gate: all
	tools/bench gate -k $(KVER) $(if $(UPDATE),-u)

bench-cross: all
	tools/vm -k $(KVER) -I -m 2G -t 30m -- tools/mqbench/cross

bench-peers: all peers
	tools/vm -k $(KVER) -I -t 60m -- mqbench --modes pair --peers topic,pipe,$(peer-names) \
		--messages 20000 --runs 3 $(B)

bench-peers-check: all peers
	tools/vm -k $(KVER) -t 30m -- mqbench --modes pair --peers $(peer-names) \
		--messages 640 --runs 1 --sizes 100 $(B)

check: deps
	tools/check $(C)

gen: deps
	tools/ynl-gen

prefix ?= /usr/local

install: all
	tools/packaging/install -d "$(DESTDIR)" -p $(prefix) -k $(KVER) module tools
	$(if $(DESTDIR),,depmod $(KVER))

uninstall:
	tools/packaging/install -u -d "$(DESTDIR)" -p $(prefix) -k $(KVER) module tools
	$(if $(DESTDIR),,depmod $(KVER))

deb: module tools
	@tools/packaging/deb $(KVER)

# For the tests, on the host: emulated, it had not ended after eleven minutes.
dkms: build/dkms/$(KVER)/mq
build/dkms/$(KVER)/mq: $(module-src) $(wildcard tools/packaging/dkms*) | deps
	@echo "  DKMS    $@"
	$(Q)tools/packaging/dkms-build $(KVER)

clean:
	rm -rf build
