# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Speed: against other readers, against committed counts, and how cost grows. See README.md here.

BENCH = $(O)/tests/bench
BENCH_DIR ?= $(O)/bench
BENCH_DRIVERS = $(addprefix $(BENCH)/driver-,qcow2 raw xts libqcow)
BENCH_PROGRAMS = $(BENCH_DRIVERS) $(BENCH)/measure $(BENCH)/inflate
BENCH_UPDATE = $(if $(UPDATE),--update)
BENCH_RUN = /usr/bin/python3 tests/bench/bench.py --build $(O) --dir $(BENCH_DIR) $(BENCH_ARGS)

# The gate counts instructions, so it builds with a fixed compiler and flags, in its own directory.
GATE = build/gate
GATE_MAKE = $(MAKE) --no-print-directory -s O=$(GATE) CC=gcc-12 STD=c11 CFLAGS=-O2 CPPFLAGS= \
	LDFLAGS= POSIX_DEFLATE=builtin POSIX_ZSTD=builtin POSIX_CRYPTO=none

# With UPDATE=1, bench and bench-growth write tests/bench/RESULTS.md, and bench-gate expected.txt.
#: bench        compare speed with other readers (2 GiB; BENCH_ARGS='--rounds 3 w4', UPDATE=1)
#: bench-quick  the same with small images, in a few minutes
#: bench-gate   compare instruction and system call counts with tests/bench/expected.txt (UPDATE=1)
#: bench-m4     count instructions on a Cortex-M4 (needs arm-none-eabi-gcc, qemu-system-arm)
#: bench-start  measure what the sandbox adds to the start of the command
#: bench-growth show how time and memory grow with disk, clusters, chain, threads (UPDATE=1)

bench: bench-programs
	$(Q)$(BENCH_RUN) $(BENCH_UPDATE)

bench-quick: bench-programs
	$(Q)$(BENCH_RUN) --quick

bench-growth: bench-programs
	$(Q)/usr/bin/python3 tests/bench/growth.py --build $(O) --dir $(BENCH_DIR) $(BENCH_UPDATE)

bench-gate:
	$(Q)$(GATE_MAKE) gate-programs
	$(Q)/usr/bin/python3 tests/bench/gate.py --build $(GATE) $(BENCH_UPDATE)

bench-m4:
	$(Q)$(GATE_MAKE) m4-programs
	$(Q)/usr/bin/python3 tests/bench/gate.py --build $(GATE) --only m4

bench-start: all $(O)/tests/image/mkimage
	$(Q)/usr/bin/python3 tests/bench/start.py --build $(O)

bench-programs: all nbdkit $(BENCH_PROGRAMS)

gate-programs: $(BENCH)/gate $(BENCH)/driver-qcow2 $(BENCH)/driver-raw $(O)/tests/image/mkimage \
	$(O)/qcow2 m4-programs

m4-programs: $(BENCH)/m4.elf $(BENCH)/count.so $(O)/tests/image/mkimage

$(BENCH)/driver-qcow2: $(BENCH)/driver.o $(BENCH)/reader_qcow2.o $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(POSIX_LIBS) -o $@

$(BENCH)/driver-raw: $(BENCH)/driver.o $(BENCH)/reader_raw.o $(BENCH)/file.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -pthread -o $@

$(BENCH)/driver-xts: $(BENCH)/driver.o $(BENCH)/reader_xts.o $(BENCH)/file.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lgcrypt -pthread -o $@

$(BENCH)/driver-libqcow: $(BENCH)/driver.o $(BENCH)/reader_libqcow.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lqcow -pthread -o $@

$(BENCH)/measure: $(BENCH)/measure.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

$(BENCH)/inflate: $(BENCH)/inflate.o $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(POSIX_LIBS) -ldeflate -lz -lzstd -o $@

# It links the core's own memcpy, because the one of libc depends on the processor.
$(BENCH)/gate: $(BENCH)/gate.o $(IMAGE_WRITER) $(O)/libqcow2-core.a $(O)/src/mem.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

# Built as firmware is: -Os and the core's own memcpy, for a Cortex-M4 with 16 KiB of RAM.
M4_SRCS = tests/bench/m4.c $(addprefix src/,$(QCOW2_CORE_SRCS))
$(BENCH)/m4.elf: $(M4_SRCS) $(BARE_START) $(BARE_DEPS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(call bare_link,netduinoplus2,$@,$(M4_SRCS))

$(BENCH)/count.so: tests/bench/count.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(BASE_CFLAGS) $(CFLAGS) -shared $< -o $@

-include $(wildcard $(BENCH)/*.d)

.PHONY: bench bench-quick bench-growth bench-gate bench-m4 bench-start bench-programs gate-programs m4-programs
