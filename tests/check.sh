#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of one build: what make check runs.
#	check.sh BUILD-DIR
set -u
build=$1
here=$(dirname "$0")
rc=0
QCOW2=$(realpath "$build/qcow2")
MKIMAGE=$(realpath "$build/tests/image/mkimage")
PYTEST_ADDOPTS=${PYTEST_ADDOPTS--q -p no:cacheprovider}
export QCOW2 MKIMAGE PYTEST_ADDOPTS

sh "$here/run-programs.sh" "$build" || rc=1
"$build/tests/freestanding/read" || rc=1
sh "$here/freestanding/check-symbols.sh" "$build/libqcow2-core.a" || rc=1
sh "$here/glue/files.sh" "$build" || rc=1

# The one list of the core's files has all of them.
if [ "$(sed -n 's|^#include "src/\(.*\.c\)"$|\1|p' "$build/core_sources.h" | sort)" != \
	"$(cd "$here/../src" && ls -- *.c | grep -vx mem.c | sort)" ]; then
	echo 'FAILED: src/sources.mk does not list each file of src/'
	rc=1
fi

# The README shows port/baremetal/layer.c as it is.
layer() { # FILE: what follows its #include, up to the end of the block
	awk '/^#include "layer.h"/ { on = 1; next } /^```$/ { on = 0 } on' "$1"
}
shown=$(layer "$here/../README.md")
if [ -z "$shown" ] || [ "$shown" != "$(layer "$here/../port/baremetal/layer.c")" ]; then
	echo 'FAILED: README.md shows another port/baremetal/layer.c'
	rc=1
fi

/usr/bin/python3 -m pytest "$here/conform" || rc=1
exit $rc
