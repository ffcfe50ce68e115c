#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes the package of port/uefi/edk2 and builds it by EDK2's own tools: OUT-DIR/qcow2x64.efi and so on, with
# the names that port/uefi has for them.
#	edk2.sh TREE OUT-DIR ARCH...    ARCH: X64, AARCH64 or IA32
# TREE has at least BaseTools and MdePkg. Only tools of EDK2 are built in it.
set -eu
usage='usage: edk2.sh TREE OUT-DIR ARCH...'
tree=$(cd "${1:?$usage}" && pwd)
mkdir -p "${2:?$usage}"
out=$(cd "$2" && pwd)
: "${3:?$usage}"
shift 2
cd "$(dirname "$0")/../.."

# Of the tools in C, our modules need only this one. Others need submodules of git.
tools=$tree/BaseTools/Source/C
mkdir -p "$tools/bin" "$tools/libs"
for tool in Common GenFw; do make -s -j2 -C "$tools/$tool" HOST_ARCH=X64; done

make -s edk2-package DIR="$out"
export WORKSPACE=$out PACKAGES_PATH=$tree:$out EDK_TOOLS_PATH=$tree/BaseTools PYTHON_COMMAND=python3
# The names of EDK2 for its settings of gcc. Those for AArch64 with link-time optimisation need a library that
# is only in EDK2's git.
settings() { # ARCH
	local names='GCC GCC5' name
	[ "$1" != AARCH64 ] || names='GCCNOLTO GCC49'
	for name in $names; do
		! grep -q "^\*_${name}_\*_\*_FAMILY" "$tree/BaseTools/Conf/tools_def.template" || break
	done
	echo "$name"
}
export GCCNOLTO_AARCH64_PREFIX=aarch64-linux-gnu- GCC49_AARCH64_PREFIX=aarch64-linux-gnu-
rm -rf "$out/Build" "$out/Conf" && mkdir "$out/Conf"
cd "$tree"
setup() { # without the arguments of this script, which it would read
	set +u
	# shellcheck disable=SC1091
	. ./edksetup.sh
	set -u
}
setup
for arch; do
	compiler=$(settings "$arch")
	options=(-n 2 -p Qcow2Pkg/Qcow2Pkg.dsc -a "$arch" -t "$compiler" -b RELEASE)
	# -q leaves out a warning of the linker about EDK2's own options, but also why a build fails.
	build -q "${options[@]}" || { build "${options[@]}" && false; }
	name=$(echo "$arch" | tr '[:upper:]' '[:lower:]' | sed 's/^aarch64$/aa64/')
	cp "$out/Build/Qcow2Pkg/RELEASE_$compiler/$arch/Qcow2Boot.efi" "$out/qcow2$name.efi"
	cp "$out/Build/Qcow2Pkg/RELEASE_$compiler/$arch/Qcow2Dxe.efi" "$out/qcow2drv$name.efi"
	# For shim, as the README does it.
	[ "$arch" != X64 ] || objcopy --add-section .sbat="$out/Qcow2Pkg/sbat.csv" --change-section-vma .sbat=0x10000 \
		--set-section-alignment .sbat=4096 "$out/qcow2x64.efi"
done
