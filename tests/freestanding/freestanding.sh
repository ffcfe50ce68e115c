#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Compiles the core for each line of `targets`, with -O2, and -Os for gcc, and no headers but the
# compiler's own. Checks that it needs no function from outside, and no helper of the compiler but the
# 32-bit multiplication where the processor has none. Then links a program of it and read.c, with
# nothing else; where QEMU can run such a program, it must read the images that are built into it.
#
# The core is compiled as `make amalgamation` writes it, with its memory functions. This takes a third of
# the time of single files and finds the same: each function that is not static is still compiled as it
# is, and the others as part of them. `make core` and the cross builds of check-all compile the files one
# by one.
#	freestanding.sh DIR CORE-DIR IMAGES-DIR
# CORE-DIR has qcow2_core.c and .h, IMAGES-DIR has images.h. TARGETS, if set: only these
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=${1:?usage: freestanding.sh DIR CORE-DIR IMAGES-DIR}
core=${2:?usage: freestanding.sh DIR CORE-DIR IMAGES-DIR}
images=${3:?usage: freestanding.sh DIR CORE-DIR IMAGES-DIR}
nm=llvm-nm-14
flags='-std=c11 -ffreestanding -nostdinc -fno-stack-protector -fno-pic -fno-asynchronous-unwind-tables
	-ffunction-sections -fdata-sections -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Werror'
passed=0
failed=0

# limits.h of some versions of gcc includes that of the libc. As there is none, use an empty file.
mkdir -p "$dir/include"
: >"$dir/include/limits.h"

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
	more=
	case " $* " in *' -march=rv32i '*) more=__mulsi3 ;; esac
	compile "$core/qcow2_core.c" "$out/core.o" "$@" &&
		PREFIX=$prefix NM=$nm OWN_MEM=yes MORE=$more sh tests/freestanding/check-symbols.sh "$out/core.o"
}

# mem.c must need nothing, also when its functions have other names: otherwise the compiler has turned
# a loop into a call to the very function that the loop implements.
mem_needs_nothing() { # OUT-DIR PREFIX COMPILER FLAGS...
	out=$1 prefix=$2
	shift 2
	compile src/mem.c "$out/mem.o" "$@" &&
		compile src/mem.c "$out/renamed.o" "$@" -Dmemcpy=a -Dmemmove=b -Dmemset=c -Dmemcmp=d || return 1
	defined=$($nm -g --defined-only "$out/mem.o" | awk '$2 == "T" { print $3 }' | sed "s/^$prefix//" | sort)
	[ "$(echo $defined)" = 'memcmp memcpy memmove memset' ] || { echo "mem.c defines:" $defined; return 1; }
	needed=$($nm -u "$out/mem.o" "$out/renamed.o" | awk 'NF == 2 { print $2 }')
	[ -z "$needed" ] || { echo "mem.c needs:" $needed; return 1; }
}

link() { # PROGRAM COMPILER FLAGS... -- OBJECT...: also writes which object each function is from
	program=$1 cc=$2
	shift 2
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086
	case "$cc $options " in
	clang*windows*)
		lld-link-14 /entry:program /subsystem:native /nodefaultlib /opt:ref "/map:$program.map" \
			"/out:$program" "$@" ;;
	clang*s390x*) s390x-linux-gnu-ld --gc-sections -static -e program -Map="$program.map" -o "$program" "$@" ;;
	clang*) ld.lld-14 --gc-sections -static -e program -Map="$program.map" -o "$program" "$@" ;;
	# Nothing sets the register through which the linker would make RISC-V reach variables.
	riscv*) "$cc" $options -nostdlib -nostartfiles -static -Wl,--no-relax,--gc-sections,-e,program \
		-Wl,-Map="$program.map" -o "$program" "$@" ;;
	# -Os for PowerPC calls what restores registers (check-symbols.sh).
	powerpc*) "$cc" $options -nostdlib -nostartfiles -static -Wl,--gc-sections,-e,program \
		-Wl,-Map="$program.map" -o "$program" "$@" -lgcc ;;
	*) "$cc" $options -nostdlib -nostartfiles -static -Wl,--gc-sections,--build-id=none,-e,program \
		-Wl,-Map="$program.map" -o "$program" "$@" ;;
	esac
}

# Two programs: the core alone, and with memory functions of the program, which replace those of the core.
links_alone() { # OUT-DIR RUNNER COMPILER FLAGS...
	out=$1 runner=$2
	shift 2
	system=NONE
	[ -z "$runner" ] || system=LINUX
	compile tests/freestanding/read.c "$out/read.o" "$@" "-I$images" "-DSYSTEM_$system" || return 1
	link "$out/program" "$@" -- "$out/read.o" "$out/core.o" &&
		link "$out/replaced" "$@" -- "$out/read.o" "$out/core.o" "$out/mem.o" || return 1
	[ -z "$runner" ] || { "$runner" "$out/program" && "$runner" "$out/replaced"; } || return 1
	awk -v own="$out/mem.o" 'BEGIN { sub(/.*\//, "", own) }
		/memcpy/ && index($0, own) { ours = 1 } END { exit !ours }' "$out/replaced.map" ||
		{ echo 'the memcpy of the program does not replace that of the core'; return 1; }
}

check() { # OUT-DIR RUNNER COMPILER FLAGS...
	out=$1 runner=$2 prefix=
	shift 2
	case $* in *i686*windows*) prefix=_ ;; esac # how C names begin there
	rm -rf "$out"
	mkdir -p "$out"
	core_needs_nothing "$out" "$prefix" "$@" && mem_needs_nothing "$out" "$prefix" "$@" &&
		links_alone "$out" "$runner" "$@"
}

runner_of() { # TARGET: the emulator for programs of Linux, if read.c has its system calls
	case $1 in
	*-armv7) echo qemu-arm-static ;;
	*-aarch64) echo qemu-aarch64-static ;;
	*-rv32) echo qemu-riscv32-static ;;
	*-rv64) echo qemu-riscv64-static ;;
	*-i686) echo qemu-i386-static ;;
	*-x86-64) echo qemu-x86_64-static ;;
	esac
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
		check "$dir/$name-$level" "$(runner_of "$name")" "$cc" $options "-$level" || good=no
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
