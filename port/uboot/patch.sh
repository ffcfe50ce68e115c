#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes a series of patches that adds the port to a U-Boot tree, for `git am`.
#	patch.sh TREE OUT-DIR
# TREE is not changed. It need not be a git tree: the patches are made in a repository that has only
# the files of it that they change.
set -eu
tree=${1:?usage: patch.sh TREE OUT-DIR}
out=${2:?usage: patch.sh TREE OUT-DIR}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for file in $(sh "$here/import.sh" files) include/blkmap.h; do
	[ -f "$tree/$file" ] || continue
	mkdir -p "$work/$(dirname "$file")"
	cp "$tree/$file" "$work/$file"
done

# The author is whoever runs this, by git's own configuration; a patch needs a sign-off.
in_work() {
	git -C "$work" -c user.name="$(git config user.name || echo unknown)" \
		-c user.email="$(git config user.email || echo unknown@localhost)" "$@"
}

step() { # NAME SUBJECT; the text is standard input
	[ "$1" = base ] || sh "$here/import.sh" "$work" "$1"
	in_work add -A
	in_work diff --cached --quiet || { printf '%s\n\n' "$2" && cat; } | in_work commit -q -s -F -
}

in_work init -q
step base base </dev/null
step lib 'lib: Add a reader for qcow2 images' <<'END'
Images of virtual machines are a common way to distribute a system. This
adds a reader for their format, qcow2, with decoders for deflate and zstd.
It allocates nothing, does not recurse, and reads through one callback, so
it is also of use in SPL.

The files are those of the qcow2 project, and are kept in its style.
END
step block 'blk: Add disks in qcow2 images' <<'END'
Create a read-only block device for the disk in a qcow2 image. The image
fills a block device or a partition, or is a file on FAT or ext4. The
blocks of a file are looked up once, because file systems cannot be used
again while they read from a disk inside the image.
END
step command 'cmd: Add the qcow2 command' <<'END'
The command creates and removes block devices for the disks in qcow2
images, and describes itself in doc/usage.
END
step unit 'test: dm: Test disks in qcow2 images' <<'END'
Read a disk from an image in memory, with stored, compressed and absent
clusters. Refuse images that are none, or that need another file.
END
mkdir -p "$out"
rm -f "$out"/0*.patch
in_work format-patch -q -o "$(cd "$out" && pwd)" "$(in_work rev-list --max-parents=0 HEAD)"
ls "$out"/0*.patch
