#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the tests reach, by clang's source-based coverage. Two measurements that do not mix:
#
#   src/         by tests/unit and tests/fault; all of it must be reached, MC/DC included
#   port/posix/  by tests/posix, once with each choice of decompressors; at least 95 % of the lines
#
#	coverage.sh BUILD-DIR CORE-SOURCE...
#
# Lines that nothing reaches: coverage.sh prints the llvm-cov command that shows them.
set -eu
here=$(dirname "$0")
mkdir -p "$1"
out=$(realpath "$1")
shift
flags='-O0 -g -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc'
rm -rf "$out" # compiler warnings, and so unsupported decisions, only show when all is built anew
mkdir -p "$out"

build() { # DIR TARGET DEFLATE ZSTD
	make -s -j"$(nproc)" O="$out/$1" CC=clang-19 CFLAGS="$flags" LDFLAGS= \
		POSIX_DEFLATE="$3" POSIX_ZSTD="$4" "$2" >"$out/$1.log" 2>&1 || {
		cat "$out/$1.log"
		return 1
	}
}

run() { # DIR KIND: the programs of $out/DIR, with a profile each
	local program
	for program in "$out/$1"/tests/$2/test_*; do
		[ -x "$program" ] && [ -f "$program" ] || continue
		LLVM_PROFILE_FILE=$out/$1.profiles/${program##*/}-%p.profraw TEST_BRIEF= \
			timeout 120 "$program" >"$out/$1.run.log" 2>&1 || {
			cat "$out/$1.run.log"
			echo "$program: failed"
			return 1
		}
	done
}

measure() { # NAME DIRECTORY BUILD-DIR...
	local name=$1 sources=$2 dir program objects=() profiles=()
	shift 2
	for dir in "$@"; do
		profiles+=("$out/$dir.profiles")
		for program in "$out/$dir"/tests/*/test_*; do
			[ -x "$program" ] && [ -f "$program" ] && objects+=(-object "$program")
		done
	done
	llvm-profdata-19 merge -sparse $(find "${profiles[@]}" -name '*.profraw') \
		-o "$out/$name.profdata"
	llvm-cov-19 export "${objects[@]}" -instr-profile="$out/$name.profdata" -summary-only \
		-sources "$sources" >"$out/$name.json"
	echo "llvm-cov-19 show ${objects[*]} -instr-profile=$out/$name.profdata" \
		"--show-mcdc --show-branches=count -sources $sources" >"$out/$name.show"
}

build core core-tests builtin none
build libdeflate posix-tests libdeflate libzstd
build zlib posix-tests zlib libzstd
build builtin posix-tests builtin none
run core unit
run core fault
for dir in libdeflate zlib builtin; do
	run $dir posix
done
measure core src core
measure posix port/posix libdeflate zlib builtin
rc=0
# Not an error for the compiler, but such a decision is missing from the totals.
if grep -h -A3 'unsupported MC/DC' "$out"/*.log; then
	rc=1
fi
/usr/bin/python3 "$here/gate.py" "$out/core.json" src all "$@" || rc=1
/usr/bin/python3 "$here/gate.py" "$out/posix.json" port/posix lines=95 \
	$(cd port/posix && ls -- *.c) || rc=1
[ $rc = 0 ] || echo "what is not reached: sh $out/core.show, sh $out/posix.show"
exit $rc
