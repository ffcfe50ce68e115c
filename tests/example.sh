#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Compiles the two programs in the README: the first one, for the library, must read the sample image
# correctly; the second one, for firmware, is a piece of a program, which must compile.
#	example.sh INCLUDE-DIR LIBRARY-OR-SOURCE [COMPILER-OPTION...]      CC: the compiler, or C++'s
set -eu
include=$1
shift
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

block() { # NUMBER: the lines of a block of C in the README
	awk -v want="$1" '/^```c$/ { on = ++n == want; next } /^```$/ { on = 0 } on' "$here/../README.md"
}

block 1 >"$work/example.c"
${CC:-cc} -Wall -Wextra -Werror -I"$include" "$work/example.c" "$@" -o "$work/example"
sum=$("$work/example" <"$here/data/sample.qcow2" | sha256sum | cut -d' ' -f1)
test "$sum" = "$(cat "$here/data/sample.sha256")"

# In a function whose parameters are what the firmware has.
{
	echo '#include "qcow2/reader.h"'
	echo 'int flash_read(void *ctx, uint64_t pos, void *buf, size_t len);'
	echo 'void firmware(struct qcow2_image image, struct qcow2_reader reader, uint64_t offset,'
	echo '	struct qcow2_error error, uint64_t flash_size, int flash, void *buffer, size_t length)'
	echo '{'
	block 2
	echo '}'
} >"$work/firmware.c"
grep -q qcow2_reader_read "$work/firmware.c"
cc -std=c99 -Wall -Wextra -Werror -I"$here/../include" -fsyntax-only "$work/firmware.c"
echo "2 passed, 0 failed"
