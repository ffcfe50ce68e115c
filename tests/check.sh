#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The tests of one build: what make check runs. With two processors or more, the C programs run beside
# the conformance tests, and what they print follows at the end.
#	check.sh BUILD-DIR
set -u
build=$1
here=$(dirname "$0")
rc=0
QCOW2=$(realpath "$build/qcow2")
MKIMAGE=$(realpath "$build/tests/image/mkimage")
PYTEST_ADDOPTS=${PYTEST_ADDOPTS--q -p no:cacheprovider}
export QCOW2 MKIMAGE PYTEST_ADDOPTS

programs() {
	ended=0
	sh "$here/run-programs.sh" "$build" || ended=1
	"$build/tests/freestanding/read" || ended=1
	return $ended
}

conformance() {
	/usr/bin/python3 -m pytest "$here/conform"
}

sh "$here/freestanding/check-symbols.sh" "$build/libqcow2-core.a" || rc=1
sh "$here/glue/files.sh" "$build" || rc=1
/usr/bin/python3 "$here/layers/layers.py" "$build" || rc=1
sh "$here/layers/command.sh" "$build" || rc=1

# The one list of the core's files has all of them.
if [ "$(sed -n 's|^#include "src/\(.*\.c\)"$|\1|p' "$build/core_sources.h" | sort)" != \
	"$(cd "$here/../src" && ls -- *.c | grep -vx mem.c | sort)" ]; then
	echo 'FAILED: src/sources.mk does not list each file of src/'
	rc=1
fi

# port/baremetal/README.md shows layer.c and buffer.c as they are.
bare=$here/../port/baremetal
code() { # FILE...: what follows #include "layer.h", up to the end of the file or block
	awk '/^```$/ || FNR == 1 { on = 0 } on { print } /^#include "layer.h"/ { on = 1 }' "$@"
}
shown=$(code "$bare/README.md")
if [ -z "$shown" ] || [ "$shown" != "$(code "$bare/layer.c" "$bare/buffer.c")" ]; then
	echo 'FAILED: port/baremetal/README.md shows another layer.c or buffer.c'
	rc=1
fi

if [ "$(nproc)" -gt 1 ]; then
	programs >"$build/programs.log" 2>&1 &
	trap 'kill $!; exit 130' INT TERM
	conformance || rc=1
	wait $! || rc=1
	cat "$build/programs.log"
else
	programs || rc=1
	conformance || rc=1
fi
if [ $rc -eq 0 ]; then
	echo 'check: all is well'
else
	echo 'check: something has FAILED, see above'
fi
exit $rc
