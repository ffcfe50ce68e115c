#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Boots Debian's kernel in QEMU from ext4 in an image, which is a file on FAT or ext4, by the module in a GRUB
# of Debian, for BIOS or UEFI.
#	grub-boot.sh MODULE GRUB VMLINUZ OUT-DIR    GRUB: a folder i386-pc or x86_64-efi
set -u
usage='usage: grub-boot.sh MODULE GRUB VMLINUZ OUT-DIR'
module=${1:?$usage} grub=${2:?$usage} vmlinuz=${3:?$usage} out=${4:?$usage}
. "$(dirname "$0")/disk.sh"
fat_mib=40 # for the kernel twice: the inner disk has it on both file systems
rm -rf "$out"
mkdir -p "$out/in" "$out/on" "$out/initrd/bin" "$out/initrd/dev" || exit 1
platform=$(basename "$grub")
mark="the initrd inside the image: $RANDOM$RANDOM"
export MTOOLS_SKIP_CHECK=1

make_initrd() {
	cp /bin/busybox "$out/initrd/bin/" && cat >"$out/initrd/init" <<-END || return 1
		#!/bin/busybox sh
		/bin/busybox mount -t devtmpfs dev /dev
		/bin/busybox echo "$mark"
		/bin/busybox poweroff -f
	END
	chmod +x "$out/initrd/init"
	(cd "$out/initrd" && find . | cpio -o -H newc --quiet | gzip) >"$out/in/initrd.img"
}
make_outer() {
	cp "$vmlinuz" "$out/in/vmlinuz" && make_disk "$out/inner.raw" "$out/in" &&
		qemu-img convert -c -O qcow2 "$out/inner.raw" "$out/on/vm.qcow2" && make_disk "$out/outer.raw" "$out/on"
}
make_grub() {
	local machine=biosdisk partition=1
	[ "$platform" = i386-pc ] || machine='efi_gop' partition=2
	cp -r "$grub" "$out/grub" && cp "$module" "$out/grub/" && echo 'qcow2disk:' >>"$out/grub/moddep.lst" &&
		cat >"$out/grub.cfg" <<-END || return 1
			serial
			terminal_output serial
			qcow2 vm (hd0,gpt$partition)/vm.qcow2
			linux (vm,gpt2)/vmlinuz console=ttyS0 quiet
			initrd (vm,gpt2)/initrd.img
			boot
		END
	grub-mkimage -O "$platform" -d "$out/grub" -p / -c "$out/grub.cfg" -o "$out/core.img" part_gpt fat ext2 serial \
		terminal normal linux boot echo qcow2disk $machine
}
run() {
	local start=(-drive "file=$out/outer.raw,format=raw,snapshot=on")
	if [ "$platform" = i386-pc ]; then
		cat "$out/grub/lnxboot.img" "$out/core.img" >"$out/kernel"
		start+=(-kernel "$out/kernel")
	else
		mmd -i "$out/outer.raw@@1M" ::/EFI ::/EFI/BOOT &&
			mcopy -i "$out/outer.raw@@1M" "$out/core.img" ::/EFI/BOOT/BOOTX64.EFI || return 1
		start+=(-bios /usr/share/ovmf/OVMF.fd)
	fi
	timeout 300 qemu-system-x86_64 -machine q35,accel=tcg -m 512 -nodefaults -vga std -display none -monitor none \
		-serial "file:$out/console" -no-reboot "${start[@]}" </dev/null
}

make_initrd && make_outer && make_grub && run || exit 1
tr -d '\r' <"$out/console" | grep -qF "$mark" && exit
tail -n 20 "$out/console"
exit 1
