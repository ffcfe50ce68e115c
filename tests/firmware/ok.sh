# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The run-*.sh scripts source this. `ok` counts passed and failed checks. $about, if set, precedes
# the text.
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
