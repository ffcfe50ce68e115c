#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes a package for EDK2, which has all files that it needs.
#	package.sh DIR VERSION    DIR/Qcow2Pkg; DIR belongs into PACKAGES_PATH
set -eu
usage='usage: package.sh DIR VERSION'
mkdir -p "${1:?$usage}"
to=$(cd "$1" && pwd)/Qcow2Pkg
version=${2:?$usage}
cd "$(dirname "$0")/../../.."
here=port/uefi/edk2
rm -rf "$to"

# Copies files of ours into one folder. EDK2's versions are two numbers.
copy() { # TO-FOLDER FILE...
	folder=$to/$1
	shift
	mkdir -p "$folder"
	for file; do
		sed -e 's,#include "\.\./common/,#include ",' -e "s/@VERSION@/${version%.*}/" "$file" >"$folder/${file##*/}"
	done
}

# Copies a description and the sources of a module, and adds the list of these to the description.
module() { # TO-FOLDER INF FILE...
	inf=$1/$2
	copy "$1" "$here/$2"
	shift 2
	copy "${inf%/*}" "$@"
	{
		printf '\n[Sources]\n'
		for file; do echo "  ${file##*/}"; done
	} >>"$to/$inf"
}

files() { # FOLDER CONDITION...
	folder=$1
	shift
	find "$folder" -maxdepth 1 -name '*.[ch]' "$@" | sort
}

# The programs share one folder, and all files but one.
program() { # INF MAIN
	# shellcheck disable=SC2046
	module Uefi "$1" "port/uefi/$2" $(files port/uefi ! -name 'main_*' ! -name sbat.c ! -name efi.h) \
		$here/efi.h port/common/utf8.c port/common/utf8.h
}

copy . LICENSE $here/README.md $here/Qcow2Pkg.dec $here/Qcow2Pkg.dsc
copy Include/qcow2 include/qcow2/*.h $here/qcow2/types.h
# shellcheck disable=SC2046
module Library/Qcow2Lib Qcow2Lib.inf $(files src ! -name mem.c)
module Library/Qcow2MemLib Qcow2MemLib.inf src/mem.c $here/weak.h
program Qcow2Boot.inf main_app.c
program Qcow2Dxe.inf main_driver.c
# The text of a section that the linker of EDK2 would drop.
sed -n 's/^\t"\(.*\)\\n".*/\1/p' port/uefi/sbat.c | sed "s/\" QCOW2_VERSION \"/$version/" >"$to/sbat.csv"
