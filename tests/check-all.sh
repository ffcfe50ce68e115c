#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# All tests, in all builds: gcc and clang, C99 and C11, 32 bits, sanitizers, valgrind. Each step
# writes a log to build/check/; its tests are counted, and those of all steps are summed up in the
# last line.
#	check-all.sh [STEP...]      only the steps whose names begin like this
set -u
cd "$(dirname "$0")/.."
logs=build/check
mkdir -p "$logs"
wanted=("$@")
passed=0
failed=0
jobs=$(nproc)

# Counts what cmocka, pytest and our own scripts say at the end.
count() { # LOG WORD
	sed -nE -e "s/^\[  ${2^^}  \] ([0-9]+) test\(s\).*/\1/p" \
		-e "s/^.*\b([0-9]+) ${2,,}\b.*( in |, [0-9]+ (passed|failed|skipped)|$).*/\1/p" "$1" |
		awk '{ n += $1 } END { print n + 0 }'
}

step() { # NAME COMMAND...
	local name=$1 log=$logs/$1.log start=$SECONDS rc=0 p f
	shift
	if [ ${#wanted[@]} -gt 0 ]; then
		local w hit=
		for w in "${wanted[@]}"; do [[ $name == "$w"* ]] && hit=1; done
		[ -n "$hit" ] || return 0
	fi
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	p=$(count "$log" passed)
	f=$(count "$log" failed)
	# A step that counts nothing is one test; one that fails has at least one failure.
	[ $((p + f)) -gt 0 ] || [ $rc -ne 0 ] || p=1
	[ "$f" -gt 0 ] || [ $rc -eq 0 ] || f=1
	passed=$((passed + p))
	failed=$((failed + f))
	printf '%-24s %5d passed %3d failed  %4d s\n' "$name" "$p" "$f" $((SECONDS - start))
	[ "$f" -eq 0 ] || tail -n 60 "$log" | sed 's/^/    /'
}

variant() { # NAME MAKE-VARIABLES...: build everything and run the programs of the unit tests
	local name=$1
	shift
	make -s -j"$jobs" O="build/$name" "$@" all programs || return 1
	sh tests/run-programs.sh "build/$name"
}

guarded() { # before|after COMMAND...: where the tests' buffers lie next to their guard pages
	local rc=0
	export TEST_GUARD=$1
	shift
	"$@" || rc=$?
	unset TEST_GUARD # by lot again: tests/unit/guard.h
	return $rc
}

build_only() { # NAME MAKE-VARIABLES...
	local name=$1
	shift
	make -s -j"$jobs" O="build/$name" "$@" all programs
}

headers_alone() { # each public header, in C99 and in C++, with nothing before it
	local h
	for h in include/*.h include/qcow2/*.h; do
		echo "#include \"${h#include/}\"" >build/check/header.c
		gcc -std=c99 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only build/check/header.c &&
			g++ -std=c++98 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ build/check/header.c ||
			return 1
	done
}

formatted() {
	git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror
}

cross() { # TRIPLET EMULATOR: the core's tests and the command on another processor
	local build=build/$1
	make -s -j"$jobs" O="$build" CROSS_COMPILE="$1-" PKG_CONFIG=false \
		CFLAGS='-O2 -Werror' LDFLAGS=-static "$build/libqcow2.a" "$build/qcow2" || return 1
	test "$("$2" "$build/qcow2" cat tests/data/sample.qcow2 | sha256sum | cut -d' ' -f1)" = \
		"$(cat tests/data/sample.sha256)" || return 1
	sh tests/unit/cross.sh "$build/tests" "$1-gcc" "$2"
}

no_codecs() { # the libraries are optional: without them all works but zstd, and that says so
	make -s -j"$jobs" O=build/builtin POSIX_DEFLATE=builtin POSIX_ZSTD=none all programs &&
		sh tests/run-programs.sh build/builtin posix &&
		sh tests/demo.sh build/builtin/qcow2
}

example() {
	# shellcheck disable=SC2046
	sh tests/example.sh include build/libqcow2.a $(make -s print-libs)
}

installed() { # what make install has put somewhere serves programs in C and C++, shared and static
	local dest=$PWD/build/installed
	local -x PKG_CONFIG_PATH=$dest/lib/pkgconfig LD_LIBRARY_PATH=$dest/lib CC
	rm -rf "$dest"
	make -s CFLAGS='-O2 -g -Werror' install PREFIX="$dest" || return 1
	for CC in gcc g++; do
		# shellcheck disable=SC2046
		sh tests/example.sh "$dest/include" $(pkg-config --libs libqcow2) &&
			sh tests/example.sh "$dest/include" -static $(pkg-config --static --libs libqcow2) ||
			return 1
	done
	test "$("$dest/bin/qcow2" cat tests/data/sample.qcow2 | sha256sum | cut -d' ' -f1)" = \
		"$(cat tests/data/sample.sha256)"
}

amalgamation() { # the two files in place of all the others, headers too: all tests pass with them
	local dir=build/amalgamation names=build/two/headers/qcow2 h
	make -s amalgamation || return 1
	local flags='-std=c99 -O2 -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror -fvisibility=hidden -fPIC'
	# The tests include headers by the names that these have in the tree.
	mkdir -p $names
	for h in include/qcow2/*.h; do
		echo '#include "qcow2_core.h"' >"$names/${h##*/}"
	done
	gcc $flags -ffreestanding -c $dir/qcow2_core.c -o $dir/qcow2_core.o &&
		gcc $flags -c $dir/qcow2.c -o $dir/qcow2.o &&
		sh tests/example.sh $dir $dir/qcow2.c -pthread &&
		make -s -j"$jobs" O=build/two CORE_OBJS=$dir/qcow2_core.o LIB_OBJS=$dir/qcow2.o \
			BASE_CPPFLAGS="-I$dir -I${names%/*}" POSIX_DEFLATE=builtin POSIX_ZSTD=none all programs &&
		sh tests/run-programs.sh build/two &&
		QCOW2="$PWD/build/two/qcow2" /usr/bin/python3 -m pytest tests/conform -k 'not zstd'
}

asan='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export PYTEST_ADDOPTS='-q -p no:cacheprovider'

step build            make -s -j"$jobs" CFLAGS='-O2 -g -Werror' all programs
step demo             make -s CFLAGS='-O2 -g -Werror' demo
step check            make -s CFLAGS='-O2 -g -Werror' check
step example          example
step install          installed
step headers          headers_alone
step format           formatted
step clang            guarded before variant clang CC=clang-14 CFLAGS='-O2 -g -Werror'
step c99              build_only c99 STD=c99 CFLAGS='-O2 -g -Werror'
step no-codecs        no_codecs
step amalgamation     amalgamation
step zlib             guarded after variant zlib POSIX_DEFLATE=zlib CFLAGS='-O2 -g -Werror'
step cross-arm        cross arm-linux-gnueabihf qemu-arm-static
step cross-s390x      cross s390x-linux-gnu qemu-s390x-static
step cross-powerpc    cross powerpc-linux-gnu qemu-ppc-static
step cross-x86        cross i686-linux-gnu qemu-i386-static
step freestanding     make -s freestanding
step size             make -s size
step firmware         make -s -j"$jobs" check-firmware
step asan             variant asan CFLAGS="$asan"
step asan-conform     env QCOW2_MEMORY=0 QCOW2="$PWD/build/asan/qcow2" /usr/bin/python3 -m pytest tests/conform/test_c*.py
step tsan             sh tests/tsan.sh
step proof            make -s -j"$jobs" proof
step coverage         make -s coverage
step analyze          make -s analyze
step mutation         make -s mutation
step fuzz             make -s -j"$jobs" fuzz-ci FUZZ_SECONDS=4
step bench-gate       make -s bench-gate
step bench-runs       make -s CFLAGS='-O2 -g -Werror' bench-quick BENCH_ARGS='--rounds 1 w9'
step valgrind         sh tests/run-programs.sh build valgrind

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
