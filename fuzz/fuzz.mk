# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#: fuzz         build the fuzz targets for libFuzzer, AFL++ and replay: build/fuzz/WAY/out
#: fuzz-ci      replay seeds and findings, then run each target FUZZ_SECONDS (10) with both engines
#: fuzz-coverage  show what the targets reach, with and without the mutator
#: fuzz-differential  compare mutated images with qemu-io, cluster by cluster, SECONDS (60) long
#
# For other engines: make fuzz CC=clang CFLAGS=... LIB_FUZZING_ENGINE=... OUT=dir puts the programs,
# <target>_seed_corpus.zip and <target>.dict into OUT, and builds nothing else.

FUZZ_TARGETS = $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 10
SECONDS ?= 60
FUZZ_CLANG ?= clang-19
FUZZ_HOSTCC ?= $(firstword $(shell command -v cc clang gcc))
OUT ?= $(O)/fuzz/out
# An engine written in C++ needs the C++ compiler as the linker, if CXX is given.
FUZZ_LD = $(if $(filter environment command,$(firstword $(origin CXX))),$(CXX),$(CC))
# What the targets compare with.
FUZZ_ZLIB ?= -lz
FUZZ_LIBZSTD ?= -lzstd
# Empty for engines that load the mutator as a shared object or do not mutate.
FUZZ_MUTATOR = $(O)/fuzz/mutator.o
FUZZ_COMMON = $(addprefix $(O)/fuzz/,common.o reading.o model.o)

# Without the `integer` group, because unsigned arithmetic in the core wraps on purpose.
FUZZ_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

ifdef LIB_FUZZING_ENGINE
fuzz: fuzz-set
else
fuzz: fuzz-libfuzzer fuzz-afl fuzz-replay
endif

fuzz-set: $(FUZZ_TARGETS:%=$(OUT)/fuzz_%) $(FUZZ_TARGETS:%=$(OUT)/fuzz_%_seed_corpus.zip) \
	$(FUZZ_TARGETS:%=$(OUT)/fuzz_%.dict)

$(O)/fuzz/%.o: EXTRA_CPPFLAGS = -Itests
# The target makes these calls of the library fail.
$(OUT)/fuzz_posix: FUZZ_LDFLAGS = \
	$(addprefix -Wl$(comma)--wrap=,malloc calloc strdup strndup pread64)
$(OUT)/fuzz_zstd: FUZZ_ORACLE = $(FUZZ_LIBZSTD)
$(OUT)/fuzz_partitions: $(addprefix $(O)/port/posix/tool/info/,filetype.o gpt.o partition_types.o partitions.o)
$(OUT)/fuzz_%: $(O)/fuzz/fuzz_%.o $(FUZZ_COMMON) $(FUZZ_MUTATOR) $(O)/libqcow2.a $(FUZZ_ENGINE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(FUZZ_LD) $(CFLAGS) $(LDFLAGS) $(FUZZ_LDFLAGS) $^ $(LIB_FUZZING_ENGINE) $(POSIX_LIBS) $(FUZZ_ZLIB) $(FUZZ_ORACLE) -o $@

$(OUT)/fuzz_check: $(O)/tests/support/check_model.o

# The dictionary of the target, or else the one for images.
$(OUT)/fuzz_%.dict: $(wildcard fuzz/*.dict)
	@mkdir -p $(@D)
	$(Q)cp $(or $(wildcard fuzz/$*.dict),fuzz/qcow2.dict) $@

$(O)/fuzz/seeds: fuzz/seeds.c $(filter-out %/mkimage.c %/crypt.c,$(wildcard tests/image/*.c))
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(FUZZ_HOSTCC) -O1 -Itests $^ -lz -o $@
$(O)/fuzz/seed: $(O)/fuzz/seeds
	$(Q)rm -rf $@ && $< $@ && find $@ -exec touch -d @0 {} + && touch $@

# The seeds of a target: folders of $(O)/fuzz/seed, and past findings.
FUZZ_SEEDS_bitmap = bitmap
FUZZ_SEEDS_chain = chain
FUZZ_SEEDS_check = image snapshot bitmap
FUZZ_SEEDS_inflate = inflate
FUZZ_SEEDS_luks = luks
FUZZ_SEEDS_partitions = disk
FUZZ_SEEDS_version1 = version1
FUZZ_SEEDS_zstd = inflate
FUZZ_SEEDS_posix = image snapshot chain
fuzz_seeds = $(or $(FUZZ_SEEDS_$(1)),image snapshot)
$(OUT)/fuzz_%_seed_corpus.zip: $(O)/fuzz/seed
	@mkdir -p $(@D)
	$(call say,ZIP,$@)rm -f $@ && zip -q -X -j -r $(abspath $@) $(patsubst %,$</%,$(call fuzz_seeds,$*)) \
		$(wildcard fuzz/findings/$*)

fuzz_way = $(MAKE) --no-print-directory O=$(O)/fuzz/$(1) OUT=$(O)/fuzz/$(1)/out fuzz-set
fuzz-libfuzzer:
	+$(Q)$(call fuzz_way,libfuzzer) CC=$(FUZZ_CLANG) CFLAGS='-O1 -g $(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link' \
		LIB_FUZZING_ENGINE=-fsanitize=fuzzer
fuzz-afl: $(O)/fuzz/afl_mutator.so
	+$(Q)AFL_QUIET=1 AFL_USE_ASAN=1 $(call fuzz_way,afl) CC=afl-clang-fast \
		CFLAGS='-O1 -g $(FUZZ_SANITIZE)' FUZZ_MUTATOR= LIB_FUZZING_ENGINE=-fsanitize=fuzzer
fuzz-replay:
	+$(Q)$(call fuzz_way,replay) CC=gcc CFLAGS='-O1 -g $(FUZZ_SANITIZE)' FUZZ_MUTATOR= \
		FUZZ_ENGINE_OBJ=$(O)/fuzz/replay/fuzz/replay.o

$(O)/fuzz/afl_mutator.so: fuzz/mutator.c fuzz/afl_mutator.c fuzz/mutator.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(FUZZ_HOSTCC) -O2 -g -shared -fPIC $(filter %.c,$^) -o $@

fuzz-ci: fuzz
	$(Q)bash fuzz/ci.sh $(O)/fuzz $(FUZZ_SECONDS)

fuzz-coverage: fuzz
	$(Q)bash fuzz/coverage.sh $(O)/fuzz $(FUZZ_SECONDS)

fuzz-differential: $(O)/fuzz/ours $(O)/fuzz/mutate $(O)/fuzz/seed $(O)/tests/image/mkimage
	$(Q)/usr/bin/python3 fuzz/differential/differential.py --build $(O)/fuzz --seconds $(SECONDS) \
		--mkimage $(O)/tests/image/mkimage $(addprefix --corpus ,$(CORPUS))

$(O)/fuzz/ours: $(O)/fuzz/differential/ours.o $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $^ $(POSIX_LIBS) -o $@

$(O)/fuzz/mutate: fuzz/differential/mutate.c fuzz/mutator.c fuzz/afl_mutator.c
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(FUZZ_HOSTCC) -O2 $^ -o $@

-include $(wildcard $(O)/fuzz/*.d)

.PHONY: fuzz fuzz-set fuzz-libfuzzer fuzz-afl fuzz-replay fuzz-ci fuzz-coverage fuzz-differential
.SECONDARY: $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%.o)
