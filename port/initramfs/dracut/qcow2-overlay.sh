#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# dracut, hook pre-pivot: makes the root file system writable by an overlay.
# shellcheck source=port/initramfs/boot.sh
. /usr/lib/qcow2/boot.sh

if qcow2_configure; then
	qcow2_overlay_root "${NEWROOT:?}" || die 'qcow2: the root file system has no overlay'
	qcow2_spare_server
fi
