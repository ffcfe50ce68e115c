#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes what run-attach.sh boots, in WORK: a kernel of Debian, an initrd by the real mkinitramfs and one by
# dracut, and sticks with images of a small system and the UEFI program. Needs root, and the programs in
# BUILD-DIR.
#	attach-images.sh BUILD-DIR WORK
set -eu
here=$(realpath "$(dirname "$0")")
build=$(realpath "$1")
mkdir -p "$2" && cd "$2"
work=$PWD
uuid=11111111-2222-3333-4444-555555555555
export MTOOLS_SKIP_CHECK=1

# Unpacks a package of Debian without installing it. run-uefi.sh uses the same folder.
fetch() { # PACKAGE
	local deb=$build/uefi-test/deb
	mkdir -p "$deb"
	[ -d "$deb/$1" ] || (cd "$deb" && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null &&
		dpkg-deb -x "$1"_*.deb "$1.new" && mv "$1.new" "$1")
	package=$deb/$1
}

# Both initrds, in a copy of the file system that has the kernel's modules and our files installed, and
# dracut: to install its package would remove initramfs-tools. The copy ends with the namespace, so nothing of
# this machine changes. dracut gets no systemd, because not every machine for tests has it.
initrds() {
	local kernel dracut
	fetch dracut-core
	dracut=$package
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
	PACKAGE=$package DRACUT=$dracut VERSION=${kernel#linux-image-} unshare -m sh -eu <<'END'
mount -t overlay -o "ro,lowerdir=$PWD/installed/usr:$DRACUT/usr:/usr" overlay /usr
mount --bind "$PACKAGE/boot" /boot
mkinitramfs -d "$PWD/conf" -o initrd.img "$VERSION"
dracut --quiet --force --no-hostonly --no-early-microcode --compress 'gzip -1' --drivers 'virtio_pci virtio_blk' \
	--modules 'dash base fs-lib rootfs-block udev-rules kernel-modules qcow2' "$PWD/dracut.img" "$VERSION"
END
}

# The disk of the small system: a GPT with an EFI partition and one with ext4.
system_disk() {
	rm -rf root
	mkdir -p root/bin root/sbin root/dev root/proc root/sys root/run root/tmp root/boot/grub
	cp vmlinuz initrd.img root/boot/
	printf '%s\n' "$grub" >root/boot/grub/grub.cfg
	grub-editenv root/boot/grub/grubenv create
	cp /bin/busybox root/bin/
	cp "$here/attach-init" root/sbin/init
	cp "$build/initramfs/qcow2-attach" root/sbin/qcow2
	python3 "$here/images.py" content root/big 41943040
	sha256sum <root/big | cut -d' ' -f1 >big.sum
	rm -f system.raw
	truncate -s 160M system.raw
	printf 'label: gpt\nsize=32M, type=U\ntype=L\n' | sfdisk -q system.raw
	efi_partition system.raw
	mke2fs -q -t ext4 -U $uuid -E offset=$((33 << 20)) -d root system.raw 118M
}

# What GRUB does: it keeps its environment in a file, and starts Debian's kernel from the root file system.
# The checks to make are behind the "--".
grub='starts=1
save_env starts
starts=unknown
load_env
echo "GRUB: starts=$starts"
linux /boot/vmlinuz console=ttyS0 quiet panic=-1 no_timer_check root=UUID='$uuid' \
	qcow2.overlay=LABEL=STATE:/state -- content overlay storage
initrd /boot/initrd.img
boot'

# Another boot loader for the disk: GRUB as Debian signs it, which reads its configuration in /EFI/debian.
grub_partition() { # DISK
	fetch grub-efi-amd64-signed
	printf '%s\n' "search --fs-uuid --set=root $uuid" 'prefix=($root)/boot/grub' \
		'source $prefix/grub.cfg' >grub.cfg
	mdeltree -i "$1@@1M" ::/loader
	mdel -i "$1@@1M" ::/vmlinuz ::/initrd.img
	mmd -i "$1@@1M" ::/EFI/debian
	mcopy -o -i "$1@@1M" "$package/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i "$1@@1M" grub.cfg ::/EFI/debian
}

# What the firmware and the boot loader read: systemd-boot, the kernel and the initrd. The checks to
# make are behind the "--".
efi_partition() { # DISK
	fetch systemd-boot-efi
	printf 'timeout 0\ndefault linux.conf\n' >loader.conf
	printf '%s\n' 'title Linux' 'linux /vmlinuz' 'initrd /initrd.img' "options console=ttyS0 quiet panic=-1 no_timer_check \
root=UUID=$uuid -- content overlay storage damage" >linux.conf
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

# A stick by the lines of README.md, on a file in place of /dev/sdX1. The kernel of this machine may lack FAT: a
# copy by mtools takes the place of the mount.
newcomers_stick() {
	local lines
	rm -rf newcomer && mkdir -p newcomer/mnt newcomer/build
	ln -s "$build/uefi" newcomer/build/uefi
	mv zlib.qcow2 newcomer/disk.qcow2
	truncate -s 110M newcomer/stick
	lines=$(sed -n '/^## Boot from an image/,/^## /s/^    //p' "$here/../../README.md")
	test "$(wc -l <<<"$lines")" -ge 5
	(
		cd newcomer
		make() { command make -s -C "$here/../.." O="$build" "$@"; }
		mount() { test "$*" = 'stick mnt'; }
		umount() { test "$*" = mnt && mcopy -s -i stick mnt/* ::/; }
		eval "$(sed 's,/dev/sdX1,stick,g; s,/mnt,mnt,g' <<<"$lines")"
	)
	mcopy -i newcomer/stick damaged.qcow2 damaged.raw ::/
}

# A stick with two partitions: FAT has the UEFI program, an overlay and its base; ext4 is for changes, and has the
# same images. What GRUB writes stays in memory.
chain_stick() {
	rm -rf chain.raw state
	mkdir -p state/images state/base
	cp over.qcow2 state/images && cp zstd.qcow2 state/base
	truncate -s 300M chain.raw
	printf 'label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=%s, type=c\ntype=83\n' $((100 * 2048)) |
		sfdisk -q chain.raw
	mkfs.vfat -F 32 -s 1 --offset 2048 chain.raw $((100 * 1024)) >/dev/null 2>&1
	mke2fs -q -t ext4 -L STATE -E offset=$((101 << 20)) -d state chain.raw 198M
	printf '%s\n' '\images\over.qcow2 backing=qcow2:\base\zstd.qcow2 overlay=memory' >qcow2.cfg
	mmd -i chain.raw@@1M ::/EFI ::/EFI/BOOT ::/images ::/base
	mcopy -i chain.raw@@1M "$build/uefi/qcow2x64.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i chain.raw@@1M qcow2.cfg ::/
	mcopy -i chain.raw@@1M over.qcow2 ::/images
	mcopy -i chain.raw@@1M zstd.qcow2 ::/base
}

initrds
system_disk
damaged_disk
qemu-img convert -f raw -c -O qcow2 system.raw zlib.qcow2
qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd system.raw zstd.qcow2
# An overlay that replaces the boot loader, and whose own name for its base leads nowhere.
grub_partition system.raw
qemu-img create -q -f qcow2 -F raw -b system.raw over.qcow2
qemu-img rebase -f qcow2 -F qcow2 -b zstd.qcow2 over.qcow2
qemu-img rebase -u -f qcow2 -F qcow2 -b /nowhere/base.qcow2 over.qcow2
newcomers_stick
chain_stick
