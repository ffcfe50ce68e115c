#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the program in the README, which must read the sample image correctly.
#	example.sh INCLUDE-DIR LIBRARY-OR-SOURCE [COMPILER-OPTION...]      CC: the compiler, or C++'s
set -eu
include=$1
shift
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$here/../README.md" >"$work/example.c"
${CC:-cc} -Wall -Wextra -Werror -I"$include" "$work/example.c" "$@" -o "$work/example"
sum=$("$work/example" <"$here/data/sample.qcow2" | sha256sum | cut -d' ' -f1)
test "$sum" = "$(cat "$here/data/sample.sha256")"
echo "1 passed, 0 failed"
