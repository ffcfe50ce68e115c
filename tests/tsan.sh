#!/bin/sh
# SPDX-License-Identifier: MIT
# One handle, many threads, under ThreadSanitizer.
set -eu
cd "$(dirname "$0")/.."
make -s O=build/tsan CFLAGS='-O1 -g -fsanitize=thread' POSIX_DEFLATE=builtin all build/tsan/tests/posix/test_threads
build/tsan/tests/posix/test_threads
