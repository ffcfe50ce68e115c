# SPDX-License-Identifier: MIT
# The files of the POSIX library, beside those of the core; and those of the qcow2 command.
POSIX_SRCS = $(addprefix port/posix/,handle.c map.c snapshots.c failure.c printable.c \
	$(addprefix open/,chain.c file.c find.c resolve.c) read/pool.c codec/codecs.c \
	$(POSIX_DEFLATE_SRC) $(POSIX_ZSTD_SRC)) port/common/utf8.c

# Which decompressors: set POSIX_DEFLATE to libdeflate, zlib or builtin, POSIX_ZSTD to libzstd or
# none, and link what POSIX_LIBS says.
POSIX_DEFLATE ?= builtin
POSIX_ZSTD ?= none
POSIX_DEFLATE_SRC = $(if $(filter-out builtin,$(POSIX_DEFLATE)),codec/deflate.c) codec/deflate_$(POSIX_DEFLATE).c
POSIX_ZSTD_SRC = codec/zstd_$(POSIX_ZSTD).c
POSIX_LIBS = $(POSIX_LIBS_$(POSIX_DEFLATE)) $(POSIX_LIBS_$(POSIX_ZSTD)) -pthread
POSIX_LIBS_libdeflate = -ldeflate
POSIX_LIBS_zlib = -lz
POSIX_LIBS_libzstd = -lzstd

TOOL_SRCS = $(addprefix port/posix/tool/,args.c bitmaps.c cat.c convert.c map_entries.c copy_plan.c holes.c image.c info.c \
	info_json.c json.c main.c map.c open.c output.c progress.c snapshots.c text.c)

# The tests catch these calls of the library, to let them fail.
POSIX_TEST_LDFLAGS = $(addprefix -Wl$(comma)--wrap=,malloc calloc strdup strndup pread64 open64 \
	openat64 syscall fcntl64 lseek64 fstat64 fstatat64 realpath sysconf)
comma := ,
