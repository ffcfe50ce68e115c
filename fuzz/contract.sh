#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs .clusterfuzzlite/build.sh with the variables that ClusterFuzzLite sets, for one target that needs no
# library and one that does, and starts what it has built.
#	contract.sh WORK-DIRECTORY
set -eu
mkdir -p "$1"
work=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")

fail() { echo "FAILED: $*"; exit 1; }

rm -rf "$work/src" "$work/out" "$work/corpus"
mkdir -p "$work/src" "$work/out"
ln -s "$root" "$work/src/qcow2"
env -i PATH="$PATH" SRC="$work/src" OUT="$work/out" WORK="$work/work" CC=clang-19 CXX=clang++-19 \
	CFLAGS='-O0 -fno-omit-frame-pointer -gline-tables-only -fsanitize=address -fsanitize=fuzzer-no-link' \
	CXXFLAGS= LIB_FUZZING_ENGINE=-fsanitize=fuzzer SANITIZER=address FUZZING_ENGINE=libfuzzer ARCHITECTURE=x86_64 \
	FUZZ_TARGETS='header zstd' "$root/.clusterfuzzlite/build.sh"
for target in header zstd; do
	program=$work/out/fuzz_$target
	[ -x "$program" ] && [ -s "${program}_seed_corpus.zip" ] && [ -s "$program.dict" ] ||
		fail "$target is not complete: $(ls "$work/out")"
	! readelf -d "$program" | grep NEEDED | grep -v 'lib\(c\|m\|dl\|rt\|pthread\|resolv\|gcc_s\|stdc++\)\.so\|ld-linux' ||
		fail "$target needs a library that the machine that runs it may lack"
	mkdir -p "$work/corpus/$target"
	python3 -m zipfile -e "${program}_seed_corpus.zip" "$work/corpus/$target"
	"$program" -runs=200 -seed=1 -dict="$program.dict" "$work/corpus/$target" >"$work/log" 2>&1 ||
		fail "$target: $(tail -n 20 "$work/log")"
	grep -q '^Done [0-9]* runs' "$work/log" || fail "$target did not run"
done
echo "2 passed, 0 failed"
