# SPDX-License-Identifier: MIT
# The core's files, for any build: $(addprefix .../src/,$(QCOW2_CORE_SRCS)), with -I.../include.
# Without compressed clusters leave out unpack.c (which has qcow2_reader_memory, too), inflate_small.c and
# inflate_fast.c; the linker drops what is not called.
QCOW2_CORE_SRCS = bitmap.c block.c cache.c chain.c extension.c feature.c header.c image.c inflate_small.c inflate_fast.c io.c map.c \
	reader.c refcount.c snapshot.c status.c unpack.c wide.c
# Only where nothing else provides memcpy, memmove, memset and memcmp.
QCOW2_MEM_SRCS = mem.c
