#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds the README's first program with the two files of `make amalgamation`, as port/README.md shows it for
# Make and for CMake. Debian has no Zig.
#	two-files.sh AMALGAMATION-DIR
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$1/qcow2.c" "$1/qcow2.h" "$here/../port/examples/cat.c" "$work"
mv "$work/cat.c" "$work/main.c"

block() { awk -v start="^\`\`\`$1\$" '/^```$/ { on = 0 } on { print } $0 ~ start { on = 1 }' "$here/../port/README.md"; }

reads() { # PROGRAM
	[ "$("$1" <"$here/data/sample.qcow2" | sha256sum | cut -d' ' -f1)" = "$(cat "$here/data/sample.sha256")" ] ||
		{ echo "FAILED: $1 reads something else"; exit 1; }
}

block make >"$work/Makefile"
[ "$(wc -l <"$work/Makefile")" -eq 3 ]
make -s -C "$work" CFLAGS='-O0 -I.' main
reads "$work/main"

{ echo 'cmake_minimum_required(VERSION 3.10)'; echo 'project(main C)'; block cmake; } >"$work/CMakeLists.txt"
[ "$(wc -l <"$work/CMakeLists.txt")" -eq 5 ]
sed -i 's/-O2/-O0/' "$work/CMakeLists.txt"
cmake -S "$work" -B "$work/build" -DCMAKE_C_FLAGS=-I"$work" >"$work/log" && make -s -C "$work/build" >"$work/log"
reads "$work/build/main"
echo "2 passed, 0 failed"
