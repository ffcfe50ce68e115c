#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#
# All tests, in all builds: gcc and clang, C99 and C11, 32 bits, sanitizers, valgrind.
#	check-all.sh [STEP...]      only the steps whose names begin with one of these
#
# Steps run side by side, one more than the machine has processors, and each uses one processor: a
# step that waits for the disk or for an emulator leaves its processor to another. The results appear
# in the order of the list at the end of this file. Each step writes its log to build/check/STEP.log;
# the script counts the tests in it, and the last line is the sum of all steps.
#
# Steps that run side by side must not write the same files. Only the steps before `parallel` may
# change the programs in build/; every other step that needs a build of its own has a directory of
# its own.
set -u
# Job control gives each step a process group, so that an interrupt can stop all that it started.
# Without it, bash also starts background commands with SIGINT ignored, and the tests send SIGINT.
set -m
cd "$(dirname "$0")/.."
logs=build/check
mkdir -p "$logs"
wanted=("$@")
slots=1
started=()
broken=()
reported=0
passed=0
failed=0
TIMEFORMAT='%0R %0U %0S'

stop() {
	local pid
	for pid in $(jobs -p); do kill -- "-$pid"; done
	exit 130
}
trap stop INT TERM HUP

# Sums up the counts of WORD that cmocka, pytest and our own scripts print at the end.
count() { # LOG WORD
	sed -nE -e "s/^\[  ${2^^}  \] ([0-9]+) test\(s\).*/\1/p" \
		-e "s/^.*\b([0-9]+) ${2,,}\b.*( in |, [0-9]+ (passed|failed|skipped)|$).*/\1/p" "$1" |
		awk '{ n += $1 } END { print n + 0 }'
}

# Runs a step and writes its exit status and its times (elapsed, user, system) to NAME.result.
run() { # NAME COMMAND...
	local name=$1 rc=0
	shift
	{ time "$@" >"$logs/$name.log" 2>&1 </dev/null; } 2>"$logs/$name.time" || rc=$?
	echo "$rc $(cat "$logs/$name.time")" >"$logs/$name.new"
	mv "$logs/$name.new" "$logs/$name.result" # the result is complete once it has this name
}

# Prints the results of the steps that have ended, up to the first that has not.
report() {
	local name log rc seconds user sys p f
	while [ $reported -lt ${#started[@]} ]; do
		name=${started[reported]} log=$logs/${started[reported]}.log
		[ -f "$logs/$name.result" ] || return 0
		read -r rc seconds user sys <"$logs/$name.result"
		p=$(count "$log" passed)
		f=$(count "$log" failed)
		# A step that counts nothing is one test; one that fails has at least one failure.
		[ $((p + f)) -gt 0 ] || [ "$rc" -ne 0 ] || p=1
		[ "$f" -gt 0 ] || [ "$rc" -eq 0 ] || f=1
		passed=$((passed + p))
		failed=$((failed + f))
		printf '%-24s %5d passed %3d failed  %4d s, processor %4d s\n' "$name" "$p" "$f" \
			"$seconds" $((user + sys))
		[ "$f" -eq 0 ] || broken+=("$name")
		reported=$((reported + 1))
	done
}

# Waits until fewer than N steps run.
wait_below() { # N
	while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do
		sleep 1
		report
	done
	report
}

# Starts a step as soon as a processor is free; AFTER names a step that must have ended before.
step() { # NAME COMMAND...
	local w hit= after=${AFTER-}
	# The other step may not be among those wanted; its build is then that of a run before.
	[[ " ${started[*]} " == *" $after "* ]] || after=
	if [ ${#wanted[@]} -gt 0 ]; then
		for w in "${wanted[@]}"; do [[ $1 == "$w"* ]] && hit=1; done
		[ -n "$hit" ] || return 0
	fi
	rm -f "$logs/$1.result"
	wait_below "$slots"
	while [ -n "$after" ] && [ ! -f "$logs/$after.result" ] && [ -n "$(jobs -rp)" ]; do
		sleep 1
		report
	done
	started+=("$1")
	run "$@" &
}

# From here on, steps run side by side. nproc obeys this variable: in every script and Makefile a step
# runs, it then answers 1, and so no step starts more than one compiler or prover at a time.
parallel() {
	wait_below 1
	slots=$(($(nproc) + 1))
	export OMP_NUM_THREADS=1
}

# From here on, each step has the machine for itself.
serial() {
	wait_below 1
	slots=1
	unset OMP_NUM_THREADS
}

# ---- What the steps do ----

variant() { # NAME MAKE-VARIABLES...: builds everything, and runs the C test programs
	local name=$1
	shift
	make -s -j"$(nproc)" O="build/$name" "$@" all programs || return 1
	sh tests/run-programs.sh "build/$name"
}

# The coverage step runs all programs of another clang build.
with_clang() {
	make -s -j"$(nproc)" O=build/clang CC=clang-14 CFLAGS='-O2 -g -Werror' all programs &&
		sh tests/run-programs.sh build/clang unit
}

guarded() { # before|after COMMAND...: on which side of the tests' buffers the guard page is
	local -x TEST_GUARD=$1
	shift
	"$@"
}

# The libraries that decompress and decrypt matter to the programs of tests/posix alone: the others run from
# build/ instead of being built once more. This build and the amalgamation are C99 as well: here the
# libraries and the command, there also all test programs.
with_zlib() {
	make -s -j"$(nproc)" O=build/zlib STD=c99 CFLAGS='-O2 -g -Werror' POSIX_DEFLATE=zlib POSIX_CRYPTO=libcrypto all posix-tests \
		build/zlib/port/posix/codec/deflate_libdeflate.o &&
		sh tests/run-programs.sh build/zlib posix &&
		sh tests/run-programs.sh build unit
}

headers_alone() { # each public header compiles as the first line of a C99 and of a C++ file
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
	make -s -j"$(nproc)" O="$build" CROSS_COMPILE="$1-" PKG_CONFIG=false \
		CFLAGS='-O2 -Werror' LDFLAGS=-static "$build/libqcow2.a" "$build/qcow2" || return 1
	test "$("$2" "$build/qcow2" cat tests/data/sample.qcow2 | sha256sum | cut -d' ' -f1)" = \
		"$(cat tests/data/sample.sha256)" || return 1
	# Times after 2038: of a file, and of a snapshot.
	printf 'size 64k\nsnapshot 1 late date_sec=0xffffffff\nactive\n' |
		build/tests/image/mkimage "$build/late.qcow2" && touch -d @4102444800 "$build/late.qcow2" &&
		TZ=UTC "$2" "$build/qcow2" snapshots "$build/late.qcow2" | grep -q ' 2106-02-07 06:28:15 ' ||
		return 1
	sh tests/unit/cross.sh "$build/tests" "$1-gcc" "$2"
}

example() {
	# shellcheck disable=SC2046
	sh tests/example.sh include build/libqcow2.a $(make -s print-libs)
}

installed() { # programs, pkg-config, CMake and man find what make install has installed
	local dest=$PWD/build/installed
	rm -rf "$dest"
	make -s CFLAGS='-O2 -g -Werror' install PREFIX="$dest" &&
		sh tests/installed/installed.sh "$dest" "$(make -s print-version)" build
}

# The tests of the library pass with the two files in place of all other sources and headers, and the command
# reads the images of our writer, and snapshots, against QEMU. The tests of the core run in seven other builds. The two files use no library: no libdeflate, zlib,
# libzstd or libgcrypt, so they refuse encrypted images.
amalgamation() {
	local dir=build/amalgamation names=build/two/headers/qcow2 h
	make -s amalgamation || return 1
	local flags='-std=c99 -O2 -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror -fvisibility=hidden -fPIC'
	# The tests include headers by the names that these have in the tree.
	mkdir -p $names
	for h in include/qcow2/*.h; do
		echo '#include "qcow2_core.h"' >"$names/${h##*/}"
	done
	gcc $flags -ffreestanding -DQCOW2_CORE_MEM=0 -c $dir/qcow2_core.c -o $dir/qcow2_core.o &&
		gcc $flags -c $dir/qcow2.c -o $dir/qcow2.o &&
		sh tests/example.sh $dir $dir/qcow2.c -pthread &&
		sh tests/installed/two-files.sh $dir &&
		make -s -j"$(nproc)" O=build/two STD=c99 CORE_OBJS=$dir/qcow2_core.o LIB_OBJS=$dir/qcow2.o \
			CFLAGS='-O2 -g -Werror' BASE_CPPFLAGS="-I$dir -I${names%/*}" \
			POSIX_DEFLATE=builtin POSIX_ZSTD=builtin POSIX_CRYPTO=none all posix-tests command-tests &&
		sh tests/run-programs.sh build/two posix &&
		sh tests/demo.sh build/two/qcow2 &&
		QCOW2="$PWD/build/two/qcow2" /usr/bin/python3 -m pytest \
			tests/conform/test_crafted*.py tests/conform/test_qemu_made_snapshots.py
}

components() {
	make -s components && bash tests/components/components.sh build
}

rust() { # the crate, from two files that no other step writes
	make -s rust-crate && bash tests/rust/rust.sh build
}

asan='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
# With its runtime linked in, a program starts and looks for leaks in two thirds of the time.
asan_runtime='-static-libasan -static-libubsan'
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export PYTEST_ADDOPTS='-q -p no:cacheprovider'

# A command leaks the same on each image. So the sanitizer looks for leaks in the tests of the command, and
# not on each of the crafted images: that doubles the time of a process. Of the calls that fail, half of the
# series run: once to a file, and from then on to a pipe. The decoders run with sanitizers in the C tests and
# in the fuzzers, and so does what reads partition tables and types of files. The examples of the manual are
# other tests again.
asan_conform() {
	local -x QCOW2_MEMORY=0 QCOW2=$PWD/build/asan/qcow2
	local -x LSAN_OPTIONS=suppressions=$PWD/tests/conform/lsan.txt:print_suppressions=0
	local half='not (test_each_call_fails and (pipe and once or not pipe and not once)) and not test_many_mounts'
	local files
	files=$(ls tests/conform/test_command*.py | grep -v 'manual\|partitions\|filetype')
	# shellcheck disable=SC2086
	/usr/bin/python3 -m pytest $files -k "$half" &&
		ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 /usr/bin/python3 -m pytest \
			tests/conform/test_crafted_[!c]*.py
}

# The tests against QEMU run with four builds. What QEMU answers to the first, the others find here.
export QEMU_ANSWERS=$PWD/build/oracle
rm -rf "$QEMU_ANSWERS"

# The fuzz targets as ClusterFuzzLite builds them, and the workflows call what is here.
contract() {
	grep -q 'run: .ci/run$' .github/workflows/check.yml && sh fuzz/contract.sh build/contract
}

firmware() { # with a limit of six hours in place of the ten minutes of make check-firmware
	FIRMWARE_END=$(($(date +%s) + 21600)) make -s -j"$(nproc)" CFLAGS='-O2 -g -Werror' firmware-runs
}

# ---- The list ----

# These change the programs in build/ or are over at once.
step build            make -s -j"$(nproc)" CFLAGS='-O2 -g -Werror' all programs nbdkit
step demo             make -s CFLAGS='-O2 -g -Werror' demo
step example          example
step install          installed
step headers          headers_alone
step format           formatted
step spdx             sh tests/spdx.sh
step release          bash tests/installed/packages.sh build sources abi

# Long steps first, so that at the end no long one runs alone; but `check` before all others, because
# they find QEMU's answers.
parallel
step check            make -s CFLAGS='-O2 -g -Werror' check
step proof-wp         make -s proof-wp WP_SMOKE=no
step asan             variant asan CFLAGS="$asan" LDFLAGS="$asan_runtime"
step firmware         firmware
step proof-eva        make -s proof-eva EVA_MORE=no
AFTER=asan step asan-conform asan_conform
step amalgamation     amalgamation
step coverage         make -s coverage
step valgrind         sh tests/run-programs.sh build valgrind unit posix
step analyze          make -s analyze
step clang            guarded before with_clang
step mutation         make -s mutation
step cross-arm        cross arm-linux-gnueabihf qemu-arm-static
step cross-s390x      cross s390x-linux-gnu qemu-s390x-static
step zlib             guarded after with_zlib
step packages         bash tests/installed/packages.sh build packages
step reproduction     bash tests/installed/packages.sh build reproduction
step contract         contract
step freestanding     make -s freestanding
step fuzz             make -s fuzz-ci FUZZ_SECONDS=3
step bench-gate       make -s bench-gate
step size             make -s size
step rust             rust
step components       components
step tsan             sh tests/tsan.sh
step trees            make -s check-trees

# It measures time.
serial
step bench-runs       make -s CFLAGS='-O2 -g -Werror' bench-quick BENCH_ARGS='--rounds 1 w9'
wait_below 1
rm -rf "$QEMU_ANSWERS"

# Last, where a reader and a log that is cut find it: how each step that failed ends.
for name in ${broken[@]+"${broken[@]}"}; do
	printf '\n%s/%s.log:\n' "$logs" "$name"
	tail -n 60 "$logs/$name.log" | sed 's/^/    /'
done
for name in "${started[@]:reported}"; do # report stops at a step that was killed
	echo "$name: no result"
	failed=$((failed + 1))
done
if [ ${#started[@]} -eq 0 ]; then
	echo "no step has such a name: ${wanted[*]}" >&2
	exit 2
fi
echo
echo "$SECONDS s in all"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
