#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the tests of threads under ThreadSanitizer.
set -eu
cd "$(dirname "$0")/.."
tests=build/tsan/tests
make -s O=build/tsan CFLAGS='-O1 -g -fsanitize=thread' POSIX_DEFLATE=builtin all $tests/posix/test_threads \
	$tests/conform/qcow2-nbd $tests/conform/qcow2-faults $tests/conform/core_cat $tests/image/mkimage
$tests/posix/test_threads
# The command has threads of its own: convert decodes in several.
out=build/tsan/sample.raw
build/tsan/qcow2 convert tests/data/sample.qcow2 "$out"
build/tsan/qcow2 cat tests/data/sample.qcow2 | cmp - "$out"
rm "$out"
# Several threads of attach share a connection. A race while they serve ends the server, and so the test fails.
QCOW2=$PWD/build/tsan/qcow2 MKIMAGE=$PWD/$tests/image/mkimage QCOW2_MEMORY=0 TSAN_OPTIONS=halt_on_error=1 \
	/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/conform/test_command_attach.py \
	-k 'slow or reads or row or damage or ends_of'
