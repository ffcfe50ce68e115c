#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Tests what make install has installed into the usual folders of a prefix.
#	installed.sh PREFIX VERSION BUILD-DIR      make install PREFIX=PREFIX has run
set -eu
prefix=$1 version=$2 build=$3
here=$(cd "$(dirname "$0")/.." && pwd)
root=$here/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib"
passed=0

ok() { passed=$((passed + 1)); }
fail() { echo "FAILED: $*"; exit 1; }
same() { [ "$1" = "$2" ] || fail "$3: '$1' is not '$2'"; }

sample=$here/data/sample.qcow2
sum=$(cat "$here/data/sample.sha256")
sum_of() { sha256sum | cut -d' ' -f1; }
same "$("$prefix/bin/qcow2" cat "$sample" | sum_of)" "$sum" 'the command'
ok

# The shared library has its version in its name, and programs ask for its soname.
same "$(readlink "$prefix/lib/libqcow2.so")" libqcow2.so.0 'libqcow2.so'
same "$(readlink "$prefix/lib/libqcow2.so.0")" "libqcow2.so.$version" 'libqcow2.so.0'
[ -f "$prefix/lib/libqcow2.so.$version" ] || fail 'the library has no version in its name'
same "$(pkg-config --modversion libqcow2)" "$version" 'pkg-config'
ok

# The README shows the first example as it is.
awk '/^```$/ { exit } on { print } /^```c$/ { on = 1 }' "$root/README.md" >"$work/readme.c"
sed '/^#include/,$!d' "$prefix/share/doc/libqcow2/examples/cat.c" | cmp - "$work/readme.c" ||
	fail 'the README shows another cat.c'
ok

# All examples, with the shared and the static library, as C and as C++.
compile() { # EXAMPLE COMPILER OPTION...
	source=$prefix/share/doc/libqcow2/examples/$1.c
	compiler=$2
	shift 2
	"$compiler" -Wall -Wextra -Werror -x "$([ "$compiler" = g++ ] && echo c++ || echo c)" \
		$(pkg-config --cflags libqcow2) "$source" -x none -o "$work/example" "$@"
}
for example in cat map rescue; do
	compile $example gcc $(pkg-config --libs libqcow2)
	readelf -d "$work/example" | grep -q 'NEEDED.*\[libqcow2\.so\.0\]' || fail "$example is not linked to libqcow2.so.0"
	mv "$work/example" "$work/$example"
done
compile cat g++ $(pkg-config --libs libqcow2)
same "$("$work/example" <"$sample" | sum_of)" "$sum" 'cat.c as C++'
compile cat gcc -static $(pkg-config --static --libs libqcow2)
same "$("$work/example" <"$sample" | sum_of)" "$sum" 'cat.c, static'
same "$("$work/cat" <"$sample" | sum_of)" "$sum" 'cat.c'
ok

# The map of an overlay, and a damaged disk: an entry points past the end of the file.
printf 'size 512k\nl2 0 data\nl2 3 data\n' | "$build/tests/image/mkimage" "$work/base.qcow2"
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$work/top.qcow2" 512k
qemu-io -f qcow2 -c 'write -q -P 1 65536 65536' "$work/top.qcow2"
same "$("$work/map" "$work/top.qcow2" | tr '\n' ' ')" '0 65536 1 65536 65536 0 196608 65536 1 ' map.c
ok
printf 'size 512k\nl2 0 data\nl2 3 raw 1<<63|1<<40\nl2 4 data\n' |
	"$build/tests/image/mkimage" -e "$work/expected" "$work/damaged.qcow2"
"$work/rescue" "$work/damaged.qcow2" >"$work/rescued" 2>"$work/log"
grep -q '^rescue: 65536 bytes at 196608: ' "$work/log" || fail "rescue.c: $(cat "$work/log")"
same "$(wc -l <"$work/log")" 1 'rescue.c, messages'
cmp "$work/expected" "$work/rescued" || fail rescue.c
ok

# CMake finds the same version, an earlier one and no later one.
cmake_project() { # WANTED-VERSION
	rm -rf "$work/cmake"
	cmake -S "$here/installed" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DWANTED="$1" \
		-DEXAMPLES="$prefix/share/doc/libqcow2/examples" >"$work/log" 2>&1
}
cmake_project 0.1 || fail "CMake: $(cat "$work/log")"
cmake_project "$version" || fail "CMake: $(cat "$work/log")"
cmake --build "$work/cmake" >"$work/log" 2>&1 || fail "CMake: $(cat "$work/log")"
for program in cat_shared cat_static; do
	same "$("$work/cmake/$program" <"$sample" | sum_of)" "$sum" "CMake, $program"
done
readelf -d "$work/cmake/cat_shared" | grep -q 'libqcow2\.so\.0' || fail 'CMake does not link the shared library'
! readelf -d "$work/cmake/cat_static" | grep -q libqcow2 || fail 'CMake does not link the static library'
! cmake_project 0.99 || fail 'CMake takes version 0.99'
! cmake_project 1.0 || fail 'CMake takes version 1.0'
ok

# There is a page for each call and each command, and none has an error. man follows the links.
pages=" $(cd "$prefix/share/man" && ls man1 man3 | tr '\n' ' ')"
for call in $(sed -n 's/^	\(qcow2_[a-z0-9_]*\);$/\1/p' "$root/port/posix/libqcow2.map"); do
	case $pages in *" $call.3 "*) ;; *) fail "no manual page for $call" ;; esac
done
for command in $("$prefix/bin/qcow2" help --table | cut -f1 | sort -u); do
	case $pages in *" qcow2-$command.1 "*) ;; *) fail "no manual page for qcow2 $command" ;; esac
done
page() { MANWIDTH=200 man -M "$prefix/share/man" -P cat "$@" 2>"$work/log" | col -b; }
page 3 qcow2_map | grep -q 'Returns 1 and fills \*segment' || fail "man qcow2_map: $(cat "$work/log")"
page 3 qcow2_read | grep -q 'copies len bytes of the disk' || fail "man qcow2_read: $(cat "$work/log")"
page 1 qcow2-map | grep -q '^ *qcow2 cat ' || fail "man qcow2-map: $(cat "$work/log")"
same "$(cd "$prefix/share/man" && mandoc -T lint -W warning man3/qcow2*.3 man1/qcow2.1 2>&1 | grep -v '\.so is fragile')" \
	'' 'manual pages'
ok

echo "$passed passed, 0 failed"
