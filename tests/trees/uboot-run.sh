#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds U-Boot with port/uboot for the sandbox and for QEMU's machine with AArch64, and runs it: the unit
# test in the sandbox; in both, files in images that are files on FAT and ext4, fill a partition, or are in
# memory; and refusals. In QEMU, bootefi starts the UEFI program of port/uefi from inside an image, which
# starts a program from an image in that image.
#	uboot-run.sh TREE BUILD-DIR OUT-DIR    TREE is copied first, and must not have the port
set -u
usage='usage: uboot-run.sh TREE BUILD-DIR OUT-DIR'
from=${1:?$usage}
uefi=$(realpath "${2:?$usage}")/uefi
mkdir -p "${3:?$usage}" && out=$(cd "$3" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/disk.sh"
. "$here/../firmware/ok.sh"
jobs=-j$(nproc)
cross=CROSS_COMPILE=aarch64-linux-gnu-
export MTOOLS_SKIP_CHECK=1

# check-trees leaves the port in its trees; what import.sh has changed is in FILE.orig.
copy_tree() {
	local file
	rm -rf "$out/tree" && mkdir "$out/tree" && tar -C "$from" --exclude=./.git -cf - . | tar -C "$out/tree" -xf - &&
		make -s -C "$out/tree" mrproper && rm -rf "$out/tree/lib/qcow2" || return 1
	for file in $(sh "$here/../../port/uboot/import.sh" files); do
		[ ! -f "$out/tree/$file.orig" ] || mv "$out/tree/$file.orig" "$out/tree/$file" || return 1
	done
	sh "$here/../../port/uboot/import.sh" "$out/tree"
}

# Switches off what needs programs or libraries that are of no use here.
build() { # NAME DEFCONFIG CROSS TARGET...
	local dir=$out/$1 defconfig=$2 cross=$3 tests=UNIT_TEST
	shift 3
	[ ! -f "$out/tree/include/blkmap.h" ] || tests= # older trees do not have our test
	rm -rf "$dir" && make -s -C "$out/tree" O="$dir" $cross "$defconfig" &&
		"$out/tree/scripts/config" --file "$dir/.config" -e BLK_QCOW2 -e BLKMAP -e CMD_BLKMAP -d VIDEO_SANDBOX_SDL \
			-d SANDBOX_SDL -d TOOLS_MKEFICAPSULE -d EFI_CAPSULE_AUTHENTICATE -d LTO -d CLK_K210 ${tests:+-d $tests} &&
		make -s -C "$out/tree" O="$dir" $cross olddefconfig && grep -qx CONFIG_CMD_QCOW2=y "$dir/.config" &&
		make -s "$jobs" -C "$out/tree" O="$dir" $cross NO_SDL=1 NO_PYTHON=1 "$@"
}
logged() { # LOG COMMAND...
	local log=$1
	shift
	"$@" >"$log" 2>&1 && return
	tail -n 20 "$log"
	return 1
}

# A disk with one FAT partition, as an image.
make_esp() { # IMAGE FILE...: the first one as the boot loader
	local raw=$1.raw loader=$2
	rm -f "$raw" && truncate -s 40M "$raw" && printf 'label: gpt\nstart=2048, type=U\n' | sfdisk -q "$raw" &&
		mkfs.vfat --offset 2048 "$raw" $((38 * 1024)) >/dev/null 2>&1 &&
		mmd -i "$raw@@1M" ::/EFI ::/EFI/BOOT &&
		mcopy -i "$raw@@1M" "$loader" ::/EFI/BOOT/BOOTAA64.EFI || return 1
	shift 2
	[ $# -eq 0 ] || mcopy -i "$raw@@1M" "$@" :: || return 1
	qemu-img convert -c -O qcow2 "$raw" "${raw%.raw}"
}
make_disks() {
	make_esp "$out/probe.q" "$uefi/probeaa64.efi" && echo '\probe.q' >"$out/qcow2.cfg" &&
		make_esp "$out/boot.q" "$uefi/qcow2aa64.efi" "$out/probe.q" "$out/qcow2.cfg" &&
		make_images "$out" "$out/boot.q" &&
		dd if="$out/on/vm.q" of="$out/outer.raw" bs=1M seek=61 conv=notrunc status=none &&
		printf 'start=124928,size=4096\n' | sfdisk -q --append "$out/outer.raw"
}

check_file() { # DEVICE:PARTITION ADDRESS
	echo "load qcow2 $1 $2 data.bin; crc32 $2 \$filesize"
}
# U-Boot 2023.01 has no blkmap, and its EFI cannot remove block devices.
commands() { # INTERFACE ADDRESS ADDRESS-OF-THE-IMAGE
	cat <<-END
		qcow2 create $1 0:2 boot.q
		qcow2 create $1 0:1 vm.q
		ls qcow2 1:1
		$(check_file 1:1 "$2")
		$(check_file 1:2 "$2")
		qcow2 create $1 0:2 /z.q
		$(check_file 2:1 "$2")
		$(check_file 2:2 "$2")
		qcow2 create $1 0:3
		$(check_file 3:2 "$2")
		qcow2 create $1 0:1 over.q
		qcow2 create $1 0:1 absent.q
		qcow2 create $1 0:1
	END
	[ ! -f "$out/tree/include/blkmap.h" ] || cat <<-END
		load $1 0:1 $3 vm.q; setexpr n \$filesize + 1ff; setexpr n \$n / 200
		blkmap create image; blkmap map image 0 \$n mem $3; qcow2 create blkmap 0
		$(check_file 4:1 "$2")
		qcow2 destroy 4
		qcow2 destroy 1
		qcow2 destroy 1
	END
	echo 'echo end' # the status of the last command is that of the sandbox
}
expected() { # INTERFACE
	cat <<-END
		qcow2 0: the disk of $1 0:2 boot.q, 41943040 bytes
		qcow2 1: the disk of $1 0:1 vm.q, 67108864 bytes
		1350000   data.bin
		7   text.txt
		crc $crc
		crc $crc
		qcow2 2: the disk of $1 0:2 /z.q, 67108864 bytes
		crc $crc
		crc $crc
		qcow2 3: the disk of $1 0:3, 67108864 bytes
		crc $crc
		qcow2: needs its backing file (byte 0)
		qcow2: no such file
		qcow2: not a qcow2 image (byte 0)
	END
	[ ! -f "$out/tree/include/blkmap.h" ] ||
		printf '%s\n' 'qcow2 4: the disk of blkmap 0, 67108864 bytes' "crc $crc" 'qcow2: no device 1'
}
# In U-Boot 2023.01, EFI programs have no handle of the volume that they are loaded from.
boot() { # ADDRESS
	if [ ! -f "$out/tree/include/blkmap.h" ]; then
		echo poweroff
		return
	fi
	printf '%s\n' "load qcow2 0:1 $1 EFI/BOOT/BOOTAA64.EFI" "bootefi $1 \$fdtcontroladdr"
}
booted() {
	[ -f "$out/tree/include/blkmap.h" ] || return 0
	cat <<-'END'
		qcow2: \probe.q: a disk of 41943040 bytes in blocks of 512
		qcow2: starting \EFI\BOOT\BOOTAA64.EFI
	END
	python3 "$here/../firmware/uefi-crc.py" "$out/probe.q.raw" 512 | sed 's/^/probe: disk 0 /'
	echo 'probe: done'
}
# What U-Boot prints, without what it echoes and what differs between releases.
answers() { # LOG
	tr -d '\r' <"$1" | sed -E 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/^ +//; s/^crc32 for .*==> /crc /
		s/(in blocks of 512), with .*/\1/' |
		grep -E '^(qcow2 [0-9]+: |qcow2: (needs|no |not |cannot |.*a disk of|starting)|crc |[0-9]+   [a-z]+\.|probe: (disk 0 (crc|blocks)|done))'
}

run_sandbox() {
	(cd "$out/sandbox" && timeout 120 ./u-boot -d arch/sandbox/dts/sandbox.dtb \
		-c "host bind 0 $out/outer.raw"$'\n'"$(commands host 1000000 4000000)" </dev/null >"$out/sandbox.log" 2>&1) &&
		diff <(expected host) <(answers "$out/sandbox.log")
}
run_unit() {
	(cd "$out/sandbox" && timeout 120 ./u-boot -T -c 'ut dm dm_test_qcow2*' </dev/null >"$out/unit.log" 2>&1)
	[ "$(grep -cE '^Test: (dm_test_)?qcow2_(cmd|read|refuse): ' "$out/unit.log")" -eq 3 ] &&
		grep -qiE 'failures: 0' "$out/unit.log" && return
	tail -n 20 "$out/unit.log"
	return 1
}
run_qemu() {
	{ commands virtio 42000000 48000000 && boot 42000000; } | timeout 600 python3 -B "$here/uboot-type.py" \
		qemu-system-aarch64 -M virt,accel=tcg -cpu cortex-a57 -m 512 -nodefaults -display none -monitor none \
		-serial stdio -no-reboot -bios "$out/qemu/u-boot.bin" -device virtio-blk-pci,drive=disk \
		-drive if=none,id=disk,format=raw,snapshot=on,file="$out/outer.raw" >"$out/qemu.log" 2>&1 &&
		diff <(expected virtio && booted) <(answers "$out/qemu.log")
}

about="U-Boot $(make -s -C "$from" ubootversion)"
ok "the port is added" logged "$out/import.log" copy_tree
ok "disks" make_disks
ok "sandbox: built" logged "$out/sandbox-build.log" build sandbox sandbox_defconfig '' u-boot dtbs
[ ! -f "$out/tree/include/blkmap.h" ] || ok "sandbox: the unit test" run_unit
ok "sandbox: images on FAT, ext4 and a partition, and in memory" run_sandbox
ok "qemu_arm64: built" logged "$out/qemu-build.log" build qemu qemu_arm64_defconfig $cross u-boot.bin
ok "qemu_arm64: the same, and bootefi from inside an image, from U-Boot 2023.04 on" run_qemu
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
