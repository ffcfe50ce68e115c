# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The files of the POSIX library besides those of the core, and those of the qcow2 command.
POSIX_SRCS = $(addprefix port/posix/,handle.c map.c info.c snapshots.c bitmaps.c dirty.c clusters.c \
	in_use.c check.c check_deep.c check_text.c failure.c printable.c words.c \
	open/chain.c open/find.c open/names.c open/resolve.c open/beneath.c open/cut.c \
	open/directory.c open/file.c open/direct.c \
	read/pool.c read/fork.c read/ahead.c read/grown.c read/damage.c \
	codec/codecs.c $(POSIX_DEFLATE_SRC) $(POSIX_ZSTD_SRC) \
	encryption.c key/unlock.c key/luks_words.c key/sealed.c key/crypto_$(POSIX_CRYPTO).c) port/common/utf8.c $(POSIX_CRYPTO_SRC)

# The decompressors: POSIX_DEFLATE is libdeflate, zlib or builtin, and POSIX_ZSTD libzstd or builtin.
# What decrypts: POSIX_CRYPTO is libgcrypt, libcrypto or none. Programs that use the static library link
# POSIX_LIBS.
POSIX_DEFLATE ?= builtin
POSIX_ZSTD ?= builtin
POSIX_CRYPTO ?= none
POSIX_DEFLATE_SRC = $(if $(filter-out builtin,$(POSIX_DEFLATE)),codec/deflate.c) \
	codec/deflate_$(POSIX_DEFLATE).c
POSIX_ZSTD_SRC = codec/zstd_$(POSIX_ZSTD).c
POSIX_CRYPTO_SRC = $(if $(filter-out none,$(POSIX_CRYPTO)),port/crypto/handles.c port/crypto/$(POSIX_CRYPTO).c)
POSIX_LIBS = $(POSIX_LIBS_$(POSIX_DEFLATE)) $(POSIX_LIBS_$(POSIX_ZSTD)) $(POSIX_LIBS_$(POSIX_CRYPTO)) -pthread
POSIX_LIBS_libdeflate = -ldeflate
POSIX_LIBS_zlib = -lz
POSIX_LIBS_libzstd = -lzstd
POSIX_LIBS_libgcrypt = -lgcrypt -lgpg-error
POSIX_LIBS_libcrypto = -lcrypto

# What mounts: TOOL_FUSE is libfuse3 or none. Programs that contain the command link TOOL_LIBS.
TOOL_FUSE ?= none
TOOL_LIBS = $(TOOL_LIBS_$(TOOL_FUSE))
TOOL_LIBS_libfuse3 = -lfuse3

TOOL_SRCS = $(addprefix port/posix/tool/,args.c help.c main.c message.c options.c qemu_img.c run.c size.c version.c write_all.c \
	attach/attach.c attach/detach.c attach/nbd_device.c attach/nbd_netlink.c attach/nbd_server.c \
	check/check.c check/check_print.c \
	disk/damage.c disk/files.c disk/holes.c disk/key_source.c disk/keys.c disk/lost.c disk/marks.c \
	disk/open.c disk/past_end.c disk/prompt.c disk/salvage.c \
	disk/snapshot_find.c disk/workers.c \
	show/json.c show/progress.c show/svg.c show/terminal.c show/text.c \
	info/bitmap_json.c info/bitmaps.c info/filetype.c info/gpt.c info/info.c info/info_chain.c info/info_json.c info/info_load.c \
	info/info_text.c info/partition_types.c info/partitions.c info/snapshot_list.c info/snapshots.c \
	info/usage.c \
	map/map.c map/map_entries.c map/map_kind.c map/map_picture.c map/map_report.c map/map_summary.c \
	map/picture.c map/picture_svg.c map/picture_text.c map/plot.c \
	copy/cat.c copy/compare.c copy/compare_plan.c copy/convert.c copy/copy_plan.c copy/stream.c \
	output/attributes.c output/device.c output/link.c output/output.c output/place.c \
	output/replace.c output/temp.c output/unfinished.c \
	mount/mount.c mount/serve_$(TOOL_FUSE).c $(if $(filter libfuse3,$(TOOL_FUSE)),mount/serve_relay.c) mount/snapshot_names.c mount/tree.c mount/umount.c mount/views.c \
	sandbox/sandbox.c sandbox/sandbox_filter.c sandbox/sandbox_names.c)

# The tests catch these calls of the library and make them fail.
POSIX_TEST_LDFLAGS = $(addprefix -Wl$(comma)--wrap=,malloc calloc strdup strndup pread64 open64 __open64_2 \
	openat64 __openat64_2 readlink syscall fcntl64 lseek64 fstat64 fstatat64 realpath sysconf)
comma := ,
