#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the tests of the core with a cross compiler, without cmocka and without zlib, and runs them
# in an emulator. What zlib has to say about streams is asked on the host (zlib_oracle.h).
#	cross.sh DIR CC [RUNNER]      as in  cross.sh build/s390x s390x-linux-gnu-gcc qemu-s390x-static
set -u
dir=${1:?usage: cross.sh DIR CC [RUNNER]}
cc=${2:?usage: cross.sh DIR CC [RUNNER]}
runner=${3-}
rc=0
TEST_BRIEF=1
export TEST_BRIEF

cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$dir"
core=$(ls src/*.c | grep -v /mem.c)
writer='tests/image/image.c tests/image/image_finish.c tests/image/pack.c'
# gcc 12 for 32-bit ARM and PowerPC drops the stores of loops over two arrays of a structure, as in
# number_code of test_inflate.c, unless -fno-ivopts. That is for the tests: the core has to be right
# as everybody compiles it.
test_flags='-std=c11 -O1 -g -fno-ivopts -Iinclude -Itests/unit/mini tests/unit/support.c tests/unit/guard.c'

TEST_ANSWERS=$dir/answers
export TEST_ANSWERS
cc $test_flags tests/unit/test_inflate.c tests/unit/zlib_oracle.c $writer $core -lz -o "$dir/host" &&
	"$dir/host" >"$dir/host.log" 2>&1 || { cat "$dir/host.log"; exit 1; }

objects=
for file in $core; do
	object=$dir/$(basename "$file" .c).o
	$cc -std=c11 -O2 -g -Iinclude -c "$file" -o "$object" || exit 1
	objects="$objects $object"
done
for test in tests/unit/test_*.c tests/fault/test_*.c; do
	program=$dir/$(basename "$test" .c)
	$cc -static $test_flags "$test" tests/unit/mini/zlib_oracle.c $writer $objects -o "$program" ||
		{ rc=1; continue; }
	echo "== $program"
	timeout 600 $runner "$program" || rc=1
done
exit $rc
