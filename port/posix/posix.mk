# SPDX-License-Identifier: MIT
# The files of the POSIX library besides those of the core, and those of the qcow2 command.
POSIX_SRCS = $(addprefix port/posix/,handle.c map.c info.c snapshots.c bitmaps.c clusters.c \
	in_use.c failure.c printable.c words.c \
	open/chain.c open/find.c open/names.c open/resolve.c open/beneath.c open/cut.c \
	open/directory.c open/file.c open/direct.c \
	read/pool.c read/fork.c read/ahead.c read/grown.c read/damage.c \
	codec/codecs.c $(POSIX_DEFLATE_SRC) $(POSIX_ZSTD_SRC)) port/common/utf8.c

# The decompressors: POSIX_DEFLATE is libdeflate, zlib or builtin, and POSIX_ZSTD libzstd or none.
# Programs that use the static library link POSIX_LIBS.
POSIX_DEFLATE ?= builtin
POSIX_ZSTD ?= none
POSIX_DEFLATE_SRC = $(if $(filter-out builtin,$(POSIX_DEFLATE)),codec/deflate.c) \
	codec/deflate_$(POSIX_DEFLATE).c
POSIX_ZSTD_SRC = codec/zstd_$(POSIX_ZSTD).c
POSIX_LIBS = $(POSIX_LIBS_$(POSIX_DEFLATE)) $(POSIX_LIBS_$(POSIX_ZSTD)) -pthread
POSIX_LIBS_libdeflate = -ldeflate
POSIX_LIBS_zlib = -lz
POSIX_LIBS_libzstd = -lzstd

TOOL_SRCS = $(addprefix port/posix/tool/,args.c attributes.c cat.c compare.c compare_plan.c convert.c \
	copy_plan.c damage.c device.c filetype.c gpt.c help.c holes.c info.c info_chain.c info_json.c \
	info_load.c info_text.c json.c link.c lost.c main.c map.c map_entries.c map_kind.c map_picture.c \
	map_report.c map_summary.c message.c open.c options.c output.c partition_types.c partitions.c \
	past_end.c picture.c picture_svg.c picture_text.c place.c plot.c progress.c qemu_img.c replace.c \
	salvage.c sandbox.c sandbox_filter.c sandbox_names.c size.c snapshot_find.c snapshot_list.c \
	snapshots.c stream.c svg.c temp.c terminal.c text.c unfinished.c usage.c version.c workers.c)

# The tests catch these calls of the library and make them fail.
POSIX_TEST_LDFLAGS = $(addprefix -Wl$(comma)--wrap=,malloc calloc strdup strndup pread64 open64 \
	openat64 readlink syscall fcntl64 lseek64 fstat64 fstatat64 realpath sysconf)
comma := ,
