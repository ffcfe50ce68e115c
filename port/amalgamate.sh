#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes two pairs of files: qcow2_core.c and .h, the freestanding core; and qcow2.c and .h, the
# POSIX library with the built-in deflate. A pair needs no other file, no library, no configuration.
#	amalgamate.sh DIR VERSION CORE-FILES -- POSIX-FILES
set -eu
dir=$1 version=$2
shift 2
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
