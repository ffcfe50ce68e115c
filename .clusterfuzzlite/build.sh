#!/bin/bash -eu
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds the fuzz targets, their seeds and dictionaries into $OUT, by the contract of OSS-Fuzz and
# ClusterFuzzLite: CC, CXX, CFLAGS, LIB_FUZZING_ENGINE, OUT and SRC are set, and SANITIZER is among the
# CFLAGS already. FUZZ_TARGETS, if set, names the targets to build.
#
# The targets run on machines without the libraries of this one. So the decoders are the reader's own, and
# those that the targets compare them with are static.
cd "$SRC/qcow2"
make -s -j"$(nproc)" O="${WORK:-$SRC/work}/qcow2" CC="$CC" CXX="$CXX" CFLAGS="$CFLAGS" \
	LIB_FUZZING_ENGINE="$LIB_FUZZING_ENGINE" OUT="$OUT" ${FUZZ_TARGETS:+FUZZ_TARGETS="$FUZZ_TARGETS"} \
	POSIX_DEFLATE=builtin POSIX_ZSTD=builtin POSIX_CRYPTO=none \
	FUZZ_ZLIB=-l:libz.a FUZZ_LIBZSTD=-l:libzstd.a fuzz
