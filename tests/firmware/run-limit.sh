#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The limit that check.sh sets is kept: a run that hangs in a program of its own is a failure when
# the time is over, and nothing of it stays behind.
#	run-limit.sh BUILD-DIR
set -u
dir=${1:?usage: run-limit.sh BUILD-DIR}/firmware/limit
here=$(dirname "$0")
. "$here/ok.sh"
rm -rf "$dir" && mkdir -p "$dir" || exit 1
cp "$here/check.sh" "$dir/"
cat >"$dir/run-hang.sh" <<'END_OF_HANG'
echo 'ok: before'
(timeout --foreground 150 sleep 100 & echo $! >"$1/pid"; wait)
echo '1 passed, 0 failed'
END_OF_HANG

is_gone() { # PID, or its last moments
	local i
	for i in $(seq 20); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

start=$SECONDS rc=0
FIRMWARE_END=$(($(date +%s) + 2)) bash "$dir/check.sh" "$dir" >"$dir/log" || rc=$?
ok "a run that hangs is stopped" grep -qx 'run-hang.sh: stopped, the time for all is over' "$dir/log"
ok "it is a failure" test $rc -ne 0 -a "$(tail -n 1 "$dir/log")" = '0 passed, 1 failed'
ok "it takes no longer" test $((SECONDS - start)) -le 20
ok "what it had started is gone" is_gone "$(cat "$dir/pid")"
start=$SECONDS rc=0
FIRMWARE_END=$(date +%s) bash "$dir/check.sh" "$dir" hang >"$dir/log" || rc=$?
ok "the next one gets no time" test $rc -ne 0 -a $((SECONDS - start)) -le 20
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
