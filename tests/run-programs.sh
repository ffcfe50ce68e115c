#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the test programs of a build, one after the other; each says what passed.
#	run-programs.sh BUILD-DIR [valgrind] [DIR...]     DIR: unit, fault, posix, glue; default all
set -u
build=$1
shift
under=
if [ "${1-}" = valgrind ]; then
	shift
	under='valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
	TEST_BRIEF=1
	export TEST_BRIEF # the programs leave out the largest of their cases: valgrind is slow
fi
rc=0
for dir in ${*:-unit fault posix glue}; do
	for program in "$build/tests/$dir"/test_*; do
		[ -f "$program" ] && [ -x "$program" ] || continue
		echo "== $program"
		timeout 600 $under "$program" || { echo "$program: exit status $?"; rc=1; }
	done
done
exit $rc
