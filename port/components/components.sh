#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes the core as a library of PlatformIO and as a component of ESP-IDF: the two files of the core,
# and a manifest.
#	components.sh DIR AMALGAMATION VERSION
set -eu
dir=${1:?usage: components.sh DIR AMALGAMATION VERSION}
core=${2:?usage: components.sh DIR AMALGAMATION VERSION}
version=${3:?usage: components.sh DIR AMALGAMATION VERSION}
here=$(dirname "$0")

for kind in platformio esp-idf; do
	to=$dir/$kind/qcow2
	rm -rf "$to"
	mkdir -p "$to/src" "$to/include"
	for file in "$here/$kind"/*; do
		sed "s/@VERSION@/$version/" "$file" >"$to/${file##*/}"
	done
	cp "$here/README.md" "$here/../../LICENSE" "$to"
	cp "$core/qcow2_core.c" "$to/src"
	cp "$core/qcow2_core.h" "$to/include"
done
