#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes a patch that adds the module to a GRUB tree, for `git am`.
#	patch.sh TREE OUT-DIR
# TREE is not changed, and need not be a git tree.
set -eu
tree=$(cd "${1:?usage: patch.sh TREE OUT-DIR}" && pwd)
mkdir -p "${2:?usage: patch.sh TREE OUT-DIR}"
out=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
list=grub-core/Makefile.core.def
name=$(git config user.name || echo unknown)
mail=$(git config user.email || echo unknown@localhost)
cd "$(dirname "$0")/../.."

in_work() {
	git -C "$work" -c user.name="$name" -c user.email="$mail" "$@"
}

mkdir -p "$work/grub-core"
cp "$tree/$list" "$work/$list"
in_work init -q
in_work add -A
in_work commit -q -m base

# The files of the core that build.sh names as well.
core='$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_FAST) $(QCOW2_CORE_DEFLATE_SMALL)'
core="$core \$(QCOW2_CORE_ZSTD_FAST) \$(QCOW2_CORE_ZSTD_SMALL) status.c"
core=$(printf 'include src/sources.mk\nall: ; @echo $(sort %s)\n' "$core" | make -s -f -)
to=$work/grub-core/disk/qcow2
mkdir -p "$to/src" "$to/include/qcow2"
cp port/grub/qcow2disk.c port/common/heap_reader.c port/common/heap_reader.h "$to"
for file in $core; do cp "src/$file" "$to/src"; done
cp src/internal.h src/load_store.h src/deflate.h src/zstd_*.h "$to/src"
for header in cipher codec image io reader status types; do
	cp "include/qcow2/$header.h" "$to/include/qcow2"
done

# Without -ffreestanding, the compiler's stdint.h includes that of a libc.
{
	printf '\nmodule = {\n  name = qcow2disk;\n'
	for file in qcow2disk.c heap_reader.c $(printf 'src/%s ' $core); do
		printf '  common = disk/qcow2/%s;\n' "$file"
	done
	printf "  cppflags = '-I\$(srcdir)/disk/qcow2/include -ffreestanding';\n};\n"
} >>"$work/$list"

in_work add -A
in_work commit -q -s -F - <<'END'
disk/qcow2: Add disks in qcow2 images

The command "qcow2 NAME FILE" makes a disk of the content of an image of
a virtual machine. Clusters may be compressed with deflate or zstd. Images
that need another file are refused, and nothing is ever written.
END
rm -f "$out"/0*.patch
in_work format-patch -q -o "$out" HEAD^
ls "$out"/0*.patch
