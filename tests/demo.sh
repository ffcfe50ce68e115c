#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the main commands on a real image: what it is, where its data is, and its checksum.
#	demo.sh QCOW2-COMMAND
set -eu
qcow2=$1
image=$(dirname "$0")/data/sample.qcow2

run() {
	echo "\$ $*"
	"$@"
	echo
}

run "$qcow2" info "$image"
run "$qcow2" map "$image"
echo "\$ $qcow2 cat $image | sha256sum"
sum=$("$qcow2" cat "$image" | sha256sum | cut -d' ' -f1)
echo "$sum"
if [ "$sum" != "$(cat "$(dirname "$0")/data/sample.sha256")" ]; then
	echo "demo: the checksum is wrong" >&2
	exit 1
fi
echo "The checksum is right."
