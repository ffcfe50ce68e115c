# SPDX-License-Identifier: MIT
# Speed: against others, against committed counts, and how it grows. See README.md in this directory.

BENCH = $(O)/tests/bench
BENCH_DIR ?= $(O)/bench
BENCH_DRIVERS = $(addprefix $(BENCH)/driver-,qcow2 raw libqcow)
BENCH_PROGRAMS = $(BENCH_DRIVERS) $(BENCH)/measure $(BENCH)/inflate
BENCH_RUN = /usr/bin/python3 tests/bench/bench.py --build $(O) --dir $(BENCH_DIR) $(BENCH_ARGS)

# The gate counts instructions: always with the same compiler and flags, in a directory of its own.
GATE = build/gate
GATE_MAKE = $(MAKE) --no-print-directory -s O=$(GATE) CC=gcc-12 STD=c11 CFLAGS=-O2 CPPFLAGS= LDFLAGS= \
	POSIX_DEFLATE=builtin POSIX_ZSTD=none

#: bench        speed against other readers of qcow2 (needs what tests/install.sh installs; about 2 GiB). BENCH_ARGS='--rounds 3 w4 w9'
#: bench-quick  the same with small images, in a few minutes
#: bench-gate   instructions, io calls and system calls against tests/bench/expected.txt (UPDATE=1: writes it)
#: bench-growth time and memory against disk size, cluster size, depth of the chain, threads

bench: bench-programs
	$(Q)$(BENCH_RUN)

bench-quick: bench-programs
	$(Q)$(BENCH_RUN) --quick

bench-growth: bench-programs
	$(Q)/usr/bin/python3 tests/bench/growth.py --build $(O) --dir $(BENCH_DIR)

bench-gate:
	$(Q)$(GATE_MAKE) gate-programs
	$(Q)/usr/bin/python3 tests/bench/gate.py --build $(GATE) $(if $(UPDATE),--update)

bench-programs: all $(BENCH_PROGRAMS)

gate-programs: $(BENCH)/gate $(BENCH)/driver-qcow2 $(O)/tests/image/mkimage $(O)/qcow2

$(BENCH)/driver-qcow2: $(BENCH)/driver.o $(BENCH)/reader_qcow2.o $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(POSIX_LIBS) -o $@

$(BENCH)/driver-raw: $(BENCH)/driver.o $(BENCH)/reader_raw.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -pthread -o $@

$(BENCH)/driver-libqcow: $(BENCH)/driver.o $(BENCH)/reader_libqcow.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lqcow -pthread -o $@

$(BENCH)/measure: $(BENCH)/measure.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

$(BENCH)/inflate: $(BENCH)/inflate.o $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(POSIX_LIBS) -ldeflate -lz -o $@

# With the core's own memcpy: libc's depends on the processor.
$(BENCH)/gate: $(BENCH)/gate.o $(IMAGE_WRITER) $(O)/libqcow2-core.a $(O)/src/mem.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

-include $(wildcard $(BENCH)/*.d)

.PHONY: bench bench-quick bench-growth bench-gate bench-programs gate-programs
