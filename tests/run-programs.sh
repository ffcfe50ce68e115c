#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the C test programs of a build, one after the other.
#	run-programs.sh BUILD-DIR [valgrind] [DIR...]     DIR: unit, posix, glue; default all
set -u
build=$1
shift
under=
if [ "${1-}" = valgrind ]; then
	shift
	under='valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
	TEST_BRIEF=1
	export TEST_BRIEF # valgrind is slow: the programs leave out their largest cases
fi
rc=0
for dir in ${*:-unit posix glue}; do
	for program in "$build/tests/$dir"/test_*; do
		# Skip objects, and programs left over from tests that are gone.
		[ -x "$program" ] && [ -f "$(dirname "$0")/$dir/${program##*/}.c" ] || continue
		echo "== $program"
		# An hour: only a test that hangs takes so long, even on a slow machine under valgrind.
		timeout 3600 $under "$program" || { echo "$program: exit status $?"; rc=1; }
	done
done
exit $rc
