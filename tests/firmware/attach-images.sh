#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes what run-attach.sh boots, in WORK: a kernel of Debian, an initrd by the real mkinitramfs, and
# sticks with images of a small system and the UEFI program. Needs root, and the programs in BUILD-DIR.
#	attach-images.sh BUILD-DIR WORK
set -eu
here=$(realpath "$(dirname "$0")")
build=$(realpath "$1")
mkdir -p "$2" && cd "$2"
work=$PWD
export MTOOLS_SKIP_CHECK=1

# Unpacks a package of Debian without installing it. run-uefi.sh uses the same folder.
fetch() { # PACKAGE
	local deb=$build/uefi-test/deb
	mkdir -p "$deb"
	[ -d "$deb/$1" ] || (cd "$deb" && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null &&
		dpkg-deb -x "$1"_*.deb "$1.new" && mv "$1.new" "$1")
	package=$deb/$1
}

# The initrd, in a copy of the file system that has the kernel's modules and our files installed. It
# ends with the namespace, so nothing of this machine changes.
initrd() {
	local kernel
	kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-\)/\1/p')
	fetch "$kernel"
	cp "$package"/boot/vmlinuz-* vmlinuz
	rm -rf installed conf
	mkdir -p installed/usr/lib installed/boot
	make -s -C "$here/../.." O="$build" DESTDIR="$work/installed" install-initramfs \
		"$build/uefi/qcow2x64.efi"
	cp -r "$package/lib/modules" installed/usr/lib/
	depmod -b installed/usr "${kernel#linux-image-}"
	cp -r /etc/initramfs-tools conf
	sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/; s/^BUSYBOX=.*/BUSYBOX=n/' \
		conf/initramfs.conf
	printf 'virtio_pci\nvirtio_blk\n' >conf/modules
	PACKAGE=$package VERSION=${kernel#linux-image-} unshare -m sh -eu <<'END'
mount -t overlay -o "ro,lowerdir=$PWD/installed/usr:/usr" overlay /usr
mount --bind "$PACKAGE/boot" /boot
mkinitramfs -d "$PWD/conf" -o initrd.img "$VERSION"
END
}

# The disk of the small system: a GPT with an EFI partition and one with ext4.
system_disk() {
	rm -rf root
	mkdir -p root/bin root/sbin root/dev root/proc root/sys root/run root/tmp
	cp /bin/busybox root/bin/
	cp "$here/attach-init" root/sbin/init
	cp "$build/initramfs/qcow2-attach" root/sbin/qcow2
	python3 "$here/images.py" content root/big 41943040
	sha256sum <root/big | cut -d' ' -f1 >big.sum
	rm -f system.raw
	truncate -s 128M system.raw
	printf 'label: gpt\nsize=32M, type=U\ntype=L\n' | sfdisk -q system.raw
	efi_partition system.raw
	mke2fs -q -t ext4 -U 11111111-2222-3333-4444-555555555555 -E offset=$((33 << 20)) -d root system.raw 86M
}

# What the firmware and the boot loader read: systemd-boot, the kernel and the initrd. The checks to
# make are behind the "--".
efi_partition() { # DISK
	fetch systemd-boot-efi
	printf 'timeout 0\ndefault linux.conf\n' >loader.conf
	printf '%s\n' 'title Linux' 'linux /vmlinuz' 'initrd /initrd.img' "options console=ttyS0 quiet panic=-1 no_timer_check \
root=UUID=11111111-2222-3333-4444-555555555555 -- content overlay storage damage" >linux.conf
	mkfs.vfat -n INNER --offset 2048 "$1" $((32 << 10)) >/dev/null 2>&1
	mmd -i "$1@@1M" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
	mcopy -i "$1@@1M" "$package/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i "$1@@1M" loader.conf ::/loader
	mcopy -i "$1@@1M" linux.conf ::/loader/entries
	mcopy -i "$1@@1M" vmlinuz initrd.img ::/
}

# Another disk, whose 21st cluster, 64 KiB, is damaged. damaged.raw has zeros there.
damaged_disk() {
	python3 "$here/images.py" content damaged.raw 4194304
	printf 'label: gpt\ntype=L\n' | sfdisk -q damaged.raw
	qemu-img convert -f raw -c -O qcow2 damaged.raw damaged.qcow2
	python3 "$here/images.py" break-data damaged.qcow2 20
	dd if=/dev/zero of=damaged.raw bs=64k seek=20 count=1 conv=notrunc status=none
}

fat_stick() { # NAME FILE...
	local name=$1
	shift
	rm -f "$name"
	truncate -s 180M "$name"
	printf 'label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=%s, type=c\ntype=83\n' $((66 * 2048)) | sfdisk -q "$name"
	mkfs.vfat -F 32 -s 1 -i abcd1234 -n STICK --offset 2048 "$name" $((66 * 1024)) >/dev/null 2>&1
	mke2fs -q -t ext4 -L STATE -E offset=$((67 << 20)) ${state:+-d "$state"} "$name" 100M
	mmd -i "$name@@1M" ::/images ::/base
	mcopy -i "$name@@1M" "$@" ::/images
}

uefi_program() { # FILE-SYSTEM CONFIG-LINE
	mmd -i "$1" ::/EFI ::/EFI/BOOT
	mcopy -i "$1" "$build/uefi/qcow2x64.efi" ::/EFI/BOOT/BOOTX64.EFI
	printf '%s\n' "$2" >qcow2.cfg
	mcopy -i "$1" qcow2.cfg ::/
}

initrd
system_disk
damaged_disk
qemu-img convert -f raw -c -O qcow2 system.raw zlib.qcow2
qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd system.raw zstd.qcow2
# An overlay, with a cluster behind all partitions, whose own name for its base leads nowhere.
qemu-img create -q -f qcow2 -F qcow2 -b zstd.qcow2 over.qcow2
qemu-io -f qcow2 -c 'write -P 7 127M 64k' over.qcow2 >/dev/null
qemu-img rebase -u -f qcow2 -F qcow2 -b /nowhere/base.qcow2 over.qcow2
fat_stick stick.raw zlib.qcow2 damaged.qcow2
mcopy -i stick.raw@@1M damaged.raw ::/
uefi_program stick.raw@@1M '\images\zlib.qcow2'
# The file system of the changes has the images as well.
mkdir -p state/images state/base
cp over.qcow2 state/images && cp zstd.qcow2 state/base
state=state fat_stick chain.raw over.qcow2
