#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes two pairs of files: qcow2_core.c and .h, the freestanding core; and qcow2.c and .h, the
# POSIX library with the built-in deflate. A pair needs no other file, no library, no configuration.
# The core also has the memory functions of MEM-FILE, for a program that has no libc.
#	amalgamate.sh DIR VERSION MEM-FILE CORE-FILES -- POSIX-FILES
set -eu
dir=$1 version=$2 mem=$3
shift 3
core='' posix='' part=core
for file; do
	case $file in
	--) part=posix ;;
	*) eval "$part=\"\$$part $file\"" ;;
	esac
done
cd "$(dirname "$0")/.."
mkdir -p "$dir"

# Prints the files with each header of ours in place of its first #include "...". Drops the later
# includes, and the licence lines and system macros, which the caller prints once. The KNOWN-HEADERS
# count as included already.
expand() { # KNOWN-HEADERS FILE...
	known=$1
	shift
	awk -v known="$known" '
		function find(name, from,   dir, try) {
			dir = from
			sub(/[^\/]*$/, "", dir)
			try = dir name
			while (sub(/[^\/]+\/\.\.\//, "", try)) continue
			if ((getline line < try) >= 0) { close(try); return try }
			return "include/" name
		}
		function take(path,   name, line, at) {
			while ((getline line < path) > 0) {
				if (line ~ /^\/\* SPDX-/) continue
				if (line ~ /^#define (_GNU_SOURCE|_FILE_OFFSET_BITS|_TIME_BITS)/) continue
				if (line ~ /^#include "/) {
					name = line
					gsub(/^#include "|".*$/, "", name)
					at = find(name, path)
					if (!(at in seen)) { seen[at] = 1; take(at) }
					continue
				}
				print line
			}
			close(path)
		}
		BEGIN {
			n = split(known, k, " ")
			for (i = 1; i <= n; i++) seen[k[i]] = 1
			for (i = 1; i < ARGC; i++) {
				if (ARGV[i] in seen) continue
				seen[ARGV[i]] = 1
				if (ARGV[i] ~ /\.c$/) printf "\n/* ---- %s ---- */\n\n", ARGV[i]
				take(ARGV[i])
			}
		}' "$@"
}

head() { # WHAT
	printf '/* SPDX-License-Identifier: MIT */\n/* SPDX-FileCopyrightText: The qcow2 reader authors */\n/* qcow2 reader %s, %s, in one file: made by make amalgamation. */\n' \
		"$version" "$1"
}

# Makes the functions of $mem weak, and puts each into a section of its own.
mem_begins() {
	cat <<'END_OF_TEXT'

/*
 * memcpy, memmove, memset and memcmp for a program that has no libc. They are compiled if the
 * compiler is told that there is none (-ffreestanding). -DQCOW2_CORE_MEM=1 compiles them in any
 * case, and -DQCOW2_CORE_MEM=0 leaves them out.
 *
 * They are weak, so functions of the same names in another object replace them. The linker does not
 * look into an archive for functions that it has: if an archive has faster ones, leave these out.
 */
#ifndef QCOW2_CORE_MEM
#if __STDC_HOSTED__
#define QCOW2_CORE_MEM 0
#else
#define QCOW2_CORE_MEM 1
#endif
#endif

#if QCOW2_CORE_MEM
#ifdef __ELF__
#define QCOW2_MEM_FUNCTION(name) __attribute__((weak, section(".text." name)))
#else
#define QCOW2_MEM_FUNCTION(name) __attribute__((weak))
#endif
QCOW2_MEM_FUNCTION("memcpy") void *memcpy(void *restrict dest, const void *restrict src, size_t len);
QCOW2_MEM_FUNCTION("memmove") void *memmove(void *dest, const void *src, size_t len);
QCOW2_MEM_FUNCTION("memset") void *memset(void *dest, int byte, size_t len);
QCOW2_MEM_FUNCTION("memcmp") int memcmp(const void *a, const void *b, size_t len);
END_OF_TEXT
}

core_headers=$(ls include/qcow2/*.h)
# shellcheck disable=SC2086
{
	head 'the freestanding core'
	expand '' $core_headers >"$dir/core.tmp"
	cat "$dir/core.tmp"
} >"$dir/qcow2_core.h"
{
	head 'the freestanding core'
	echo '#include "qcow2_core.h"'
	expand "$core_headers" $core
	mem_begins
	expand "$core_headers" "$mem"
	echo '#endif /* QCOW2_CORE_MEM */'
} >"$dir/qcow2_core.c"
{
	head 'the POSIX library'
	expand '' include/qcow2.h $core_headers
} >"$dir/qcow2.h"
{
	head 'the POSIX library'
	printf '#define _GNU_SOURCE 1\n#define _FILE_OFFSET_BITS 64\n#define _TIME_BITS 64\n'
	echo '#include "qcow2.h"'
	expand "include/qcow2.h $core_headers" $core $posix
} >"$dir/qcow2.c"
rm -f "$dir/core.tmp"
