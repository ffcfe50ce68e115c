#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#
# Fuzzing with a time limit, which `make fuzz-ci` runs.
#	ci.sh BUILD/fuzz SECONDS
# Each target reads the seeds and past findings with the replay driver and both engines, and then
# runs SECONDS with libFuzzer and SECONDS with AFL++. A finding, a hang, or an engine that does not
# run is a failure. BUILD/fuzz/found keeps the findings. The last line has the totals.
set -u
build=$(realpath "$1")
seconds=$2
here=$(realpath "$(dirname "$0")")
found=$build/found
passed=0
failed=0
export ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=1
export UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
export AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1
export AFL_CUSTOM_MUTATOR_LIBRARY="$build/afl_mutator.so"

verdict() { # NAME STATUS LOG
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
		tail -n 25 "$3" | sed 's/^/    /'
	fi
}

replay() { # TARGET: runs the gcc build on all seeds and findings
	local inputs=("$work/seeds")
	[ ! -d "$here/findings/$1" ] || inputs+=("$here/findings/$1")
	timeout 3600 "$build/replay/out/fuzz_$1" "${inputs[@]}" >"$work/replay.log" 2>&1
}

libfuzzer() { # TARGET
	local log=$work/libfuzzer.log
	mkdir -p "$work/corpus"
	timeout $((seconds + 3600)) "$build/libfuzzer/out/fuzz_$1" "$work/corpus" "$work/seeds" \
		-dict="$build/libfuzzer/out/fuzz_$1.dict" -max_total_time="$seconds" \
		-max_len=131072 -timeout=20 -print_final_stats=1 \
		-artifact_prefix="$found/$1-" >"$log" 2>&1 || return 1
	awk -v t="$1" '/^#[0-9]+\tINITED/ { c0 = $4 } /^#[0-9]+\tDONE/ { c = $4; corp = $8 }
		/number_of_executed_units/ { n = $2 }
		END { printf "%-10s libFuzzer %9d executions, %5d edges (%d from the seeds), corpus %s\n",
			t, n, c, c0, corp; exit n == 0 }' "$log"
}

afl_stat() { sed -n "s/^$1 *: *//p" "$work/afl/default/fuzzer_stats"; }

afl() { # TARGET
	local log=$work/afl.log
	timeout $((seconds + 3600)) afl-fuzz -V "$seconds" -t 5000 -x "$build/afl/out/fuzz_$1.dict" \
		-i "$work/seeds" -o "$work/afl" -- "$build/afl/out/fuzz_$1" >"$log" 2>&1 || return 1
	printf '%-10s AFL++     %9d executions, %s of the map, corpus %d (%d found)\n' "$1" \
		"$(afl_stat execs_done)" "$(afl_stat bitmap_cvg)" "$(afl_stat corpus_count)" \
		"$(afl_stat corpus_found)"
	if [ "$(afl_stat saved_crashes)" != 0 ] || [ "$(afl_stat saved_hangs)" != 0 ]; then
		cp "$work"/afl/default/crashes/id* "$work"/afl/default/hangs/id* "$found" 2>/dev/null
		return 1
	fi
	[ "$(afl_stat execs_done)" -gt 0 ]
}

rm -rf "$found" "$build/ci"
mkdir -p "$found"
for program in "$build"/libfuzzer/out/fuzz_*_seed_corpus.zip; do
	target=${program##*/fuzz_}
	target=${target%_seed_corpus.zip}
	work=$build/ci/$target
	mkdir -p "$work/seeds"
	python3 -m zipfile -e "$program" "$work/seeds" || exit 1
	replay "$target"
	replayed=$?
	verdict "$target replay" $replayed "$work/replay.log"
	# An input that already fails would stop the engines of this target at once.
	[ $replayed -eq 0 ] || continue
	libfuzzer "$target"
	verdict "$target libFuzzer" $? "$work/libfuzzer.log"
	afl "$target"
	verdict "$target AFL++" $? "$work/afl.log"
done
rmdir "$found" 2>/dev/null || echo "findings: $found"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
