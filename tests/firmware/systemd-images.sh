#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes what systemd.sh boots, in WORK: a Debian 12, and a stick with it as an image. Needs root, mmdebstrap, and
# Debian's packages.
#	systemd-images.sh BUILD-DIR WORK
set -eu
here=$(realpath "$(dirname "$0")")
build=$(realpath "$1")
mkdir -p "$2" && cd "$2"
work=$PWD
uuid=21111111-2222-3333-4444-555555555555
export MTOOLS_SKIP_CHECK=1

# The system, with our files.
system() {
	[ -d root ] || {
		mmdebstrap --quiet --variant=minbase bookworm new.root --include=systemd-sysv,udev,dbus,kmod,login \
			--include=initramfs-tools,dracut-core,linux-image-cloud-amd64,grub-efi-amd64-signed
		mv new.root root
	}
	make -s -C "$here/../.." O="$build" DESTDIR="$work/root" install-initramfs "$build/uefi/qcow2x64.efi"
	echo qcow2vm >root/etc/hostname
	echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >root/etc/fstab # as the installer of Debian writes it
	install -m 755 "$here/systemd-report" root/usr/local/sbin/report
	printf '%s\n' '[Unit]' 'After=multi-user.target' '[Service]' 'ExecStart=/usr/local/sbin/report' \
		'[Install]' 'WantedBy=multi-user.target' >root/etc/systemd/system/report.service
	(cd root && find usr/bin usr/lib/x86_64-linux-gnu -type f -print0 | sort -z | xargs -0 sha256sum) \
		>root/etc/content.sha256
}

# Both initrds, made inside the system: that of initramfs-tools, and one by dracut.
initrds() {
	unshare -m sh -euc 'for name in dev proc sys; do mount --rbind "/$name" "root/$name"; done
		chroot root sh -euc "systemctl --quiet enable report
			update-initramfs -u -k all
			dracut --force --no-hostonly --add qcow2 /boot/dracut.img \$(ls /lib/modules)"'
	cp root/boot/vmlinuz-* vmlinuz
	cp root/boot/initrd.img-* initrd.img
	mv root/boot/dracut.img dracut.img
}

# The disk, with GRUB on its EFI partition.
disk() {
	local kernel
	kernel=$(ls root/lib/modules)
	echo "console=ttyS0 quiet loglevel=5 systemd.show_status=1 panic=-1 no_timer_check root=UUID=$uuid" >options
	mkdir -p root/boot/grub
	printf '%s\n' "linux /boot/vmlinuz-$kernel $(cat options)" "initrd /boot/initrd.img-$kernel" boot \
		>root/boot/grub/grub.cfg
	printf '%s\n' "search --fs-uuid --set=root $uuid" "configfile (\$root)/boot/grub/grub.cfg" >grub.cfg
	rm -f disk.raw
	truncate -s 900M disk.raw
	printf 'label: gpt\nsize=64M, type=U\ntype=L\n' | sfdisk -q disk.raw
	mkfs.vfat -F 16 -s 4 -n INNER --offset 2048 disk.raw $((64 << 10)) >/dev/null 2>&1
	mmd -i disk.raw@@1M ::/EFI ::/EFI/BOOT ::/EFI/debian
	mcopy -i disk.raw@@1M root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i disk.raw@@1M grub.cfg ::/EFI/debian
	mke2fs -q -t ext4 -U $uuid -E offset=$((65 << 20)) -d root disk.raw 834M
	qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd disk.raw disk.qcow2
}

# The same disk for a read-only root file system, as an image over the first: with the fstab of the README of
# port/initramfs.
readonly_disk() {
	local pid
	sed -n "s/^    \(UUID=\)[^ ]*\( .* ro .*\)/\1$uuid\2/p; s/^    \(tmpfs .*\)/\1/p" "$here/../../port/initramfs/README.md" \
		>fstab
	[ "$(wc -l <fstab)" -eq 2 ]
	rm -f readonly.qcow2 readonly.raw pid
	qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 readonly.qcow2
	touch readonly.raw
	qemu-storage-daemon --daemonize --pidfile "$work/pid" \
		--blockdev driver=qcow2,node-name=disk,file.driver=file,file.filename=readonly.qcow2 \
		--export "type=fuse,id=export,node-name=disk,mountpoint=$work/readonly.raw,writable=on"
	printf '%s\n' 'rm /etc/fstab' 'write fstab /etc/fstab' | debugfs -w -f - "readonly.raw?offset=$((65 << 20))" >/dev/null 2>&1
	pid=$(cat pid)
	kill "$pid"
	timeout 60 tail --pid="$pid" -f /dev/null
}

# A FAT partition with the UEFI program and the images, and one for changes.
stick() {
	rm -f stick.raw
	truncate -s 600M stick.raw
	printf 'label: dos\nstart=2048, size=%s, type=c\ntype=83\n' $((400 * 2048)) | sfdisk -q stick.raw
	mkfs.vfat -F 32 -s 1 -n STICK --offset 2048 stick.raw $((400 << 10)) >/dev/null 2>&1
	mke2fs -q -t ext4 -L STATE -E offset=$((401 << 20)) stick.raw 198M
	echo '\disk.qcow2' >qcow2.cfg
	mmd -i stick.raw@@1M ::/EFI ::/EFI/BOOT
	mcopy -i stick.raw@@1M "$build/uefi/qcow2x64.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i stick.raw@@1M qcow2.cfg disk.qcow2 readonly.qcow2 ::/
}

system
initrds
disk
readonly_disk
stick
