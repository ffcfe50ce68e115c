#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Prints the value of PCR 9 in the bank of SHA-256 after the UEFI programs have measured these files,
# if nothing else has extended it. The words are in the order of qcow2.cfg:
#	pcr.sh WORD...
#	disk[=BLOCKSIZE]          a disk that has measure=yes; its files follow
#	qcow2:FILE                an image; then its backing file
#	data:FILE                 the external data file of the image before it
#	raw:FILE                  a raw backing file
#	unmeasured[=BLOCKSIZE]    a disk without measure=yes
set -eu
[ $# -gt 0 ] || { sed -n '4,11s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
piece=64 # MiB; the length of what is hashed at once
pcr=$(printf '%064d' 0)

bytes() { # HEX
	printf '%s\n' "$1" | fold -w 2 | while read -r byte; do
		# shellcheck disable=SC2059
		printf "\\$(printf %03o "0x$byte")"
	done
}
sha256() { sha256sum | cut -c -64; }
extend() { pcr=$({ bytes "$pcr" && bytes "$1"; } | sha256); }
text() { extend "$(printf %s "$1" | sha256)"; }

file() { # KIND FILE
	size=$(wc -c <"$2")
	text "$1 $size"
	at=0
	while [ $((at * 1048576)) -lt "$size" ]; do
		extend "$(dd if="$2" bs=1048576 skip=$at count=$piece status=none | sha256)"
		at=$((at + piece))
	done
}

for word; do
	case $word in
	disk | unmeasured) text "$word 512" ;;
	disk=* | unmeasured=*) text "${word%%=*} ${word#*=}" ;;
	qcow2:* | data:* | raw:*) file "${word%%:*}" "${word#*:}" ;;
	*) echo "pcr.sh: not a word: $word" >&2 && exit 2 ;;
	esac
done
echo "$pcr"
