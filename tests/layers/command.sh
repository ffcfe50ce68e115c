#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Checks that the qcow2 command uses the library through include/qcow2.h and include/qcow2/status.h only
# (and the types that these use).
#	command.sh BUILD-DIR
#
# The objects of the command must include none of our other headers. Linked with the shared library
# (qcow2-shared in tests/tests.mk), they must print and read the same as the ordinary command.
set -u
build=$1
here=$(dirname "$0")
sample=$here/../data/sample.qcow2
shared=$build/tests/layers/qcow2-shared
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
rc=0

for program in "$shared" "$build/qcow2"; do
	[ -x "$program" ] || { echo "FAILED: $program is missing; run make all programs" && exit 1; }
done

fail() {
	echo "FAILED: $*"
	rc=1
}

# DEPENDENCY-FILE: prints the headers of ours that an object must not include. System headers have
# absolute names. A name such as tool/copy/../tool.h becomes tool/tool.h.
foreign_headers() {
	[ -f "$1" ] || return 1
	sed 's/^[^:]*://; s/\\$//' "$1" | tr ' ' '\n' | grep '\.h$' | grep -v '^/' |
		sed -E ':again; s,[a-z]+/\.\./,,; t again' |
		grep -vE '^include/qcow2(/status|/types)?\.h$|^port/posix/tool/([a-z]+/)?[a-z_]+\.h$' | sort -u
}

# Only objects whose source exists: a build directory may have others left over. Of the choices of a library
# for `mount`, one is compiled.
for source in $(cd "$here/../../port/posix/tool" && ls -- *.c */*.c); do
	case $source in
	mount/serve_*) [ -f "$build/port/posix/tool/${source%.c}.o" ] || continue ;;
	esac
	found=$(foreign_headers "$build/port/posix/tool/${source%.c}.d") ||
		fail "no dependency file of $source"
	[ -z "$found" ] || fail "$source includes $(echo "$found" | tr '\n' ' ')"
done

# Test the check itself: it must see a header that is not allowed.
printf 'x.o: port/posix/tool/x.c include/qcow2.h \\\n include/qcow2/image.h port/posix/tool/../posix.h\n' \
	>"$out/x.d"
[ "$(foreign_headers "$out/x.d" | tr '\n' ' ')" = 'include/qcow2/image.h port/posix/posix.h ' ] ||
	fail 'the check of headers does not see a header that is not allowed'

for command in info 'info --json' map 'map --json' snapshots cat; do
	# shellcheck disable=SC2086
	"$shared" $command "$sample" >"$out/shared" || fail "$shared $command"
	# shellcheck disable=SC2086
	"$build/qcow2" $command "$sample" >"$out/static" || fail "$build/qcow2 $command"
	[ -s "$out/shared" ] || fail "$shared $command prints nothing"
	cmp "$out/shared" "$out/static" || fail "$shared $command prints something else"
done
[ "$rc" -ne 0 ] || echo 'the command sees only qcow2.h and qcow2/status.h'
exit $rc
