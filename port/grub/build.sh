#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds qcow2disk.mod for a GRUB that is installed already, from the headers of its source.
#	build.sh TREE PLATFORM OUT-DIR
# TREE is the source of the same version, not configured, and is not changed. PLATFORM is i386-pc or
# x86_64-efi. CC may name another compiler.
set -eu
tree=$(cd "${1:?usage: build.sh TREE PLATFORM OUT-DIR}" && pwd)
platform=${2:?usage: build.sh TREE PLATFORM OUT-DIR}
mkdir -p "${3:?usage: build.sh TREE PLATFORM OUT-DIR}"
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/../.."

# The calling convention and the code model that GRUB uses on each platform.
case $platform in
i386-pc) flags='-m32 -march=i386 -mrtd -mregparm=3 -freg-struct-return' macros='I386_PC PCBIOS' pointer=4 ;;
x86_64-efi) flags='-m64 -mcmodel=large -mno-red-zone' macros='X86_64_EFI EFI' pointer=8 ;;
*) echo "build.sh knows i386-pc and x86_64-efi, not $platform" >&2 && exit 2 ;;
esac
[ -f "$tree/include/grub/disk.h" ] || { echo "$tree is no source of GRUB" >&2 && exit 1; }

# What configure would make of these: two links, and the few macros that headers use.
mkdir -p "$out/include/grub"
cpu=${platform%-*} firmware=${platform#*-}
ln -sfn "$tree/include/grub/$cpu" "$out/include/grub/cpu"
ln -sfn "$tree/include/grub/$cpu/$firmware" "$out/include/grub/machine"
cat >"$out/include/config.h" <<END
#define HAVE_ASM_USCORE 0
#define GRUB_TARGET_CPU "$cpu"
#define GRUB_PLATFORM "$firmware"
#define DISK_CACHE_STATS 0
#define BOOT_TIME_STATS 0
END

core='$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_FAST) $(QCOW2_CORE_DEFLATE_SMALL)'
core="$core \$(QCOW2_CORE_ZSTD_FAST) \$(QCOW2_CORE_ZSTD_SMALL) status.c"
core=$(printf 'include src/sources.mk\nall: ; @echo $(addprefix src/,$(sort %s))\n' "$core" | make -s -f -)
objects=
for source in port/grub/qcow2disk.c port/common/heap_reader.c $core; do
	object=$out/$(basename "$source" .c).o
	# shellcheck disable=SC2086
	${CC:-gcc} $flags -Os -std=gnu99 -Wall -Wextra -Wno-unused-parameter -Werror -ffreestanding -fno-builtin \
		-fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -mno-mmx -mno-sse \
		-Iinclude -Iport/common -I"$out/include" -isystem "$tree/include" \
		-DGRUB_MACHINE=${macros% *} -DGRUB_MACHINE_${macros#* }=1 -DGRUB_TARGET_SIZEOF_VOID_P=$pointer \
		-DGRUB_TARGET_SIZEOF_LONG=$pointer -DGRUB_FILE="\"$source\"" -c "$source" -o "$object"
	objects="$objects $object"
done

# A module is one object with two sections more: its name, and the modules that it needs, here none.
# shellcheck disable=SC2086
${LD:-ld} -m "$([ $pointer = 4 ] && echo elf_i386 || echo elf_x86_64)" -r -d -o "$out/qcow2disk.module" $objects
printf 'qcow2disk\0' >"$out/modname"
objcopy --add-section .modname="$out/modname" "$out/qcow2disk.module" "$out/qcow2disk.mod"
strip --strip-unneeded -K grub_mod_init -K grub_mod_fini -R .note.GNU-stack -R .note.gnu.property \
	-R .comment "$out/qcow2disk.mod"
