#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the module in Debian's own GRUB for BIOS, in QEMU: images as files on FAT and ext4, compressed with
# deflate and zstd, with FAT and ext4 inside.
#	grub.sh MODULE OUT-DIR
set -u
module=${1:?usage: grub.sh MODULE OUT-DIR}
out=${2:?usage: grub.sh MODULE OUT-DIR}
. "$(dirname "$0")/disk.sh"
rm -rf "$out"

# A module is found by the list of what each module needs.
make_grub() {
	cp -r /usr/lib/grub/i386-pc "$out/grub" && cp "$module" "$out/grub/" &&
		echo 'qcow2disk:' >>"$out/grub/moddep.lst" || return 1
	cat >"$out/grub.cfg" <<-'END'
		serial
		terminal_output serial
		qcow2 vm (hd0,gpt1)/vm.q
		qcow2 z (hd0,gpt2)/z.q
		echo
		cat (vm,gpt1)/text.txt
		hashsum --hash crc32 (vm,gpt1)/data.bin (vm,gpt2)/data.bin
		hashsum --hash crc32 (z,gpt1)/data.bin (z,gpt2)/data.bin
		qcow2 over (hd0,gpt1)/over.q
		qcow2 none (vm,gpt1)/text.txt
		qcow2 vm (hd0,gpt1)/vm.q
		rmmod qcow2disk
		qcow2 -d vm
		qcow2 -d z
		rmmod qcow2disk
		qcow2 -d vm
		echo end
		halt
	END
	grub-mkimage -O i386-pc -d "$out/grub" -p / -c "$out/grub.cfg" -o "$out/core.img" biosdisk part_gpt fat ext2 \
		serial terminal normal cat hashsum gcry_crc echo halt minicmd qcow2disk &&
		cat "$out/grub/lnxboot.img" "$out/core.img" >"$out/kernel"
}

make_images "$out" && make_grub || exit 1
timeout 600 qemu-system-x86_64 -accel tcg -m 128 -display none -monitor none -serial "file:$out/console" -no-reboot \
	-kernel "$out/kernel" -drive "file=$out/outer.raw,format=raw,snapshot=on" </dev/null || exit 1
cat >"$out/expected" <<END
inside
$crc  (vm,gpt1)/data.bin
$crc  (vm,gpt2)/data.bin
$crc  (z,gpt1)/data.bin
$crc  (z,gpt2)/data.bin
error: qcow2: needs its backing file (byte 0).
error: qcow2: not a qcow2 image (byte 0).
error: qcow2: \`vm' exists already.
error: cannot unload referenced module.
Unknown command \`qcow2'.
end
END
tr -d '\r' <"$out/console" | grep -aE "^(inside|[0-9a-f]{8}  |error|Unknown|end)" | diff "$out/expected" -
