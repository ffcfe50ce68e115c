#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# What takes too long for run.sh: builds U-Boot of Debian 12 and 13 and runs it; boots a kernel by GRUB of
# Debian 12 and 13, each for BIOS and UEFI; and builds the UEFI programs by EDK2 of Debian 12 and 13, for three
# processors, and runs them. Needs what run.sh and tests/firmware need, and swig for U-Boot 2023.01.
#	run-more.sh BUILD-DIR [TREE...]    with trees of U-Boot or EDK2, runs only these
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
edk2() { # TREE NAME
	local out=$dir/run/$2
	bash tests/trees/edk2.sh "$1" "$out" X64 AARCH64 IA32 >"$out.log" 2>&1 &&
		PROGRAMS=$out bash tests/firmware/run-uefi.sh "$build" x64_linux x64 shell x64_broken measured secure l1 \
			no_image aa64 ia32 uboot >>"$out.log" 2>&1 && tail -n 1 "$out.log" && return
	grep FAILED "$out.log" || tail -n 30 "$out.log"
	return 1
}

mkdir -p "$dir/run"
if [ $# -gt 0 ]; then
	for tree; do
		if [ -d "$tree/MdePkg" ]; then
			ok "EDK2 in $tree" edk2 "$tree" edk2
		else
			ok "U-Boot in $tree" uboot "$tree" u-boot
		fi
	done
else
	command -v swig >/dev/null || { echo "install swig: U-Boot 2023.01 needs it" >&2 && exit 1; }
	sh tests/trees/get.sh "$dir" && sh tests/trees/grub-get.sh "$dir/run" || exit 1
	for release in bookworm trixie; do
		about=$release
		for platform in i386-pc x86_64-efi; do
			ok "GRUB for $platform boots a kernel from inside an image" grub $release $platform
		done
		ok "U-Boot" uboot "$dir/$release/u-boot" "u-boot-$release"
		ok "the programs, built by EDK2" edk2 "$dir/$release/edk2" "edk2-$release"
	done
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
