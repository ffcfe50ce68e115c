#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The instructions or the script of each port list the files of the core that it needs, as names or as
# sets of src/sources.mk. This links the port with these files, and fails if one is missing or not needed.
#	files.sh BUILD-DIR
set -u
build=${1:?usage: files.sh BUILD-DIR}
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rc=0

members() { # SET: the files of a set of src/sources.mk
	printf 'include src/sources.mk\nall: ; @echo $(%s)\n' "$1" | make -s -f -
}

named() { # FILE: the objects of the files of src/ that it names
	{
		grep -oE '[a-z_]+\.c\b' "$1"
		for set in $(grep -oE '\bQCOW2_CORE_[A-Z_]+' "$1" | sort -u); do members "$set"; done
	} | tr ' ' '\n' | sort -u | while read -r name; do
		[ ! -f "src/$name" ] || echo "$build/src/${name%.c}.o"
	done
}

needs() { # OBJECT...: prints the symbols of the core that are undefined; fails if there are none
	cc -nostdlib -r -o "$work/all.o" "$@" && nm -u "$work/all.o" | grep -E ' (qcow2|q2)_'
}

check() { # FILE-WITH-THE-NAMES OBJECT...
	names=$1
	shift
	objects=$(named "$names")
	# shellcheck disable=SC2086
	if missing=$(needs "$@" $objects) || [ -z "$objects" ]; then
		echo "FAILED: $names names too few files of src/:" $missing
		rc=1
	fi
	for object in $objects; do
		# shellcheck disable=SC2046
		if ! needs "$@" $(echo "$objects" | grep -vxF "$object") >/dev/null; then
			echo "FAILED: $names names ${object##*/}, which is not needed"
			rc=1
		fi
	done
}

heap=$build/port/common/heap_reader.o
check port/uboot/import.sh "$build"/port/uboot/drivers/block/qcow2_*.o "$heap"
check port/grub/build.sh "$build/port/grub/qcow2disk.o" "$heap"
check port/tfa/README.md "$build/port/tfa/io_qcow2.o"
check port/zephyr/CMakeLists.txt "$build/port/zephyr/qcow2_disk.o"
exit $rc
