#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds the tests of the core with a cross compiler, without cmocka, zlib and libzstd, and runs
# them in an emulator. The tests of the decoders run on the host first, as `make programs` has built them:
# there the answers of zlib and libzstd go to a file, which the test on the other processor reads
# (zlib_oracle.h, zstd_oracle.h).
#	cross.sh DIR CC [RUNNER]      such as  cross.sh build/s390x s390x-linux-gnu-gcc qemu-s390x-static
# HOST: the build directory of the host
set -u
dir=${1:?usage: cross.sh DIR CC [RUNNER]}
cc=${2:?usage: cross.sh DIR CC [RUNNER]}
runner=${3-}
host=${HOST:-build}/tests/unit
rc=0
TEST_BRIEF=1
export TEST_BRIEF TEST_ANSWERS

cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$dir"
core=$(ls src/*.c | grep -v /mem.c)
writer='tests/image/image.c tests/image/image_finish.c tests/image/pack.c'
shared="$(ls tests/support/*.c tests/unit/*.c | grep -v '/test_\|/zlib_oracle.c\|/zstd_oracle.c') $writer"
# gcc 12 for 32-bit ARM drops the stores of loops over two arrays of a structure, as in
# number_code of deflate_writer.c, without -fno-ivopts. Only the tests get this option: the core must
# work with the options that everybody uses.
test_flags='-std=c11 -O1 -g -fno-ivopts -Iinclude -Itests/unit/mini'

objects_of() { # COMPILER NAME FLAGS FILE...: compiles the files, prints the names of the objects
	compiler=$1 name=$2 flags=$3
	shift 3
	for file in "$@"; do
		object=$dir/$name-$(echo "${file%.c}" | tr / -).o # tests/image and src have files of the same name
		# shellcheck disable=SC2086
		$compiler $flags -c "$file" -o "$object" || exit 1
		echo "$object"
	done
}
objects=$(objects_of "$cc" core '-std=c11 -O2 -g -Iinclude' $core &&
	objects_of "$cc" test "$test_flags" $shared tests/unit/mini/zlib_oracle.c tests/unit/mini/zstd_oracle.c) || exit 1

for test in tests/unit/test_*.c; do
	program=$dir/$(basename "$test" .c)
	TEST_ANSWERS=$program.answers
	case $test in
	*/test_inflate* | */test_zstd*)
		"$host/${program##*/}" >"$program.log" 2>&1 || { cat "$program.log"; rc=1; continue; }
		;;
	esac
	$cc -static $test_flags "$test" $objects -o "$program" || { rc=1; continue; }
	echo "== $program"
	timeout 3600 $runner "$program" || rc=1
done
exit $rc
