#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The UEFI programs in QEMU, under EDK2 for three processors and under U-Boot: a stick with a FAT,
# or another file system, holds the program, its configuration and qcow2 images; the boot loader
# inside an image is started from there. One line for each thing that must be seen on the serial
# line. Logs are in BUILD-DIR/uefi-test/log.
#	run-uefi.sh BUILD-DIR [NAME...]
set -u
build=${1:?usage: run-uefi.sh BUILD-DIR [NAME...]}
shift
here=$(dirname "$0")
work=$build/uefi-test
uefi=$build/uefi
passed=0
failed=0
export MTOOLS_SKIP_CHECK=1

make -s -C "$here/../.." O="$(realpath "$build")" uefi-tests >"$build/uefi-make.log" 2>&1 || {
	cat "$build/uefi-make.log"
	exit 1
}
if ! bash "$here/uefi-images.sh" "$uefi" "$work"; then
	echo "the images cannot be made"
	echo "0 passed, 1 failed"
	exit 1
fi
mkdir -p "$work/log"

# --- sticks: a disk with one partition that holds all images and the program

stick() { # NAME PROGRAM PATH-ON-STICK [CONFIG-LINE...]: FAT32 in a GPT
	local image=$work/$1.img program=$2 to=$3
	shift 3
	rm -f "$image"
	truncate -s 300M "$image"
	printf 'label: gpt\nstart=2048, type=U\n' | sfdisk -q "$image"
	mkfs.vfat -F 32 -s 1 --offset 2048 "$image" $((298 * 1024)) >/dev/null 2>&1
	mmd -i "$image@@1M" ::/EFI ::/EFI/BOOT
	mcopy -i "$image@@1M" -s "$work"/stick/* "$work"/broken ::/
	mcopy -i "$image@@1M" "$program" "::$to"
	if [ $# -gt 0 ]; then
		printf '%s\n' "$@" >"$image.cfg"
		mcopy -i "$image@@1M" -o "$image.cfg" ::/qcow2.cfg
	fi
}

# The images in many pieces, each file's clusters among those of others.
fragment() { # NAME: rewrites the images of a stick over the holes of deleted files
	local image=$work/$1.img@@1M i
	head -c 40K /dev/urandom >"$work/filler"
	mmd -i "$image" ::/fill
	for i in $(seq 120); do mcopy -i "$image" "$work/filler" "::/fill/$i"; done
	for i in $(seq 1 2 120); do mdel -i "$image" "::/fill/$i"; done
	mdel -i "$image" ::/probe.qcow2 ::/zero.qcow2
	# FSInfo: mtools looks for free clusters from here on.
	printf '\x02\x00\x00\x00' |
		dd of="$work/$1.img" bs=1 seek=$((1048576 + 512 + 492)) conv=notrunc status=none
	mcopy -i "$image" "$work/stick/probe.qcow2" "$work/stick/zero.qcow2" ::/
}

ext4_stick() { # NAME PROGRAM PATH-ON-STICK
	local image=$work/$1.img tree=$work/$1.tree
	rm -rf "$image" "$tree"
	mkdir -p "$tree/$(dirname "$3")"
	cp -r "$work"/stick/* "$tree/"
	cp "$2" "$tree$3"
	truncate -s 300M "$image"
	printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$image"
	mke2fs -q -t ext4 -O ^metadata_csum,^64bit -d "$tree" -E offset=1048576 "$image" 298M
}

# --- machines: all print to the serial line, which is their output

limit() { timeout --foreground -k 5 150 "$@" </dev/null; }
plain='-nodefaults -display none -monitor none -serial stdio -no-reboot'

x64() { # STICK DEVICE
	limit qemu-system-x86_64 -machine q35,accel=tcg -m 512 -vga none $plain \
		-bios /usr/share/ovmf/OVMF.fd -drive if=none,id=stick,format=raw,snapshot=on,file="$work/$1.img" $2
}
x64_usb() { x64 "$1" '-device qemu-xhci -device usb-storage,drive=stick'; }
x64_nvme() { x64 "$1" '-device nvme,drive=stick,serial=1,logical_block_size=512'; }
ia32() {
	limit qemu-system-x86_64 -machine q35,accel=tcg,smm=on -m 512 -vga none $plain \
		-global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1 \
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd \
		-drive if=pflash,unit=1,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF32_VARS_4M.fd \
		-drive if=none,id=stick,format=raw,snapshot=on,file="$work/$1.img" -device ide-hd,drive=stick
}
virt() { # FIRMWARE STICK
	limit qemu-system-aarch64 -M virt,accel=tcg -cpu cortex-a57 -m 512 $plain -bios "$1" \
		-drive if=none,id=stick,format=raw,snapshot=on,file="$work/$2.img" \
		-device virtio-blk-pci,drive=stick
}
aa64() { virt /usr/share/qemu-efi-aarch64/QEMU_EFI.fd "$1"; }
uboot() { virt /usr/lib/u-boot/qemu_arm64/u-boot.bin "$1"; }

plain_text() { sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g' | tr -d '\r'; }

# --- what must be seen

ok() { # DESCRIPTION COMMAND...
	local what=$1
	shift
	if "$@"; then
		echo "ok: $name: $what"
		passed=$((passed + 1))
	else
		echo "FAILED: $name: $what"
		failed=$((failed + 1))
	fi
}
seen() { grep -qF -- "$1" "$log"; }
line() { grep -qxF -- "$1" "$log"; }
unseen() { ! grep -qF -- "$1" "$log"; }

check_probe() {
	local text
	ok "its boot loader runs at the right priority" line 'probe: tpl 4'
	while read -r text; do
		ok "$text" line "$text"
	done <"$work/expect/probe"
	ok "all was read" line 'probe: done'
	ok "no error is shown" unseen 'qcow2: reading'
}
check_linux() {
	ok "the boot loader inside is started" seen 'qcow2: starting \EFI\BOOT\BOOTX64.EFI'
	# systemd-boot says that if it does not run at TPL_APPLICATION: fat.h has the reason.
	ok "the boot loader can wait for events" unseen 'Error waiting for events'
	ok "Linux is up" grep -q '^user space of Linux .* is up' "$log"
}
check_broken() {
	local file=/broken text
	while read -r file text; do
		ok "$file: $text" seen "qcow2: \\broken\\$file: $text"
	done <"$work/expect/broken"
	ok "the sound image is there" seen 'qcow2: \probe.qcow2: a disk of 41943040 bytes'
	ok "the damaged one fails where it is read" \
		seen 'qcow2: \broken\table.qcow2: invalid L1 or L2 table entry (at file offset'
	ok "the absent one is named" seen 'qcow2: \broken\absent.raw: no such file'
	ok "zstd is named" \
		seen 'qcow2: \broken\zstd.qcow2: no decoder for compressed cluster: it is zstd'
	ok "a loader is looked for" seen 'qcow2: starting \EFI\BOOT\BOOTX64.EFI'
	ok "the loader in the sound image runs" line 'probe: done'
}

check_no_image() {
	ok "the reason is said" seen 'qcow2: \broken\text.qcow2: not a qcow2 image (at file offset 0)'
	ok "the firmware goes on to its shell" line 'the shell goes on'
}

run_x64_linux() { x64_usb linux; }
run_x64() { x64_nvme x64; }
run_no_image() { x64_usb no_image; }
run_x64_broken() { x64_usb broken-stick; }
run_ia32() { ia32 ia32; }
run_aa64() { aa64 aa64; }
run_uboot() { uboot aa64; }
run_uboot_ext4() { uboot ext4; }
check_x64() { check_probe; }
check_x64_linux() { check_linux; }
check_x64_broken() { check_broken; }
check_ia32() { check_probe; }
check_aa64() { check_probe; }
check_uboot() { check_probe; }
check_uboot_ext4() { check_probe; }
run_shell() { limit python3 "$here/uefi-shell.py" "$work/shell.img"; }
check_shell() {
	local text
	while read -r text; do ok "${text#* }" test "${text%% *}" = ok; done \
		< <(grep -aE '^(ok|FAILED) ' "$log")
}

stick linux "$uefi/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI '\linux.qcow2'
stick x64 "$uefi/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI
fragment x64
stick ia32 "$uefi/qcow2ia32.efi" /EFI/BOOT/BOOTIA32.EFI
stick aa64 "$uefi/qcow2aa64.efi" /EFI/BOOT/BOOTAA64.EFI
ext4_stick ext4 "$uefi/qcow2aa64.efi" /efi/boot/bootaa64.efi
stick broken-stick "$uefi/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI '# all that is broken' \
	$(cd "$work/broken" && printf 'broken/%s\n' *.qcow2) probe.qcow2
stick no_image "$uefi/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI 'broken/text.qcow2'
printf 'echo the shell goes on\r\nreset -s\r\n' >"$work/startup.nsh"
mcopy -i "$work/no_image.img@@1M" "$work/startup.nsh" ::/
stick shell "$uefi/qcow2drvx64.efi" /qcow2drvx64.efi '\probe.qcow2'
mcopy -i "$work/shell.img@@1M" "$uefi/qcow2x64.efi" ::/
cat >"$work/expect/broken" <<'END'
short.qcow2 image is truncated (at file offset
l1.qcow2 image is truncated (at file offset
feature.qcow2 unknown incompatible feature: bits 0x8000000000000000 (at file offset 72)
text.qcow2 not a qcow2 image
absolute.qcow2 names a file that is not followed: /etc/shadow
escape.qcow2 names a file that is not followed: ../../up.raw
protocol.qcow2 names a file that is not followed: nbd://host/x
loop.qcow2 more than 16 files on top of each other, or a loop
END

[ $# -gt 0 ] || set -- x64_linux x64 aa64 ia32 uboot no_image uboot_ext4 x64_broken shell
while [ $# -gt 0 ]; do # two at a time
	for name in "$1" ${2:-}; do
		(
			run_"$name" 2>&1 | plain_text >"$work/log/$name"
			echo "${PIPESTATUS[0]}" >"$work/log/$name.status"
		) &
	done
	wait
	for name in "$1" ${2:-}; do
		log=$work/log/$name
		check_"$name"
		# All machines are switched off from inside: one that had to be stopped hangs.
		ok "it ends" grep -qx 0 "$log.status"
	done
	shift $(($# > 1 ? 2 : 1))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
