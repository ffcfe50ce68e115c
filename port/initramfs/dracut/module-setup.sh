#!/bin/bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# dracut module: the root file system comes from a qcow2 image. See qcow2-initramfs(7).

# Only for those who ask for it: dracut --add qcow2, or add_dracutmodules+=" qcow2 ".
check() {
	return 255
}

installkernel() {
	hostonly='' instmods nbd overlay efivarfs vfat exfat ext4 nls_cp437 nls_ascii nls_iso8859_1 nls_utf8
}

install() {
	inst_multiple blkid cat mkdir modprobe mount umount
	inst /usr/lib/qcow2/qcow2-attach /sbin/qcow2
	inst_simple /usr/lib/qcow2/boot.sh
	inst_hook cmdline 30 "${moddir:?}/qcow2-cmdline.sh"
	inst_hook initqueue/settled 50 "$moddir/qcow2-attach.sh"
	inst_hook pre-pivot 10 "$moddir/qcow2-overlay.sh"
	dracut_need_initqueue
	# systemd would check the root file system, which is on a read-only disk.
	mkdir -p "${initdir:?}/etc/systemd/system/systemd-fsck-root.service.d"
	printf '[Unit]\nConditionPathExists=!/run/qcow2\n' \
		>"$initdir/etc/systemd/system/systemd-fsck-root.service.d/qcow2.conf"
}
