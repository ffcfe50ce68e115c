#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#
# Shows which lines and branches of src/ the fuzz targets reach; `make fuzz-coverage` runs it.
#	coverage.sh BUILD/fuzz SECONDS
# For each target it measures all seeds without fuzzing. Then it measures what libFuzzer reaches in
# SECONDS from a single seed (the first by name), without our mutator ("plain") and with it. At the
# end it measures all targets together.
set -eu
build=$(realpath "$1")
seconds=$2
work=$build/coverage
cd "$(dirname "$0")/.."
make -s O="$work/build" OUT="$work/out" CC=clang-19 FUZZ_MUTATOR= \
	CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping' \
	FUZZ_ENGINE_OBJ="$work/build/fuzz/replay.o" fuzz-set

profile() { # TARGET NAME CORPUS...
	local target=$1 name=$2
	shift 2
	LLVM_PROFILE_FILE=$work/$target-$name.profraw timeout 300 "$work/out/fuzz_$target" "$@" >/dev/null
}

grow() { # TARGET NAME: runs libFuzzer into a corpus of that name
	local corpus=$work/$1-$2
	rm -rf "$corpus" && mkdir -p "$corpus"
	timeout $((seconds + 60)) "$build/libfuzzer/out/fuzz_$1" "$corpus" "$work/$1-one" \
		-dict="$work/out/fuzz_$1.dict" -seed=1 -max_total_time="$seconds" \
		-max_len=131072 -timeout=20 \
		-artifact_prefix="$corpus." >"$corpus.log" 2>&1 || echo "$1 $2: a finding, $corpus.log"
}

report() { # LABEL PROGRAMS PROFILES...: prints the lines and branches of src/
	local label=$1 programs=$2
	shift 2
	llvm-profdata-19 merge -sparse "$@" -o "$work/merged.profdata"
	# shellcheck disable=SC2086
	llvm-cov-19 export $programs -instr-profile="$work/merged.profdata" -summary-only \
		"$PWD/src" | python3 -c '
import json, sys
t = json.load(sys.stdin)["data"][0]["totals"]
print("%-34s %s" % (sys.argv[1], ", ".join("%d of %d %s" % (
    t[k]["covered"], t[k]["count"], k) for k in ("lines", "branches"))))' "$label"
}

all=
for zip in "$work"/out/fuzz_*_seed_corpus.zip; do
	target=${zip##*/fuzz_}
	target=${target%_seed_corpus.zip}
	rm -rf "$work/$target-seeds" && mkdir -p "$work/$target-seeds"
	python3 -m zipfile -e "$zip" "$work/$target-seeds"
	rm -rf "$work/$target-one" && mkdir -p "$work/$target-one"
	cp "$work/$target-seeds/$(ls "$work/$target-seeds" | head -n 1)" "$work/$target-one"
	FUZZ_PLAIN=1 grow "$target" plain
	grow "$target" mutator
	profile "$target" seeds "$work/$target-seeds"
	profile "$target" plain "$work/$target-one" "$work/$target-plain"
	profile "$target" mutator "$work/$target-one" "$work/$target-mutator"
	for name in seeds plain mutator; do
		report "$target, $name" "$work/out/fuzz_$target" "$work/$target-$name.profraw"
	done
	all="$all${all:+ -object }$work/out/fuzz_$target"
done
for name in seeds plain mutator; do
	report "all targets, $name" "$all" "$work"/*-"$name".profraw
done
