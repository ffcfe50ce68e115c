#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#
# What the tests reach, by clang's source-based coverage, measured apart for
#
#   src/                      with tests/unit: all of it, MC/DC included
#   port/posix/, port/common/ with tests/posix, once for each choice of libraries
#   port/posix/tool/          with the tests of tests/conform that are about the command
#
# Of the last two, the tests must reach at least 95 % of the lines of each file.
#
#	coverage.sh BUILD-DIR CORE-SOURCE...
#
# If that fails, the script names the llvm-cov commands that show the lines.
set -eu
here=$(dirname "$0")
mkdir -p "$1"
out=$(realpath "$1")
shift
# Threads, and processes that share a profile, must not lose counts: others are derived from them.
flags='-O0 -g -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic'
mcdc=-fcoverage-mcdc
# Counters that are mapped from the file (%c), so that they are kept if a signal ends the command, and
# if the child of a fork ends with _exit. There are none for MC/DC.
kept='-mllvm -runtime-counter-relocation'
rm -rf "$out" # only a new build prints the warnings about decisions that MC/DC does not support
mkdir -p "$out"

build() { # DIR TARGET DEFLATE ZSTD CRYPTO FLAGS
	make -s -j"$(nproc)" O="$out/$1" CC=clang-19 CFLAGS="$flags $6" LDFLAGS= \
		POSIX_DEFLATE="$3" POSIX_ZSTD="$4" POSIX_CRYPTO="$5" "$2" >"$out/$1.log" 2>&1 || {
		cat "$out/$1.log"
		return 1
	}
}

run() { # DIR KIND [%c]: runs the programs of $out/DIR/tests/KIND, each with a profile of its own
	local program
	for program in "$out/$1"/tests/$2/test_*; do
		[ -x "$program" ] && [ -f "$program" ] || continue
		LLVM_PROFILE_FILE=$out/$1.profiles/${program##*/}-${3-}%p.profraw TEST_BRIEF= \
			timeout 3600 "$program" >"$out/$1.run.log" 2>&1 || {
			cat "$out/$1.run.log"
			echo "$program: failed"
			return 1
		}
	done
}

run_command() { # DIR: runs tests/conform with the command of $out/DIR
	LLVM_PROFILE_FILE=$out/$1.profiles/%c%m.profraw QCOW2=$out/$1/qcow2 \
		MKIMAGE=$out/$1/tests/image/mkimage \
		/usr/bin/python3 -m pytest "$here"/../conform/test_command*.py \
			"$here"/../conform/test_sandbox.py::test_same_output >"$out/$1.run.log" 2>&1 || {
		cat "$out/$1.run.log"
		return 1
	}
}

measure() { # NAME DIRECTORY BUILD-DIR...
	local name=$1 sources=$2 dir program objects=() profiles=()
	shift 2
	for dir in "$@"; do
		profiles+=("$out/$dir.profiles")
		for program in "$out/$dir"/tests/*/test_* "$out/$dir/qcow2" \
			"$out/$dir"/tests/conform/qcow2-{faults,nbd}; do
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

build core core-tests builtin builtin none $mcdc
build libdeflate posix-tests libdeflate libzstd libgcrypt "$kept"
build zlib posix-tests zlib libzstd libcrypto "$kept"
build builtin posix-tests builtin builtin none "$kept"
build command command-tests libdeflate libzstd libgcrypt "$kept"
run core unit
for dir in libdeflate zlib builtin; do
	run $dir posix %c
done
run_command command
measure core src core
measure posix port/posix libdeflate zlib builtin
measure common port/common libdeflate zlib builtin
measure command port/posix/tool command
rc=0
# The compiler only warns of such a decision, but the totals do not count it.
if grep -h -A3 'unsupported MC/DC' "$out"/*.log; then
	rc=1
fi
/usr/bin/python3 "$here/gate.py" "$out/core.json" src all "$@" || rc=1
# port/posix/core.c has no line of its own: it includes src/. key/crypto_*.c have only data. This build has
# libfuse, and so no mount/serve_none.c. tests/glue runs heap_reader.c with the ports that use it.
/usr/bin/python3 "$here/gate.py" "$out/posix.json" port/posix lines=95 \
	$(cd port/posix && ls -- *.c open/*.c read/*.c codec/*.c key/*.c |
		grep -vx -e core.c -e 'key/crypto_.*') || rc=1
/usr/bin/python3 "$here/gate.py" "$out/common.json" port/common lines=95 \
	$(cd port/common && ls -- *.c | grep -vx heap_reader.c) || rc=1
/usr/bin/python3 "$here/gate.py" "$out/command.json" port/posix/tool lines=95 \
	$(cd port/posix/tool && ls -- *.c */*.c | grep -vx mount/serve_none.c) || rc=1
[ $rc = 0 ] || echo "to see what is not reached: sh $out/core.show; also posix.show, common.show, command.show"
exit $rc
