#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job on a real image: what it is, where its data lies, and that its content is right.
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
	echo "demo: that is not the content of the image" >&2
	exit 1
fi
echo "The content is right."
