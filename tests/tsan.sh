#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the tests of threads under ThreadSanitizer.
set -eu
cd "$(dirname "$0")/.."
make -s O=build/tsan CFLAGS='-O1 -g -fsanitize=thread' POSIX_DEFLATE=builtin all build/tsan/tests/posix/test_threads
build/tsan/tests/posix/test_threads
# The command has threads of its own: convert decodes in several.
out=build/tsan/sample.raw
build/tsan/qcow2 convert tests/data/sample.qcow2 "$out"
build/tsan/qcow2 cat tests/data/sample.qcow2 | cmp - "$out"
rm "$out"
