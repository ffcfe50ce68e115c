#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes a package for EDK2, which has all files that it needs.
#	package.sh DIR    DIR/Qcow2Pkg; DIR belongs into PACKAGES_PATH
set -eu
mkdir -p "${1:?usage: package.sh DIR}"
to=$(cd "$1" && pwd)/Qcow2Pkg
cd "$(dirname "$0")/../../.."
here=port/uefi/edk2
rm -rf "$to"

# Copies files of ours into one folder.
copy() { # TO-FOLDER FILE...
	folder=$to/$1
	shift
	mkdir -p "$folder"
	for file; do sed 's,#include "\.\./common/,#include ",' "$file" >"$folder/${file##*/}"; done
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
