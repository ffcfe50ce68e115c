# SPDX-License-Identifier: MIT
# To be sourced by the runs: counts what is as it should be. $about, if it is set, says about what.
passed=0
failed=0

ok() { # DESCRIPTION COMMAND...
	local what=${about:+$about: }$1
	shift
	if "$@"; then
		echo "ok: $what"
		passed=$((passed + 1))
	else
		echo "FAILED: $what"
		failed=$((failed + 1))
	fi
}
