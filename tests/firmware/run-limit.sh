#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Tests the time limit of check.sh: check.sh must stop a script whose program hangs, count it as a
# failure and leave no process behind.
#	run-limit.sh BUILD-DIR
set -u
dir=${1:?usage: run-limit.sh BUILD-DIR}/firmware/limit
here=$(dirname "$0")
. "$here/ok.sh"
rm -rf "$dir" && mkdir -p "$dir" || exit 1
cp "$here/check.sh" "$dir/"
cat >"$dir/run-hang.sh" <<'END_OF_HANG'
echo 'ok: before'
(timeout --foreground 1500 sleep 1000 & echo $! >"$1/pid"; wait)
echo '1 passed, 0 failed'
END_OF_HANG

is_gone() { # PID: waits up to a minute
	local i
	for i in $(seq 600); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

start=$SECONDS rc=0
FIRMWARE_END=$(($(date +%s) + 2)) bash "$dir/check.sh" "$dir" >"$dir/log" || rc=$?
ok "check.sh stops a script that hangs" grep -qx 'run-hang.sh: stopped, no time is left' "$dir/log"
ok "that is a failure" test $rc -ne 0 -a "$(tail -n 1 "$dir/log")" = '0 passed, 1 failed'
ok "it waits no longer" test $((SECONDS - start)) -le 600
ok "its programs are gone" is_gone "$(cat "$dir/pid")"
start=$SECONDS rc=0
FIRMWARE_END=$(date +%s) bash "$dir/check.sh" "$dir" hang >"$dir/log" || rc=$?
ok "the next script gets no time" test $rc -ne 0 -a $((SECONDS - start)) -le 600
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
