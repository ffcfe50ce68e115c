#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Boots a whole Debian 12 from an image on a stick, up to multi-user.target of systemd, and turns it off: by
# initramfs-tools with changes in memory, and by dracut with systemd and with changes on the stick. Both boot
# it once more with a read-only root file system, prepared as the README of port/initramfs has it.
# This takes some minutes and 2 GB, so make check-all does without it. Needs root and mmdebstrap. The logs are
# in BUILD-DIR/systemd-test.
#	systemd.sh BUILD-DIR
set -u
build=${1:?usage: systemd.sh BUILD-DIR}
here=$(realpath "$(dirname "$0")")
work=$build/systemd-test
. "$here/ok.sh"

if ! bash "$here/systemd-images.sh" "$build" "$work" >"$build/systemd-make.log" 2>&1; then
	cat "$build/systemd-make.log"
	echo "the system cannot be made"
	echo "0 passed, 1 failed"
	exit 1
fi
cd "$work" || exit 1
options=$(cat options)

inside() { # PATTERN of a line, which may be behind a login prompt
	grep -aE "inside: $1\$" "$log"
}

# What the firmware, GRUB and the kernel print before systemd starts is about the machine that QEMU shows.
without_errors() {
	grep -q 'Welcome to Debian' "$log" &&
		! sed '1,/Welcome to Debian/d' "$log" | grep -aiE 'fail|error|warning|depend\]|shutting down sockets' &&
		! inside '(failed|error) .*'
}
boot() { # NAME QEMU-OPTION...
	local rc=0
	about=$1 log=$1.log
	shift
	timeout --foreground 1800 qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 1024 -nodefaults -display none \
		-no-reboot -serial stdio -drive if=none,id=d,format=raw,file=stick.raw -device virtio-blk-pci,drive=d \
		"$@" </dev/null >raw.log 2>&1 || rc=$?
	tr -d '\r' <raw.log | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' >"$log"
	ok 'all units run' inside 'state running'
	ok 'multi-user.target' inside 'target active'
	ok 'the same content' inside 'content ok'
	ok 'a login prompt' grep -q '^qcow2vm login:' "$log"
	ok 'no error' without_errors
	ok 'off' grep -q 'reboot: Power down' "$log"
	ok 'the machine ends by itself' test $rc -eq 0
}
# The file system below the overlay cannot be unmounted; its journal may have to be replayed.
sound_state() {
	dd if=stick.raw of=state.raw bs=1M skip=401 status=none && e2fsck -p state.raw
	test $? -le 1
}
root_is() { # PATTERN
	ok 'root file system' inside "root $1.*"
}

boot initramfs-tools -bios /usr/share/ovmf/OVMF.fd
root_is 'overlay / overlay rw,'
boot dracut -kernel vmlinuz -initrd dracut.img \
	-append "$options qcow2=LABEL=STICK:/disk.qcow2 qcow2.overlay=LABEL=STATE:/changes"
root_is 'overlay / overlay rw,'
ok 'the file system with the changes' sound_state
ok 'the changes' test 'written inside' = \
	"$(debugfs -R 'cat /changes/upper/var/lib/report' "stick.raw?offset=$((401 << 20))" 2>/dev/null)"
for name in initrd dracut; do
	boot "read-only, $name" -kernel vmlinuz -initrd $name.img \
		-append "$options qcow2=LABEL=STICK:/readonly.qcow2 qcow2.overlay=none systemd.volatile=state"
	root_is '/dev/nbd0p2 / ext4 ro,'
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
