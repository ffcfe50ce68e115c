#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the core for each line of `targets`, with -O2, and -Os for gcc, and no headers but the
# compiler's own. Checks that it needs no function from outside but four memory functions, and no
# helper of the compiler but the 32-bit multiplication where the processor has none. mem.c, which
# defines these four, must need nothing at all.
#
# The core is compiled as one unit, which is a third of the work. This finds the same: each function
# that is not static is still compiled as it is, and the others as part of them. `make core` and the
# cross builds of check-all compile the files one by one.
#	freestanding.sh DIR FILE...      FILE: as in QCOW2_CORE_SRCS; TARGETS, if set: only these
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=${1:?usage: freestanding.sh DIR FILE...}
shift
core=${*:?usage: freestanding.sh DIR FILE...}
nm=llvm-nm-14
flags='-std=c11 -ffreestanding -nostdinc -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables
	-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror'
passed=0
failed=0

# limits.h of some versions of gcc includes that of the libc. As there is none, use an empty file.
mkdir -p "$dir/include"
: >"$dir/include/limits.h"

for file in $core; do
	echo "#include \"src/$file\""
done >"$dir/core.c"

compile() { # FILE OBJECT COMPILER FLAGS...
	file=$1 object=$2
	shift 2
	# shellcheck disable=SC2086
	timeout 3600 "$@" $flags -isystem "$own_headers" -idirafter "$dir/include" -Iinclude -I. \
		-c "$file" -o "$object"
}

core_needs_nothing() { # OUT-DIR PREFIX COMPILER FLAGS...
	out=$1 prefix=$2
	shift 2
	# The checksum of zstd multiplies 32 bits. Where the processor cannot, the compiler has a helper.
	more=memcpy
	case " $* " in *' -march=rv32i '*) more=__mulsi3 ;; esac
	compile "$dir/core.c" "$out/core.o" "$@" &&
		PREFIX=$prefix NM=$nm MORE=$more sh tests/freestanding/check-symbols.sh "$out/core.o"
}

# mem.c must need nothing, also when its functions have other names: otherwise the compiler has turned
# a loop into a call to the very function that the loop implements.
mem_needs_nothing() { # OUT-DIR PREFIX COMPILER FLAGS...
	out=$1 prefix=$2
	shift 2
	compile src/mem.c "$out/mem" "$@" &&
		compile src/mem.c "$out/renamed" "$@" -Dmemcpy=a -Dmemmove=b -Dmemset=c -Dmemcmp=d || return 1
	defined=$($nm -g --defined-only "$out/mem" | awk '$2 == "T" { print $3 }' | sed "s/^$prefix//" | sort)
	[ "$(echo $defined)" = 'memcmp memcpy memmove memset' ] || { echo "mem.c defines:" $defined; return 1; }
	needed=$($nm -u "$out/mem" "$out/renamed" | awk 'NF == 2 { print $2 }')
	[ -z "$needed" ] || { echo "mem.c needs:" $needed; return 1; }
}

check() { # OUT-DIR COMPILER FLAGS...
	out=$1 prefix=
	shift
	case $* in *i686*windows*) prefix=_ ;; esac # how C names begin there
	rm -rf "$out"
	mkdir -p "$out"
	core_needs_nothing "$out" "$prefix" "$@" && mem_needs_nothing "$out" "$prefix" "$@"
}

while read -r name cc options; do
	case $name in ''|'#'*) continue ;; esac
	case " ${TARGETS:-$name} " in *" $name "*) ;; *) continue ;; esac
	good=yes
	text=
	own_headers=$("$cc" -print-file-name=include)
	# -O2 makes the most calls of loops. For the time of check-all, clang compiles with that alone.
	levels='Os O2'
	case $cc in clang*) levels=O2 ;; esac
	for level in $levels; do
		# shellcheck disable=SC2086
		check "$dir/$name-$level" "$cc" $options "-$level" || good=no
		text="$text  -$level $(llvm-size-14 "$dir/$name-$level/core.o" 2>/dev/null |
			awk 'NR == 2 { print $1 }')"
	done
	if [ $good = yes ]; then
		passed=$((passed + 1))
		echo "ok      $name:$text bytes"
	else
		failed=$((failed + 1))
		echo "FAILED  $name"
	fi
done <tests/freestanding/targets
echo "$passed passed, $failed failed"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
