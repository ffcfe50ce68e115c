#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Adds the reader, its block device and its command to a U-Boot source tree.
#	import.sh TREE [STEP...]    with steps, only these: lib block command unit
#	import.sh files             the files of U-Boot that the steps change
# patch.sh makes a series of patches of the steps.
set -eu
here=port/uboot
tree=${1:?usage: import.sh TREE [STEP...]}
shift

if [ "$tree" = files ]; then
	echo cmd/Kconfig cmd/Makefile configs/sandbox_defconfig disk/part.c \
		doc/usage/index.rst drivers/block/Kconfig drivers/block/Makefile \
		drivers/block/blk-uclass.c include/dm/uclass-id.h lib/Kconfig lib/Makefile test/dm/Makefile
	exit
fi
tree=$(cd "$tree" && pwd)
cd "$(dirname "$0")/../.."
[ -f "$tree/drivers/block/blk-uclass.c" ] || { echo "$tree is no U-Boot tree" >&2 && exit 1; }

# The files of src/ that are needed.
core='$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_FAST) $(QCOW2_CORE_DEFLATE_SMALL)'
core="$core \$(QCOW2_CORE_ZSTD_FAST) \$(QCOW2_CORE_ZSTD_SMALL) block.c status.c"
core=$(printf 'include src/sources.mk\nall: ; @echo $(sort %s)\n' "$core" | make -s -f -)

# Copies files of ours. Headers that they share with U-Boot's drivers are in include/qcow2/.
copy() { # TO-FOLDER FILE...
	to=$tree/$1
	shift
	mkdir -p "$to"
	for file; do
		sed -e 's,#include "\.\./common/,#include ",' \
			-e 's,#include "\(fat\|heap_reader\)\.h",#include "qcow2/\1.h",' \
			"$file" >"$to/${file##*/}"
	done
}

# Adds a line after the first one that has the text FROM: the same line with TO in place of it.
like() { # FILE FROM TO
	awk -v from="$2" -v to="$3" '
		{ print; at = index($0, from) }
		!done && at { print substr($0, 1, at - 1) to substr($0, at + length(from)); done = 1 }
		END { if (!done) { print FILENAME " has no line with " from > "/dev/stderr"; exit 1 } }
	' "$tree/$1" >"$tree/$1.new"
	mv "$tree/$1.new" "$tree/$1"
}

# Adds the content of one of our files before the first line that matches.
before() { # FILE PATTERN OURS
	awk -v pattern="$2" -v ours="$here/$3" '
		!done && $0 ~ pattern { while ((getline line < ours) > 0) print line; print ""; done = 1 }
		{ print }
		END { exit !done }' "$tree/$1" >"$tree/$1.new"
	mv "$tree/$1.new" "$tree/$1"
}

lib() {
	[ ! -e "$tree/lib/qcow2" ] || { echo "$tree has the port already" >&2 && exit 1; }
	for name in $core; do copy lib/qcow2 "src/$name"; done
	copy lib/qcow2 src/internal.h src/load_store.h src/deflate.h src/zstd_*.h \
		port/uefi/fat.c port/uefi/path.c port/uefi/path.h port/common/utf8.c port/common/utf8.h \
		port/common/heap_reader.c port/uboot/lib/qcow2/Kconfig
	copy include/qcow2 port/uboot/include/qcow2/types.h port/uefi/fat.h port/common/heap_reader.h \
		$(printf 'include/qcow2/%s.h ' block cipher codec image io reader status)
	{
		printf '# SPDX-License-Identifier: MIT\n\n'
		for name in $core fat.c path.c utf8.c heap_reader.c; do echo "obj-y += ${name%.c}.o"; done
	} >"$tree/lib/qcow2/Makefile"
	like lib/Makefile 'ZSTD) += zstd/' 'QCOW2) += qcow2/'
	printf '\nsource "lib/qcow2/Kconfig"\n' >>"$tree/lib/Kconfig"
}

block() {
	copy drivers/block $(printf 'port/uboot/drivers/block/qcow2_%s.c ' blk file place)
	copy include port/uboot/include/qcow2_blk.h
	like drivers/block/Makefile 'BLOCK_CACHE) += blkcache.o' \
		'BLK_QCOW2) += qcow2_blk.o qcow2_file.o qcow2_place.o'
	cat "$here/drivers/block/Kconfig" >>"$tree/drivers/block/Kconfig"
	like include/dm/uclass-id.h '_PWM,		/* Pulse-width modulator */' \
		'_QCOW2,		/* Disk in a qcow2 image */'
	like disk/part.c 'case UCLASS_PVBLOCK:' 'case UCLASS_QCOW2:'
	like drivers/block/blk-uclass.c '_PVBLOCK, "pvblock"' '_QCOW2, "qcow2"'
}

command() {
	copy cmd port/uboot/cmd/qcow2.c
	copy doc/usage/cmd port/uboot/doc/usage/cmd/qcow2.rst
	like cmd/Makefile 'PXE) += pxe.o' 'QCOW2) += qcow2.o'
	before cmd/Kconfig '^config CMD_BLOCK_CACHE' cmd/Kconfig
	# Newer trees list all pages of this folder by a pattern.
	! grep -q cmd/pstore "$tree/doc/usage/index.rst" ||
		like doc/usage/index.rst cmd/pstore cmd/qcow2
}

# The test needs blkmap, which U-Boot has from v2023.04 on.
unit() {
	[ -f "$tree/include/blkmap.h" ] || return 0
	copy test/dm port/uboot/test/dm/qcow2.c
	like test/dm/Makefile '(CONFIG_BLKMAP) += blkmap.o' \
		'(and $(CONFIG_BLKMAP),$(CONFIG_CMD_QCOW2)) += qcow2.o'
	like configs/sandbox_defconfig CONFIG_BLKMAP=y CONFIG_BLK_QCOW2=y
}

[ $# -gt 0 ] || set -- lib block command unit
for step; do "$step"; done
