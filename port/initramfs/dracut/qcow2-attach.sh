#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# dracut, hook initqueue/settled: attaches the image once the file system that has it is there.
# shellcheck source=port/initramfs/boot.sh
. /usr/lib/qcow2/boot.sh

if [ ! -e /sys/block/nbd0/pid ] && qcow2_configure; then
	qcow2_outer=$(qcow2_find "${qcow2_image%%:/*}")
	[ -z "$qcow2_outer" ] || qcow2_attach "$qcow2_outer"
fi
