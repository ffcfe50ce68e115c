#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# What takes too long for run.sh: builds U-Boot of Debian 12 and 13 and runs it, and boots a kernel by GRUB of
# Debian 12 and 13, each for BIOS and UEFI. Needs what run.sh needs, and swig for U-Boot 2023.01.
#	run-more.sh BUILD-DIR [TREE...]    with trees of U-Boot, runs only these
set -u
build=${1:?usage: run-more.sh BUILD-DIR [TREE...]}
shift
cd "$(dirname "$0")/../.." || exit 1
. tests/firmware/ok.sh
dir=$build/trees

uboot() { # TREE NAME
	bash tests/trees/uboot-run.sh "$1" "$build" "$dir/run/$2"
}
grub() { # RELEASE PLATFORM
	sh port/grub/build.sh "$dir/$1/grub2" "$2" "$dir/$1/grub-$2" &&
		bash tests/trees/grub-boot.sh "$dir/$1/grub-$2/qcow2disk.mod" "$dir/run/grub-$1/usr/lib/grub/$2" \
			"$dir"/run/linux/boot/vmlinuz-* "$dir/run/boot-$1-$2"
}

mkdir -p "$dir/run"
if [ $# -gt 0 ]; then
	for tree; do ok "U-Boot in $tree" uboot "$tree" u-boot; done
else
	command -v swig >/dev/null || { echo "install swig: U-Boot 2023.01 needs it" >&2 && exit 1; }
	sh tests/trees/get.sh "$dir" && sh tests/trees/grub-get.sh "$dir/run" || exit 1
	for release in bookworm trixie; do
		about=$release
		for platform in i386-pc x86_64-efi; do
			ok "GRUB for $platform boots a kernel from inside an image" grub $release $platform
		done
		ok "U-Boot" uboot "$dir/$release/u-boot" "u-boot-$release"
	done
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
