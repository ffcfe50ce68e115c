#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# A machine in QEMU saves its state (savevm). The command reads it from the image, and QEMU starts
# another machine with what it read: that is the only program that knows what belongs there.
#	run-vm-state.sh BUILD-DIR
set -u
build=${1:?usage: run-vm-state.sh BUILD-DIR}
here=$(dirname "$0")
dir=$build/firmware/vm-state
. "$here/ok.sh"
rm -rf "$dir" && mkdir -p "$dir" || exit 1

loads() { # IMAGE STATE
	timeout --foreground 1800 python3 "$here/vm-state.py" load "$1" "$2" >"$dir/load.log" 2>&1
}
saves() { # IMAGE
	timeout --foreground 1800 python3 "$here/vm-state.py" save "$1" >"$dir/save.log" 2>&1
}
refuses() { ! loads "$@"; }

for options in cluster_size=64k,compat=1.1 cluster_size=4k,compat=0.10 \
	cluster_size=64k,extended_l2=on; do
	about=$options
	image=$dir/disk$((passed + failed)).qcow2
	qemu-img create -q -f qcow2 -o "$options" "$image" 64M || exit 1
	ok "a machine saves its state" saves "$image"
	len=$("$build/qcow2" snapshots "$image" | awk '$NF == "saved" { print $5 }')
	"$build/qcow2" cat --snapshot saved --vm-state "$image" >"$image.state"
	"$build/qcow2" convert --snapshot saved --vm-state "$image" "$image.converted"
	ok "cat writes all of it" test "$(stat -c %s "$image.state")" = "$len"
	ok "convert writes the same" cmp -s "$image.state" "$image.converted"
	ok "it begins like QEMU's stream" test "$(head -c 4 "$image.state")" = QEVM
	ok "QEMU starts a machine with it" loads "$image" "$image.state"
	head -c $((len / 2)) "$image.state" >"$image.short"
done
ok "but not with a part of it" refuses "$image" "$image.short"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
