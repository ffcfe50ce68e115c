#!/bin/sh
# SPDX-License-Identifier: MIT
# The program in the README compiles as it stands, and reads the sample image right.
#	example.sh BUILD-DIR
set -eu
build=$1
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$here/../README.md" >"$work/example.c"
libs=$(make -s -C "$here/.." O="$build" print-libs)
# shellcheck disable=SC2086
cc -Wall -Wextra -Werror -I"$here/../include" "$work/example.c" "$build/libqcow2.a" $libs -o "$work/example"
sum=$("$work/example" <"$here/data/sample.qcow2" | sha256sum | cut -d' ' -f1)
test "$sum" = "$(cat "$here/data/sample.sha256")"
echo "1 passed, 0 failed"
