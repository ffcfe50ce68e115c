#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Boots a system whose root file system is in a qcow2 image on a stick. In two boots, the UEFI program
# starts the boot loader inside the image, systemd-boot or GRUB, which starts Debian's kernel; in the third, QEMU
# starts the kernel. The initrd has the files of port/initramfs, by initramfs-tools or by dracut. Each boot makes
# several checks inside.
#	run-attach.sh BUILD-DIR
set -u
build=${1:?usage: run-attach.sh BUILD-DIR}
here=$(dirname "$0")
work=$build/attach-test
. "$here/ok.sh"

if ! bash "$here/attach-images.sh" "$build" "$work" >"$build/attach-make.log" 2>&1; then
	cat "$build/attach-make.log"
	echo "the images cannot be made"
	echo "0 passed, 1 failed"
	exit 1
fi

# Boots from a stick, and prints what the system inside says. Changes to the stick are lost unless
# KEEP=yes. The kernel would not find its timer if the machine that runs QEMU is busy: no_timer_check.
boot() { # NAME STICK QEMU-OPTION...
	local name=$1 stick=$2 snapshot=on
	shift 2
	[ -z "${KEEP-}" ] || snapshot=off
	about=$name
	log=$work/$name.log
	timeout --foreground 900 qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 512 -nodefaults \
		-display none -no-reboot -serial stdio \
		-drive "if=none,id=d,format=raw,file=$work/$stick,snapshot=$snapshot" -device virtio-blk-pci,drive=d \
		"$@" </dev/null >"$log" 2>&1
	tr -d '\r' <"$log" | grep '^inside: ' >"$log.inside"
	ok "boots" grep -qx 'inside: end' "$log.inside"
	ok 'the same content' grep -qx "inside: content $(cat "$work/big.sum")" "$log.inside"
	ok 'nothing failed' without_failure
}
# What the UEFI program says, up to the last line with "starting", does not count.
without_failure() {
	! tac "$log" | sed '/^qcow2: starting /,$d' | grep -E 'FAILED|panic|^qcow2: ' &&
		! grep -vE ' ok$|^inside: (end|content)' "$log.inside"
}
inside() { # CHECK...: these were made, with success
	local name
	for name in "$@"; do
		ok "$name" grep -qx "inside: $name ok" "$log.inside"
	done
}

# What the words of the command line and the EFI variable mean. The variable begins with 4 bytes of
# attributes.
configured() { # COMMAND-LINE VARIABLE: prints what boot.sh makes of them
	rm -rf "$work/efi" && mkdir -p "$work/efi/efivars"
	printf '%s\n' "$1" >"$work/cmdline"
	[ -z "$2" ] || printf "\\006\\000\\000\\000$2" >"$work/efi/efivars/$variable"
	QCOW2_CMDLINE=$work/cmdline dash -euc '. "$1/port/initramfs/boot.sh"
		QCOW2_EFI=$2 QCOW2_RUN=$3
		if qcow2_configure; then echo "$qcow2_image|$qcow2_backing|$qcow2_data|$qcow2_overlay"; fi' \
		sh "$here/../.." "$work/efi/efivars" "$work/run" 2>&1
}
variable=Qcow2Boot-6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d
means() { # TEXT COMMAND-LINE [VARIABLE]
	test "$(configured "$2" "${3-}")" = "$1"
}
known='version=1\npartuuid=0a-0b\npath=/my images/a.qcow2\nother=1\n'
ok 'no word, no variable' means '' 'quiet root=LABEL=x'
ok 'a word' means 'AB-CD:/a/b||/d|none' 'quiet qcow2=AB-CD:/a/b * qcow2.overlay=none qcow2.data=/d'
ok 'several backing files' means $'X:/a|/b\n/c,raw\n||tmpfs' 'qcow2=X:/a qcow2.backing=/b qcow2.backing=/c,raw'
ok 'a word without a path' means "qcow2: cannot read 'qcow2=a'; expected FSUUID:/path/of/image.qcow2" 'qcow2=a'
ok 'the variable' means 'PARTUUID=0a-0b:/my images/a.qcow2||/d|tmpfs' 'quiet' "$known"'data=/d\n'
ok 'its backing files' means $'PARTUUID=0a-0b:/my images/a.qcow2|/b c\n/d\n||tmpfs' '' "$known"'backing=/b c\nbacking=/d\n'
ok 'a stick without partitions' means 'UUID=AB-CD:/a|||tmpfs' '' 'version=1\nfsuuid=AB-CD\npath=/a\n'
ok 'the partition comes first' means 'PARTUUID=0a-0b:/my images/a.qcow2|||tmpfs' '' "$known"'fsuuid=AB-CD\n'
ok 'a variable without a file system' means "qcow2: the EFI variable $variable has another version; use qcow2= instead" \
	'' 'version=1\npath=/a\n'
ok 'a path with the word version=' means 'PARTUUID=0a:/version=2.qcow2||/d|tmpfs' '' \
	'version=1\npartuuid=0a\npath=/version=2.qcow2\ndata=/d\n'
ok 'the word comes first' means 'X:/a|||tmpfs' 'qcow2=X:/a' "$known"
ok 'another version' means "qcow2: the EFI variable $variable has another version; use qcow2= instead" '' \
	'version=2\npartuuid=0a\npath=/a\n'
ok 'shellcheck' shellcheck -x "$here"/../../port/initramfs/{boot.sh,hooks/qcow2,scripts/*/qcow2,dracut/*.sh}

firmware() { # NAME STICK: from power-on; no option of the kernel names the image
	boot "$1" "$2" -bios /usr/share/ovmf/OVMF.fd
	ok 'the loader inside' grep -q '^qcow2: starting .EFI.BOOT.BOOTX64.EFI' "$log"
}

# systemd-boot and zlib. The lines of README.md made the stick, which has no partitions.
firmware newcomer newcomer/stick
inside overlay 'no mount of the early boot' writable 'name of the server' 'locked memory' \
	'never ended for its memory' 'a device in use stays' 'pid file' 'nothing attached' 'damaged image' 'only once' \
	'partition is no device' 'partition of a whole disk' size 'damaged part' \
	'all but the damaged part' 'no writes' detach 'the server is gone' 'no partition is left' 'attach again'

# GRUB in an overlay, over a zstd image. Changes go to another partition of the stick.
firmware grub chain.raw
inside overlay 'no mount of the early boot' writable 'name of the server' 'pid file'
ok 'GRUB writes to memory' grep -q 'GRUB: starts=1' "$log"

# dracut, by options. The changes go to the file system that also has the images.
KEEP=yes boot dracut chain.raw -kernel "$work/vmlinuz" -initrd "$work/dracut.img" -append "console=ttyS0 quiet \
panic=-1 no_timer_check root=UUID=11111111-2222-3333-4444-555555555555 qcow2=LABEL=STATE:/images/over.qcow2 \
qcow2.backing=/base/zstd.qcow2 qcow2.overlay=LABEL=STATE:/state -- content overlay storage journal"
inside overlay writable 'pid file' 'journal of the stick'
ok 'the overlay is on the stick' test 'written inside' = \
	"$(debugfs -R 'cat /state/upper/written' "$work/chain.raw?offset=$((101 << 20))" 2>/dev/null)"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
