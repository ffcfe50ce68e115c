#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the UEFI programs in QEMU, under EDK2 for three processors and under U-Boot. A stick with FAT
# or another file system holds the program, its configuration and qcow2 images, and the program
# starts the boot loader inside an image. Each check looks for a text on the serial line, and prints
# whether it is there. Logs are in BUILD-DIR/uefi-test/log.
#	run-uefi.sh BUILD-DIR [NAME...]
# $PROGRAMS may be a folder with another build of the programs.
set -u
build=${1:?usage: run-uefi.sh BUILD-DIR [NAME...]}
shift
here=$(dirname "$0")
work=$build/uefi-test
uefi=$build/uefi
programs=${PROGRAMS:-$uefi}
. "$here/ok.sh"
export MTOOLS_SKIP_CHECK=1

if ! make -s -C "$here/../.." O="$(realpath "$build")" uefi-images >"$build/uefi-make.log" 2>&1; then
	cat "$build/uefi-make.log"
	echo "the programs or the images cannot be made"
	echo "0 passed, 1 failed"
	exit 1
fi
rm -rf "$work/log" # no check may see what an earlier run has printed
mkdir -p "$work/log"

# --- sticks: disks with one partition, which holds the images and the program

fat_stick() { # NAME MIB PROGRAM PATH-ON-STICK FILE...: FAT32 in a GPT
	local image=$work/$1.img mib=$2 program=$3 to=$4
	shift 4
	rm -f "$image"
	truncate -s "${mib}M" "$image"
	printf 'label: gpt\nstart=2048, type=U\n' | sfdisk -q "$image"
	mkfs.vfat -F 32 -s 1 --offset 2048 "$image" $(((mib - 2) * 1024)) >/dev/null 2>&1
	mmd -i "$image@@1M" ::/EFI ::/EFI/BOOT
	mcopy -i "$image@@1M" -s "$@" ::/
	mcopy -i "$image@@1M" "$program" "::$to"
}
text_file() { # STICK PATH-ON-STICK LINE...
	local stick=$work/$1.img to=$2
	shift 2
	printf '%s\r\n' "$@" >"$stick.text"
	mcopy -i "$stick@@1M" -o "$stick.text" "::$to"
}
stick() { # NAME PROGRAM PATH-ON-STICK [CONFIG-LINE...]: a FAT stick with all images
	local name=$1
	fat_stick "$name" 300 "$2" "$3" "$work"/stick/* "$work/broken"
	shift 3
	[ $# -eq 0 ] || text_file "$name" /qcow2.cfg "$@"
}
damaged_stick() { # NAME PROGRAM PATH-ON-STICK IMAGE: the only image, a damaged one
	fat_stick "$1" 64 "$2" "$3" "$work/broken/$4"
	text_file "$1" /qcow2.cfg "\\$4"
	text_file "$1" /startup.nsh "echo the shell goes on" "reset -s"
}

# Fragments two images of a stick: writes them again into the holes that deleted files leave.
fragment() { # NAME
	local image=$work/$1.img@@1M i
	head -c 40K /dev/urandom >"$work/filler"
	mmd -i "$image" ::/fill
	for i in $(seq 120); do mcopy -i "$image" "$work/filler" "::/fill/$i"; done
	for i in $(seq 1 2 120); do mdel -i "$image" "::/fill/$i"; done
	mdel -i "$image" ::/probe.qcow2 ::/zero.qcow2
	# FSInfo says where mtools searches for free clusters. Make it start at the front.
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

# --- machines: their output is the serial line

limit() { timeout --foreground -k 5 3600 "$@" </dev/null; }
plain='-nodefaults -display none -monitor none -serial stdio -no-reboot'

x64() { # STICK DEVICE
	limit qemu-system-x86_64 -machine q35,accel=tcg -m 512 -vga none $plain \
		-bios /usr/share/ovmf/OVMF.fd -drive if=none,id=stick,format=raw,snapshot=on,file="$work/$1.img" $2
}
# The same, with a count of the instructions. A clock that counts instructions makes waits equal.
x64_counted() { x64 "$1" "-device qemu-xhci -device usb-storage,drive=stick -icount shift=4,sleep=off -plugin $work/count.so"; }
x64_usb() { x64 "$1" '-device qemu-xhci -device usb-storage,drive=stick'; }
x64_nvme() { x64 "$1" '-device nvme,drive=stick,serial=1,logical_block_size=512'; }
x64_tpm() { # STICK; the socket needs a short path
	local tpm rc=0
	tpm=$(mktemp -d)
	timeout 3600 swtpm socket --tpm2 --tpmstate dir="$tpm" --ctrl type=unixio,path="$tpm/socket" --terminate &
	x64 "$1" "-device ide-hd,drive=stick -device tpm-tis,tpmdev=tpm
		-tpmdev emulator,id=tpm,chardev=tpm -chardev socket,id=tpm,path=$tpm/socket" || rc=$?
	kill $! 2>/dev/null # if QEMU did not start; otherwise it has ended
	wait $!
	rm -rf "$tpm"
	return $rc
}
ia32() {
	limit qemu-system-x86_64 -machine q35,accel=tcg,smm=on -m 512 -vga none $plain \
		-global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1 \
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd \
		-drive if=pflash,unit=1,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF32_VARS_4M.fd \
		-drive if=none,id=stick,format=raw,snapshot=on,file="$work/$1.img" -device ide-hd,drive=stick
}
# Three disks, in the order of their boot: the unsigned program; the signed one, with an unsigned boot
# loader in the image; and shim, which starts the signed program, with a signed loader in the image.
secure() {
	local name i=0 disks=()
	for name in secure-unsigned secure-loader secure-shim; do
		i=$((i + 1))
		disks+=(-drive if=none,id=$name,format=raw,snapshot=on,file="$work/$name.img"
			-device ide-hd,bus=ide.$i,drive=$name,bootindex=$i)
	done
	limit qemu-system-x86_64 -machine q35,accel=tcg,smm=on -m 512 -vga none $plain \
		-global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1 \
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd \
		-drive if=pflash,unit=1,format=raw,snapshot=on,file="$work/secure/vars.fd" "${disks[@]}"
}
virt() { # FIRMWARE STICK [COMMAND...]: the command runs QEMU
	local firmware=$1 stick=$2
	shift 2
	limit "$@" qemu-system-aarch64 -M virt,accel=tcg -cpu cortex-a57 -m 512 $plain -bios "$firmware" \
		-drive if=none,id=stick,format=raw,snapshot=on,file="$work/$stick.img" \
		-device virtio-blk-pci,drive=stick
}
aa64() { virt /usr/share/qemu-efi-aarch64/QEMU_EFI.fd "$1"; }
uboot() { virt /usr/lib/u-boot/qemu_arm64/u-boot.bin "$@"; }
uboot_prompt() { uboot "$1" python3 -B "$here/uboot-prompt.py"; }

plain_text() { sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g' | tr -d '\r'; }

# --- checks of the output

seen() { grep -qF -- "$1" "$log"; }
line() { grep -qxF -- "$1" "$log"; }
unseen() { ! grep -qF -- "$1" "$log"; }

# The variable of the program names the partition of the stick, its file system, and the image.
check_variable() { # READER STICK PATH
	local part fs
	part=$(sfdisk --part-uuid "$work/$2.img" 1 2>/dev/null | tr A-Z a-z)
	fs=$(blkid -p -O 1048576 -s UUID -o value "$work/$2.img")
	if [ -z "$part" ]; then
		part=$(sfdisk --disk-id "$work/$2.img")-01
		part=${part#0x} fs=
	fi
	ok "$1 reads the partition of the stick: $part" line "$1: variable partuuid=$part"
	[ -z "$fs" ] || ok "$1 reads the file system of the stick: $fs" line "$1: variable fsuuid=$fs"
	ok "$1 reads the path of the image: $3" line "$1: variable path=$3"
}
check_probe() { # STICK [KIB-OF-THE-VOLUME]
	local what text
	ok "its boot loader runs at the right priority" line 'probe: tpl 4'
	while IFS='|' read -r what text; do
		ok "$what: $text" line "$text"
	done <"$work/expect/probe"
	check_memory "${2:-1024}"
	check_variable probe "$1" /probe.qcow2
	ok "the variable is not kept in the flash" line 'probe: variable attributes 6'
	ok "the loader has read all disks" line 'probe: done'
	ok "the program prints no read error" unseen 'qcow2: reading'
}
# Compares the memory that the programs report with the limits in port/uefi/uefi.h, in KiB: for the
# volume, each file, each disk, and during opening. The 9 disks have 13 files.
check_memory() { # KIB-OF-THE-VOLUME
	local volume=$1 file=516 disk=8397 opening=600 now most all
	ok "the program reports the memory of each disk" test "$(grep -c 'with [0-9]* KiB of memory$' "$log")" -eq 9
	ok "no disk takes more than $disk KiB, and $file for each of at most 3 files" \
		awk -v most=$((disk + 3 * file)) '/KiB of memory$/ && $(NF - 3) > most { exit 1 }' "$log"
	read -r now most < <(sed -nE 's/^qcow2: memory: ([0-9]+) KiB in use, at most ([0-9]+) KiB.*/\1 \2/p' "$log")
	ok "memory for all: $now KiB" test "$now" -le $((volume + 13 * file + 9 * disk))
	ok "memory during opening: $most KiB" test "$most" -le $((now + opening))
	# The memory of each disk is rounded up, so the sum may exceed the total.
	all=$((volume + $(sed -nE 's/.*with ([0-9]+) KiB of memory$/\1/p' "$log" | paste -sd+) - now))
	ok "the volume and the disks make up the total" test $all -ge 0 -a $all -le 9
}
check_linux() {
	ok "the boot loader inside starts" seen 'qcow2: starting \EFI\BOOT\BOOTX64.EFI'
	# systemd-boot prints this error if it does not run at TPL_APPLICATION; see fat.h.
	ok "the boot loader can wait for events" unseen 'Error waiting for events'
	ok "Linux starts" grep -q '^user space of Linux .* is up' "$log"
}
check_broken() {
	local file=/broken text
	while read -r file text; do
		ok "$file: $text" seen "qcow2: \\broken\\$file: $text"
	done <"$work/expect/broken"
	ok "the intact image is published" seen 'qcow2: \probe.qcow2: a disk of 41943040 bytes'
	while read -r file text; do
		ok "$file, when it is read: $text" line "qcow2: \\broken\\$file: $text"
	done <"$work/expect/damaged"
	ok "the absent one is named" seen 'qcow2: \broken\absent.raw: no such file'
	ok "the loader starts" seen 'qcow2: starting \EFI\BOOT\BOOTX64.EFI'
	ok "the loader in the intact image runs" line 'probe: done'
}

check_no_image() {
	ok "without a TPM, nothing is measured and the image is refused" \
		line 'qcow2: \probe.qcow2: cannot be measured: this firmware has no TPM 2.0; remove measure='
	ok "the program prints the reason" seen 'qcow2: \broken\text.qcow2: not a qcow2 image (at file offset 0)'
	ok "the firmware goes on to its shell" line 'the shell goes on'
}

# The only image opens, but its first block cannot be read.
check_damaged() { # FILE
	local text
	text=$(sed -n "s/^$1 //p" "$work/expect/damaged")
	ok "the disk is published" seen "qcow2: \\$1: a disk of 41943040 bytes"
	# Only the first of the reads that need the damaged part is printed; the firmware chooses it.
	ok "the position on the disk" grep -qxE 'qcow2: reading at disk offset [0-9]+ failed:' "$log"
	ok "the file, the problem and its position: $text" line "qcow2: \\$1: $text"
	ok "no boot loader is found" grep -q '^qcow2: no .EFI.BOOT.BOOT.*\.EFI in any partition of the images' "$log"
	ok "all memory is freed" line 'qcow2: the disks are removed; memory: 0 KiB in use'
	ok "the firmware goes on to its shell" line 'the shell goes on'
}

# Runs the commands of port/uefi/README.md word for word, except for the first one: make has run.
readme() {
	rm -rf "$work/readme" && mkdir -p "$work/readme"
	ln -s "$(realpath "$build")" "$work/readme/build"
	awk '/^## Try it in QEMU/ { on = 1 } on && /^```$/ { exit } on == 2 { print } on && /^```sh$/ { on = 2 }' \
		"$here/../../port/uefi/README.md" | sed 1d >"$work/readme/commands"
	(cd "$work/readme" && limit bash -e commands)
}
check_readme() {
	local said
	check_linux
	# The lines that the README shows, with their numbers. Debian changes those of the kernel.
	while read -r said; do
		case $said in
		qcow2:*) ok "the README shows: $said" line "$said" ;;
		*) ok "the README shows: $said" \
			grep -qxF -- "$(sed 's/[0-9][0-9]*/N/g' <<<"$said")" <(sed 's/[0-9][0-9]*/N/g' "$log") ;;
		esac
	done < <(sed -n '/^After a few seconds/,/^## /s/^    \(qcow2: .*\|user space .*\)/\1/p' \
		"$here/../../port/uefi/README.md")
}

run_readme() { readme; }
run_x64_linux() { x64_counted linux; }
run_x64_raw() { x64_counted linux-raw; }
run_x64() { x64_nvme x64; }
run_no_image() { x64_usb no_image; }
run_x64_broken() { x64_usb broken-stick; }
run_ia32() { ia32 ia32; }
run_aa64() { aa64 aa64; }
run_uboot() { uboot aa64; }
run_uboot_ext4() { uboot ext4; }
check_x64() { check_probe x64; }
check_x64_linux() {
	check_linux
	check_variable Linux linux /linux.qcow2
}
check_x64_broken() { check_broken; }
check_ia32() { check_probe ia32; }
check_aa64() { check_probe aa64; }
check_uboot() { check_probe aa64; }
check_uboot_ext4() { check_probe ext4 0; } # read through the driver: no cache for the volume
# The disk of x64_linux as a raw disk, without our program. What the firmware does while it waits for the
# stick differs by 1 % from run to run, so if there are too many instructions, up to four more runs are made with the
# image, and the least counts.
check_x64_raw() {
	local raw image again runs=1
	raw=$(sed -n 's/^instructions: //p' "$log")
	image=$(sed -n 's/^instructions: //p' "$work/log/x64_linux")
	ok "Linux starts from the raw disk" grep -q '^user space of Linux .* is up' "$log"
	while [ $runs -lt 5 ] && [ "$((${image:-0} * 100))" -gt "$((${raw:-0} * 115))" ]; do
		again=$(x64_counted linux 2>&1 | plain_text | sed -n 's/^instructions: //p')
		[ "${again:-$image}" -ge "$image" ] || image=$again
		runs=$((runs + 1))
	done
	ok "from power-on to the end, $image instructions with the image, $raw with the raw disk: at most 1.15 times" \
		test "${image:-0}" -gt 0 -a "$((${image:-0} * 100))" -le "$((${raw:-0} * 115))"
}
run_secure() { secure; }
check_secure() {
	local start='qcow2: starting \EFI\BOOT\BOOTX64.EFI'
	ok "the firmware refuses the unsigned program" \
		grep -q '^BdsDxe: failed to load Boot.*Access Denied' "$log"
	ok "the signed program starts" seen 'qcow2: \probe.qcow2: a disk of 41943040 bytes'
	ok "it does not start the unsigned loader in the image" \
		line 'qcow2: cannot load \EFI\BOOT\BOOTX64.EFI: access denied'
	ok "shim starts the signed program" seen 'qcow2: \signed.qcow2: a disk of 41943040 bytes'
	ok "which starts the signed loader, and no other" test "$(grep -cxF "$start" "$log")" -eq 1
	ok "the signed loader runs" line 'probe: done'
	ok "the section .sbat: its version, and a line of the program" test "$(sbat)" = \
		"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md libqcow2,1,"
	ok "two builds make the same file" rebuilt
}
sbat() { # both lines in one
	objcopy -O binary --only-section=.sbat "$programs/qcow2x64.efi" "$work/sbat" &&
		tr -d '\0' <"$work/sbat" | sed -E '2s/^(libqcow2,1,).*/\1/' | paste -sd' '
}
# A build in another directory, at another time.
rebuilt() {
	rm -rf "$work/again" && sleep 1 && make -s -C "$here/../.." O="$(realpath "$work")/again" \
		"$(realpath "$work")/again/uefi/qcow2x64.efi" >/dev/null &&
		cmp "$uefi/qcow2x64.efi" "$work/again/uefi/qcow2x64.efi"
}
run_measured() { x64_tpm measured-first; }
run_measured_second() { x64_tpm measured-second; }
check_measured() { # [NAME]
	local pcr
	pcr=$(cat "$work/expect/measured-${1:-first}")
	ok "all disks are published" test "$(grep -c 'with [0-9]* KiB of memory$' "$log")" -eq 4
	ok "the TPM has the value that pcr.sh computes: $pcr" line "probe: pcr 9 $pcr"
	ok "it ends in the boot loader" line 'probe: done'
}
check_measured_second() {
	check_measured second
	ok "one byte changes the value" test "$(cat "$work/expect/measured-first")" != "$(cat "$work/expect/measured-second")"
}
run_l1() { x64_usb l1; }
run_l2() { x64_nvme l2; }
run_aa64_l2() { aa64 aa64_l2; }
run_uboot_l2() { uboot_prompt aa64_l2; }
run_uboot_data() { uboot_prompt aa64_data; }
check_l1() { check_damaged l1-entry.qcow2; }
check_l2() { check_damaged l2-entry.qcow2; }
check_aa64_l2() { check_damaged l2-entry.qcow2; }
check_uboot_l2() { check_damaged l2-entry.qcow2; }
check_uboot_data() { check_damaged data.qcow2; }
run_shell() { limit python3 -B "$here/uefi-shell.py" "$work/shell.img"; }
check_shell() {
	local text
	while read -r text; do ok "${text#* }" test "${text%% *}" = ok; done \
		< <(grep -aE '^(ok|FAILED) ' "$log")
}

stick linux "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI '\linux.qcow2'
ln -sf raw/linux.raw "$work/linux-raw.img"
gcc -std=c11 -O2 -shared -fPIC "$here/qemu-count.c" -o "$work/count.so" || exit 1
stick x64 "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI
fragment x64
stick ia32 "$programs/qcow2ia32.efi" /EFI/BOOT/BOOTIA32.EFI
stick aa64 "$programs/qcow2aa64.efi" /EFI/BOOT/BOOTAA64.EFI
ext4_stick ext4 "$programs/qcow2aa64.efi" /efi/boot/bootaa64.efi
stick broken-stick "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI '# all broken images' \
	$(cd "$work/broken" && printf 'broken/%s\n' *.qcow2) probe.qcow2
stick no_image "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI 'broken/text.qcow2' \
	'\probe.qcow2 measure=yes'
text_file no_image /startup.nsh 'echo the shell goes on' 'reset -s'
damaged_stick l1 "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI l1-entry.qcow2
damaged_stick l2 "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI l2-entry.qcow2
damaged_stick aa64_l2 "$programs/qcow2aa64.efi" /EFI/BOOT/BOOTAA64.EFI l2-entry.qcow2
damaged_stick aa64_data "$programs/qcow2aa64.efi" /EFI/BOOT/BOOTAA64.EFI data.qcow2
stick shell "$programs/qcow2drvx64.efi" /qcow2drvx64.efi '\probe.qcow2 overlay=memory'
mcopy -i "$work/shell.img@@1M" "$programs/qcow2x64.efi" ::/
sbsign --key "$work/secure/key" --cert "$work/secure/cert" --output "$work/secure/qcow2x64.efi" \
	"$programs/qcow2x64.efi" 2>/dev/null
fat_stick secure-unsigned 64 "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI "$work/stick/probe.qcow2"
fat_stick secure-loader 64 "$work/secure/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI "$work/stick/probe.qcow2"
text_file secure-loader /qcow2.cfg '\probe.qcow2'
fat_stick secure-shim 64 "$work/secure/shimx64.efi" /EFI/BOOT/BOOTX64.EFI "$work/secure/signed.qcow2"
mcopy -i "$work/secure-shim.img@@1M" "$work/secure/qcow2x64.efi" ::/EFI/BOOT/grubx64.efi
text_file secure-shim /qcow2.cfg '\signed.qcow2'
for name in first second; do
	fat_stick measured-$name 64 "$programs/qcow2x64.efi" /EFI/BOOT/BOOTX64.EFI "$work/measured/$name"/*
done
cat >"$work/expect/broken" <<'END'
short.qcow2 image is truncated (at file offset
l1.qcow2 image is truncated (at file offset
feature.qcow2 unknown incompatible feature: bits 0x8000000000000000 (at file offset 72)
text.qcow2 not a qcow2 image
absolute.qcow2 not following /etc/shadow: only relative paths
escape.qcow2 not following ../../up.raw: only relative paths
protocol.qcow2 not following nbd://host/x: only relative paths
loop.qcow2 more than 16 files in the backing chain, or a loop
END

[ $# -gt 0 ] || set -- x64_linux x64_raw readme x64 secure aa64 ia32 uboot no_image uboot_ext4 x64_broken shell \
	measured measured_second l1 l2 aa64_l2 uboot_l2 uboot_data
while [ $# -gt 0 ]; do # two at a time
	for name in "$1" ${2:-}; do
		(
			run_"$name" 2>&1 | plain_text >"$work/log/$name"
			echo "${PIPESTATUS[0]}" >"$work/log/$name.status"
		) &
	done
	wait
	for name in "$1" ${2:-}; do
		log=$work/log/$name about=$name
		check_"$name"
		# Each machine switches itself off. Any status but 0 means that it hung.
		ok "it ends" grep -qx 0 "$log.status"
	done
	shift $(($# > 1 ? 2 : 1))
done
# The sizes of the programs: file, and memory when loaded.
printf '%-20s %12s %12s\n' program 'file, bytes' 'loaded, bytes'
for program in "$uefi"/qcow2*.efi; do
	printf '%-20s %12d %12d\n' "${program##*/}" "$(stat -c %s "$program")" \
		"$(llvm-size-14 "$program" | awk 'NR == 2 { print $4 }')"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
