#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# dracut, hook cmdline: keeps the initqueue running until the disk is there.
# shellcheck source=port/initramfs/boot.sh
. /usr/lib/qcow2/boot.sh

if qcow2_configure; then
	echo rd.skipfsck >>/etc/cmdline.d/qcow2.conf # the disk is read-only
	echo '[ -e /sys/block/nbd0/pid ]' >"${hookdir:?}/initqueue/finished/qcow2.sh"
fi
