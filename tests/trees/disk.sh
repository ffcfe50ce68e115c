# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The scripts that run U-Boot and GRUB source this: disks with the files of a folder.

# Makes a disk of two partitions, FAT and ext4, with the files of a folder. A script may set their sizes.
fat_mib=20
ext4_mib=40
make_disk() { # DISK FOLDER
	rm -f "$1" "$1.fat" && truncate -s $((fat_mib + ext4_mib + 4))M "$1" &&
		printf 'label: gpt\nstart=2048,size=%d\nstart=%d,size=%d\n' $((fat_mib * 2048)) \
			$((fat_mib * 2048 + 2048)) $((ext4_mib * 2048)) | sfdisk -q "$1" &&
		mkfs.vfat -C "$1.fat" $((fat_mib * 1024)) >/dev/null && mcopy -s -i "$1.fat" "$2"/* :: &&
		mke2fs -q -t ext4 -d "$2" "$1.ext4" $((ext4_mib * 1024))k >/dev/null 2>&1 &&
		dd if="$1.fat" of="$1" bs=1M seek=1 conv=notrunc status=none &&
		dd if="$1.ext4" of="$1" bs=1M seek=$((fat_mib + 1)) conv=notrunc status=none &&
		rm "$1.fat" "$1.ext4"
}

# Makes OUT/outer.raw, which has images on FAT and on ext4: vm.q and z.q with FAT and ext4 inside, compressed
# with deflate and zstd, and over.q with a backing file. Sets $crc to the CRC of data.bin in them.
make_images() { # OUT [FILE...]: more files for both file systems of the outer disk
	local out=$1
	shift
	mkdir -p "$out/in" "$out/on" &&
		yes 'the same line, with a number after it' | head -n 30000 | nl >"$out/in/data.bin" &&
		echo inside >"$out/in/text.txt" && make_disk "$out/inner.raw" "$out/in" &&
		qemu-img convert -c -O qcow2 "$out/inner.raw" "$out/on/vm.q" &&
		qemu-img convert -c -O qcow2 -o compression_type=zstd "$out/inner.raw" "$out/on/z.q" &&
		qemu-img create -q -f qcow2 -b vm.q -F qcow2 "$out/on/over.q" || return 1
	[ $# -eq 0 ] || cp "$@" "$out/on/" || return 1
	make_disk "$out/outer.raw" "$out/on" &&
		crc=$(python3 -c 'import sys, zlib; print("%08x" % zlib.crc32(open(sys.argv[1], "rb").read()))' "$out/in/data.bin")
}
