#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Prints those of the options that the compiler takes, and of which it does not warn.
#	hardening.sh compile|link COMPILER-AND-FLAGS -- OPTION...
set -eu
how=$1 compiler=
shift
while [ "$1" != -- ]; do
	compiler="$compiler $1"
	shift
done
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'int main(void) { return 0; }' >"$work/x.c"
only=-c
[ "$how" = compile ] || only=
error=-Werror
takes() {
	# shellcheck disable=SC2086
	$compiler $error "$@" $only "$work/x.c" -o "$work/x" >/dev/null 2>&1
}
# If flags of the user bring a warning, it says nothing about the options.
takes || error=
# Most compilers take them all.
if takes "$@"; then
	echo "$@"
else
	for option; do
		! takes "$option" || printf '%s ' "$option"
	done
fi
