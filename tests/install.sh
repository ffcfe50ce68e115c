#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Installs what the tests need, as Debian 12 packages.
#	install.sh                    as root: what make check-all needs
#	install.sh check              as root: the few packages that make check needs
#	install.sh missing [check]    installs nothing, lists what is missing; exit status 1 if any is
set -eu
check='
gcc make libc6-dev pkg-config
libdeflate-dev zlib1g-dev libzstd-dev libgcrypt20-dev libssl-dev libmbedtls-dev
libcmocka-dev python3 python3-pytest qemu-utils
strace util-linux mount e2fsprogs libnbd-bin nbdkit nbdkit-plugin-dev
libfuse3-dev fuse3 fuse2fs mtools dosfstools
mandoc zsh fish fdisk
'
all="$check
g++ binutils zstd
clang-14 libclang-rt-14-dev clang-format-14 lld-14 llvm-14 valgrind
clang-19 libclang-rt-19-dev llvm-19 clang-tidy-19 cppcheck
frama-c-base why3 z3 cvc4
afl++ zip
libqcow-dev 7zip bindfs
qemu-user-static gcc-arm-linux-gnueabihf gcc-s390x-linux-gnu gcc-powerpc-linux-gnu
libc6-dev-armhf-cross libc6-dev-s390x-cross
gcc-arm-none-eabi gcc-riscv64-unknown-elf gcc-aarch64-linux-gnu gcc-mips-linux-gnu
libc6-dev-arm64-cross
qemu-system-arm qemu-system-misc
qemu-system-x86 ovmf ovmf-ia32 qemu-efi-aarch64 u-boot-qemu
busybox-static cpio sbsigntool openssl swtpm
bison flex bc patch perl grub-pc-bin grub-common nasm uuid-dev
initramfs-tools-core klibc-utils kmod shellcheck
cmake man-db debhelper dh-python dpkg-dev lintian devscripts autopkgtest abigail-tools
rustc cargo librust-cc-dev bindgen
python3-yaml python3-kconfiglib
"
only_list=
if [ "${1-}" = missing ]; then
	only_list=yes
	shift
fi
case ${1-} in
'') packages=$all ;;
check) packages=$check ;;
*) echo "usage: install.sh [missing] [check]" >&2; exit 2 ;;
esac

if [ -n "$only_list" ] && ! command -v dpkg-query >/dev/null; then
	# Other systems name packages differently. There the tests themselves fail if something is missing.
	echo "no dpkg: cannot tell whether the equivalents of these packages are installed:" $packages
	exit 0
fi
missing=
for package in $packages; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ -n "$only_list" ]; then
	echo "missing packages:$missing" >&2
	echo "to install them, run as root: sh tests/install.sh${1:+ $1}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $missing
