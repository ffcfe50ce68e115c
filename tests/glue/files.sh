#!/bin/sh
# SPDX-License-Identifier: MIT
# The files of the core that an adapter's instructions name, by hand, are all that it needs, and no
# more: each is linked with just these.
#	files.sh BUILD-DIR
set -u
build=${1:?usage: files.sh BUILD-DIR}
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rc=0

named() { # FILE: the files of src/ whose names, with .c or .o, are in it
	grep -oE '[a-z_]+\.[co]\b' "$1" | sort -u | while read -r name; do
		[ ! -f "src/${name%.?}.c" ] || echo "$build/src/${name%.?}.o"
	done
}

needs() { # OBJECT...: what of the core is missing
	cc -nostdlib -r -o "$work/all.o" "$@" && nm -u "$work/all.o" | grep -E ' (qcow2|q2)_'
}

check() { # OBJECT FILE-WITH-THE-NAMES
	objects=$(named "$2")
	# shellcheck disable=SC2086
	if missing=$(needs "$1" $objects) || [ -z "$objects" ]; then
		echo "FAILED: $2 names too few files of src/:" $missing
		rc=1
	fi
	for object in $objects; do
		# shellcheck disable=SC2046
		if ! needs "$1" $(echo "$objects" | grep -vxF "$object") >/dev/null; then
			echo "FAILED: $2 names ${object##*/}, which is not needed"
			rc=1
		fi
	done
}

check "$build/port/uboot/qcow2_blk.o" port/uboot/Makefile
check "$build/port/grub/qcow2io.o" port/grub/qcow2io.c
check "$build/port/tfa/io_qcow2.o" port/tfa/io_qcow2.c
exit $rc
