#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Tests the FAT reader and the file names of the UEFI port on the host, with sanitizers. mkfs.vfat and
# mtools make volumes with fragmented files and long names. Then bytes in their tables are changed,
# and the reader must not crash or hang.
#	run-uefi-fat.sh BUILD-DIR
set -u
build=${1:?usage: run-uefi-fat.sh BUILD-DIR}
here=$(dirname "$0")
work=$build/uefi-fat
fat=$work/uefi-fat
. "$here/ok.sh"
export MTOOLS_SKIP_CHECK=1
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99
rm -rf "$work" && mkdir -p "$work"
cc -std=c11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all \
	-I"$here/../../include" -I"$here/../../port/uefi" "$here/uefi-fat.c" \
	"$here/../../port/uefi/fat.c" "$here/../../port/uefi/path.c" \
	"$here/../../port/common/utf8.c" -o "$fat" || exit 1

is_file() { # VOLUME NAME CONTENT
	timeout --foreground 1800 "$fat" "$1" "$2" 2>"$work/runs" | cmp -s - "$3"
}
says() { # TEXT ARGUMENTS...
	local text=$1
	shift
	[ "$(timeout --foreground 1800 "$fat" "$@" 2>"$work/err")" = "$text" ]
}

volume() { # FILE KIB MKFS-OPTIONS...
	local v=$1 size=$2 sector=512 i
	[[ "$*" != *4096 ]] || sector=4096
	shift 2
	truncate -s "${size}K" "$v"
	mkfs.vfat "$@" "$v" >/dev/null || return 1
	mmd -i "$v" ::/dir '::/dir/a long name of a directory' ::/fill
	for i in $(seq 40); do mcopy -i "$v" "$work/filler" "::/fill/file number $i"; done
	for i in $(seq 1 2 40); do mdel -i "$v" "::/fill/file number $i"; done
	# mtools searches for free clusters after the last one that it used. Make it start at the front.
	[[ "$*" != *32* ]] || printf '\x02\x00\x00\x00' | dd of="$v" bs=1 seek=$((sector + 492)) conv=notrunc status=none
	mcopy -i "$v" "$work/content" '::/dir/a long name of a directory/The Image.qcow2'
	mcopy -i "$v" "$work/content" ::/SHORT.BIN
	mcopy -i "$v" /dev/null ::/empty
}

check_volume() { # FILE TYPE
	ok "$2: long name" is_file "$1" '/dir/a long name of a directory/The Image.qcow2' "$work/content"
	ok "$2: fragmented" test "$(sed -n 's/.*, \([0-9]*\) runs/\1/p' "$work/runs")" -gt 5
	ok "$2: the type" grep -q "^$2," "$work/runs"
	ok "$2: upper and lower case" is_file "$1" '\DIR\A long NAME of a directory\the image.QCOW2' "$work/content"
	ok "$2: short name" is_file "$1" short.bin "$work/content"
	ok "$2: empty file" is_file "$1" empty /dev/null
	ok "$2: many entries" is_file "$1" '/fill/file number 40' "$work/filler"
	ok "$2: deleted file" says 'no such file' "$1" '/fill/file number 1'
	ok "$2: directory" says 'no such file' "$1" /dir
	ok "$2: below a file" says 'no such file' "$1" /short.bin/x
}

# Whatever the bytes are, the program exits with status 0 or 1, whether it finds the file or not. If
# a sanitizer stops it, the status is another one.
damaged() { # FILE POSITION
	local rc
	cp "$1" "$work/damaged"
	printf '\xff\x00\xff' | dd of="$work/damaged" bs=1 seek="$2" conv=notrunc status=none
	timeout --foreground 1800 "$fat" "$work/damaged" SHORT.BIN >"$work/out" 2>"$work/err"
	rc=$?
	[ $rc -le 1 ] && ! grep -q Sanitizer "$work/err"
}

put() { # FILE POSITION BYTES
	printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# BPB_ExtFlags of FAT32: without mirroring only the active FAT is valid. The other is empty here.
check_active_fat() { # VOLUME
	local v=$work/active.img reserved fat_len active
	reserved=$(od -An -tu2 -j14 -N2 "$1")
	fat_len=$(od -An -tu4 -j36 -N4 "$1")
	for active in 0 1; do
		cp "$1" "$v"
		dd if=/dev/zero of="$v" bs=512 seek=$((reserved + (1 - active) * fat_len)) \
			count="$fat_len" conv=notrunc status=none
		put "$v" 40 "\\x8$active"
		ok "FAT $active is the active one" is_file "$v" SHORT.BIN "$work/content"
		put "$v" 40 "\\x8$((1 - active))"
		ok "FAT $((1 - active)) is empty" says 'the file system is damaged; repair it with chkdsk or fsck' "$v" SHORT.BIN
	done
	put "$v" 40 '\x01'
	ok "with mirroring the first FAT is used" says 'the file system is damaged; repair it with chkdsk or fsck' "$v" SHORT.BIN
	put "$v" 40 '\x82'
	ok "the active FAT does not exist" says 'not a FAT volume' "$v" SHORT.BIN
	put "$v" 40 '\x8f'
	ok "the number of the active FAT is too large" says 'not a FAT volume' "$v" SHORT.BIN
}

seq 1 90000 >"$work/content"
head -c 6000 "$work/content" >"$work/filler"
ok "FAT12 is made" volume "$work/12.img" 4000 -F 12 -s 2
check_volume "$work/12.img" FAT12
ok "FAT16 is made" volume "$work/16.img" 20000 -F 16 -s 2
check_volume "$work/16.img" FAT16
ok "FAT32 is made" volume "$work/32.img" 36000 -F 32 -s 1
check_volume "$work/32.img" FAT32
check_active_fat "$work/32.img"
ok "FAT32 of large sectors is made" volume "$work/4k.img" 300000 -F 32 -s 1 -S 4096
check_volume "$work/4k.img" FAT32
for v in 12 32; do
	ok "undamaged volume $v" is_file "$work/$v.img" SHORT.BIN "$work/content"
	for at in $(seq 0 3 90) $(seq 512 97 6000) $(seq 16384 997 40000); do
		ok "damaged volume $v, byte $at" damaged "$work/$v.img" "$at"
	done
done
truncate -s 1M "$work/none"
ok "no FAT" says 'not a FAT volume' "$work/none" x

join() { ok "$1 + $2" says "$3" -p "$1" "$2"; }
join '\a\b.qcow2' c.raw '/a/c.raw'
join '\b.qcow2' c.raw '/c.raw'
join '\a\b.qcow2' ./d//c.raw '/a/d/c.raw'
join '\a\b.qcow2' ../c.raw '/c.raw'
join '\a\b.qcow2' ../../c.raw refused
join '\a\b.qcow2' '..\..\c.raw' refused
join '\a\b.qcow2' 'd/../../../c' refused
join '\a\b.qcow2' '/c' '/c'
join '\a\b.qcow2' '' '/a'
join '\b.qcow2' '' refused
join '\b.qcow2' .. refused
join '\b.qcow2' 'nbd://host/x' refused
join '\b.qcow2' 'json:{}' refused
join '\b.qcow2' "$(printf 'a\001b')" refused
join '\b.qcow2' "$(printf '\300\257')" 'not UTF-8'
join '\b.qcow2' "$(printf '\355\240\200')" 'not UTF-8'
join '\b.qcow2' "$(printf '%0600d' 0)" 'not UTF-8'
join '\b.qcow2' "$(printf '%0505d' 0)/a" "/$(printf '%0505d' 0)/a"
join '\b.qcow2' "$(printf '%0490d' 0)/../../a" refused
join '\b.qcow2' 'Größe/€/𐍈𠀀.raw' '/Größe/€/𐍈𠀀.raw'
units() { ok "UTF-16 $2" says "$(printf "$1")" -u $2; }
units 'a\303\251\342\202\254' '61 e9 20ac'
units '\337\277\340\240\200\357\277\277' '7ff 800 ffff'
units '\360\220\200\200\364\217\277\277' 'd800 dc00 dbff dfff'
units 'a\357\277\275b\357\277\275c\357\277\275' '61 d800 62 dc00 63 dbff'
units '\357\277\275\356\200\200' 'd800 e000'
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
