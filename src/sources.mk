# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The files of the core, the one list for every build: `make amalgamation`, the POSIX library, the
# firmware programs and yours. Compile $(addprefix .../src/,$(QCOW2_CORE_SRCS)) with -I.../include,
# or only the sets that your program needs.

# Opens an image, maps it, reads it.
QCOW2_CORE_READ = header.c image.c io.c wide.c cache.c map.c chain.c reader.c
# Compressed clusters: this and a decoder. unpack.c also has qcow2_reader_start and
# qcow2_reader_memory.
QCOW2_CORE_UNPACK = unpack.c
QCOW2_CORE_DEFLATE_SMALL = inflate_small.c
QCOW2_CORE_DEFLATE_FAST = inflate_fast.c
QCOW2_CORE_ZSTD_SMALL = zstd_small.c zstd_small_bits.c zstd_small_fse.c zstd_small_literals.c \
	zstd_small_sequences.c xxh64.c
QCOW2_CORE_ZSTD_FAST = zstd_fast.c zstd_fast_fse.c zstd_fast_literals.c zstd_fast_sequences.c \
	xxh64.c
# One capability each: see the header of the same name in include/qcow2/.
QCOW2_CORE_OPTIONAL = bitmap.c block.c check.c check_bitmap.c check_count.c check_map.c \
	check_strict.c check_table.c check_walk.c cipher.c crypto.c extension.c feature.c luks.c \
	luks_aes_xts.c luks_names.c luks_unlock.c luks_verify.c refcount.c snapshot.c status.c version1.c

QCOW2_CORE_SRCS = $(sort $(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_SMALL) \
	$(QCOW2_CORE_DEFLATE_FAST) $(QCOW2_CORE_ZSTD_SMALL) $(QCOW2_CORE_ZSTD_FAST) \
	$(QCOW2_CORE_OPTIONAL))

# Only for a program that has no memcpy, memmove, memset and memcmp of its own.
QCOW2_MEM_SRCS = mem.c
