#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs each tests/firmware/run-*.sh with the build directory and adds up their last lines,
# "N passed, N failed". A script without such a line, or with an error status and no failed check,
# counts as one failure. At FIRMWARE_END (seconds since 1970; default: in 10 minutes) the script that
# is running is stopped, with everything that it started; that is also a failure.
#	check.sh BUILD-DIR [NAME...]      with names, only run-NAME.sh
set -u
build=${1:?usage: check.sh BUILD-DIR [NAME...]}
shift
here=$(dirname "$0")
end=${FIRMWARE_END:-$(($(date +%s) + 600))}
mkdir -p "$build/firmware"
total_passed=0
total_failed=0
[ $# -gt 0 ] || set -- $(cd "$here" && printf '%s\n' run-*.sh | sed 's/^run-//; s/\.sh$//')

for name in "$@"; do
	log=$build/firmware/$name.log rc=0 start=$(date +%s)
	left=$((end > start ? end - start : 1)) # 0 would be no limit
	echo "== $name"
	timeout -k 5 "$left" bash "$here/run-$name.sh" "$build" >"$log" 2>&1 </dev/null || rc=$?
	sum=$(tail -n 1 "$log" | grep -xE '[0-9]+ passed, [0-9]+ failed') || sum=
	if [ -n "$sum" ]; then
		sed '$d' "$log"
		passed=${sum%% *} failed=${sum##*, } failed=${failed%% *}
	else
		cat "$log"
		passed=0 failed=1
		echo "run-$name.sh: no result, exit status $rc"
	fi
	[ $rc -ne 124 ] || echo "run-$name.sh: stopped, no time is left"
	[ $rc -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	echo "run-$name.sh: $(($(date +%s) - start)) s"
	total_passed=$((total_passed + passed))
	total_failed=$((total_failed + failed))
done

echo "$total_passed passed, $total_failed failed"
[ $((total_failed)) -eq 0 ] && [ $((total_passed)) -gt 0 ]
