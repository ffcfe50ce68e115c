#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds port/uboot, port/grub and port/tfa in the source trees of Debian 12 and 13, so that a header or a
# function that is gone there is found. Only our objects are built, and what they need. GRUB's module also
# runs, in the GRUB that Debian 12 installs, and boots Debian's kernel: by BIOS with GRUB of Debian 12, by UEFI
# with that of Debian 13. The package of port/uefi/edk2 is built with EDK2 of Debian 13. Mbed TLS of the newer
# U-Boot decrypts an image on a Cortex-M4 in QEMU.
#	run.sh BUILD-DIR
set -u
dir=${1:?usage: run.sh BUILD-DIR}/trees
cd "$(dirname "$0")/../.." || exit 1
. tests/firmware/ok.sh
sh tests/trees/get.sh "$dir" && sh tests/trees/grub-get.sh "$dir/run" || exit 1
dir=$(cd "$dir" && pwd)
mkimage=$dir/own/tests/image/mkimage # in a build of its own: other tests may be using the one in BUILD-DIR
cross=CROSS_COMPILE=aarch64-linux-gnu-

# Runs a command. It must succeed, and its compilers must print no warning.
quiet() { # LOG COMMAND...
	local log=$1 rc=0
	shift
	"$@" >"$log" 2>&1 || rc=$?
	[ $rc -eq 0 ] && ! grep -E 'warning:|error:' "$log" && return 0
	tail -n 30 "$log"
	return 1
}

# The files that import.sh changes are saved, so that this can run again in the same tree.
uboot_import() { # TREE
	local file
	for file in $(sh port/uboot/import.sh files); do
		[ -f "$1/$file.orig" ] || cp "$1/$file" "$1/$file.orig" || return 1
		cp "$1/$file.orig" "$1/$file" || return 1
	done
	rm -rf "$1/lib/qcow2"
	sh port/uboot/import.sh "$1" || return 1
	! sh port/uboot/import.sh "$1" 2>/dev/null || { echo 'it adds everything again' && return 1; }
}

uboot_build() { # TREE
	local objects='drivers/block/qcow2_blk.o drivers/block/qcow2_file.o drivers/block/qcow2_place.o cmd/qcow2.o'
	[ ! -f "$1/test/dm/qcow2.c" ] || objects="$objects test/dm/qcow2.o"
	{
		cat "$1/configs/qemu_arm64_defconfig"
		printf 'CONFIG_%s=y\n' BLK_QCOW2 BLKMAP
	} >"$1/configs/qcow2_defconfig"
	make -s -C "$1" $cross qcow2_defconfig && grep -qx CONFIG_CMD_QCOW2=y "$1/.config" &&
		make -s -C "$1" $cross lib/qcow2/ $objects
}

# Beside what U-Boot has, our objects need only each other.
uboot_complete() { # TREE
	local missing
	aarch64-linux-gnu-ld -r -o "$1/qcow2.all" "$1"/lib/qcow2/[!b]*.o "$1"/lib/qcow2/block.o \
		"$1"/drivers/block/qcow2_*.o "$1/cmd/qcow2.o" || return 1
	missing=$(aarch64-linux-gnu-nm -u "$1/qcow2.all" | grep -E ' (qcow2|q2|qu|port)_')
	[ -z "$missing" ] || { echo "$missing" && return 1; }
}

# The patches make of a tree what import.sh makes of it.
uboot_patches() { # TREE
	local work file rc=0
	work=$(mktemp -d)
	for file in $(sh port/uboot/import.sh files) include/blkmap.h; do
		[ -f "$1/$file" ] || continue
		mkdir -p "$work/$(dirname "$file")"
		cp "$1/$file.orig" "$work/$file" 2>/dev/null || cp "$1/$file" "$work/$file"
	done
	make -s O="$work" uboot-patch SRC="$work" >/dev/null &&
		cat "$work"/uboot-patch/0*.patch | patch -s -p1 -d "$work" || rc=1
	for file in $(cd "$work" && find . -type f ! -path './uboot-patch/*'); do
		cmp "$work/$file" "$1/$file" || rc=1
	done
	[ "$(find "$work" -name 'qcow2*.c' | wc -l)" -ge 4 ] || rc=1
	rm -rf "$work"
	return $rc
}

# The style of what is not the library: whatever checkpatch.pl prints is a failure.
uboot_style() { # TREE
	"$1/scripts/checkpatch.pl" --no-tree -q --no-summary \
		--ignore NEW_UCLASS,NEW_COMMAND,FILE_PATH_CHANGES,SPDX_LICENSE_TAG -f port/uboot/cmd/qcow2.c port/uboot/drivers/block/*.c port/uboot/include/qcow2_blk.h port/uboot/test/dm/qcow2.c \
		>"$1/style.log" 2>&1 && [ ! -s "$1/style.log" ] && return 0
	cat "$1/style.log"
	return 1
}

# The adapter for Mbed TLS, with the library that U-Boot has, for a processor without a libc: beside the core,
# both need only a few functions, which any firmware has. The headers that Mbed TLS includes are made here.
mbedtls_build() { # TREE
	local from=$1/lib/mbedtls/external/mbedtls work=$1/qcow2.mbedtls file needed
	rm -rf "$work" && mkdir -p "$work/include" && cp port/crypto/mbedtls_needs.h "$work/include/" &&
		touch "$work"/include/{assert,stdio}.h || return 1
	cat >"$work/include/string.h" <<-'END'
		#include <stddef.h>
		void *memcpy(void *to, const void *from, size_t len);
		void *memmove(void *to, const void *from, size_t len);
		void *memset(void *to, int byte, size_t len);
		int memcmp(const void *a, const void *b, size_t len);
		int strcmp(const char *a, const char *b);
		size_t strlen(const char *text);
	END
	printf '#include <stddef.h>\nvoid *calloc(size_t n, size_t len);\nvoid free(void *memory);\n' \
		>"$work/include/stdlib.h" || return 1
	for file in port/crypto/mbedtls.c src/crypto.c \
		"$from"/library/{aes,md,sha1,sha256,sha512,pkcs5,platform_util,constant_time,cipher,cipher_wrap,asn1parse}.c; do
		arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Os -Wall -Wextra -ffreestanding -ffunction-sections \
			-I"$work/include" -Iinclude -Iport/crypto -I"$from/include" \
			-DMBEDTLS_CONFIG_FILE='"mbedtls_needs.h"' -c "$file" -o "$work/$(basename "$file" .c).o" || return 1
	done
	arm-none-eabi-ld -r --gc-sections -e qcow2_mbedtls -o "$work/all" "$work"/*.o || return 1
	needed=$(arm-none-eabi-nm -u "$work/all" | awk '{ print $2 }' | paste -sd' ')
	[ "$needed" = 'calloc free memcpy memset strcmp' ] || { echo "it needs $needed" && return 1; }
}

# With it, a Cortex-M4 in QEMU unlocks an encrypted image by its password, and reads all of it.
mbedtls_run() { # TREE, after mbedtls_build
	local from=$1/lib/mbedtls/external/mbedtls work=$1/qcow2.mbedtls core crc out
	core=$(printf 'include src/sources.mk\nall: ; @echo $(addprefix src/,%s block.c status.c %s mem.c)\n' \
		'$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_SMALL)' \
		'cipher.c crypto.c extension.c luks.c luks_aes_xts.c luks_unlock.c luks_verify.c' | make -s -f -)
	make -s O="$dir/own" "$mkimage" || return 1
	printf 'size 1M\nencrypt luks password=no slot=2 password=%s\nl2 0-7 data\nl2 9 compressed\n' \
		open-sesame >"$work/luks.recipe" &&
		"$mkimage" -r "$work/luks.recipe" -e "$work/content" "$work/luks.qcow2" &&
		sed s/open-sesame/open-sesam/ "$work/luks.recipe" >"$work/locked.recipe" &&
		"$mkimage" -r "$work/locked.recipe" "$work/locked.qcow2" || return 1
	arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Os -Dlayer_open=plain_layer_open -ffreestanding -Iinclude \
		-Iport/baremetal -Iport/baremetal/semihosting -c port/baremetal/layer.c -o "$work/layer" || return 1
	# shellcheck disable=SC2086
	arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -Os -Wall -Wextra -ffreestanding -ffunction-sections -fdata-sections \
		-I"$work/include" -Iinclude -Iport/baremetal -Iport/baremetal/semihosting -Iport/crypto -I"$from/include" \
		-DMBEDTLS_CONFIG_FILE='"mbedtls_needs.h"' -DMBEDTLS_AES_ROM_TABLES -nostdlib -nostartfiles -static \
		-Wl,--gc-sections -Wl,--build-id=none -Wl,--defsym=RAM_LEN=128K -Lport/baremetal -T port/baremetal/cortexm.ld \
		port/baremetal/{start,stack,print,buffer,main}.c port/baremetal/cortexm.S port/baremetal/semihosting/*.[cS] \
		tests/trees/luks_layer.c port/crypto/mbedtls.c $core \
		"$from"/library/{aes,md,sha1,sha256,sha512,pkcs5,platform_util,constant_time,cipher,cipher_wrap,asn1parse}.c \
		"$work/layer" -o "$work/luks.elf" || return 1
	crc=$(python3 -c 'import sys, zlib; print(hex(zlib.crc32(open(sys.argv[1], "rb").read())))' "$work/content")
	out=$(mbedtls_board "$work" luks.qcow2) || { echo "$out" && return 1; }
	[ "${out%%$'\n'*}" = "luks.qcow2: 1048576 bytes, CRC-32 $crc" ] || { echo "$out" && return 1; }
	! out=$(mbedtls_board "$work" locked.qcow2) || { echo "$out" && return 1; }
	[ "$out" = 'locked.qcow2: wrong password or key' ] || { echo "it says: $out" && return 1; }
}

mbedtls_board() { # DIR IMAGE
	(cd "$1" && timeout 120 qemu-system-arm -M netduinoplus2 -accel tcg -display none -monitor none -serial none \
		-semihosting-config "enable=on,target=native,arg=luks,arg=$2" -kernel luks.elf </dev/null 2>&1)
}

tfa_build() { # TREE: for BL2 of QEMU's platform
	local plat=$1/plat/qemu/common list=$1/plat/qemu/qemu/platform.mk core object
	local objects=$1/build/qemu/release/bl2/io_qcow2.o
	core=$(printf 'include src/sources.mk\nall: ; @echo $(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) %s\n' \
		'$(QCOW2_CORE_DEFLATE_SMALL) $(QCOW2_CORE_ZSTD_SMALL) status.c' | make -s -f -)
	[ -f "$list.orig" ] || cp "$list" "$list.orig" || return 1
	cp "$list.orig" "$list" && rm -rf "$plat/qcow2" && mkdir -p "$plat/qcow2" || return 1
	cp -r port/tfa/*.[ch] src include/qcow2 "$plat/qcow2" && mkdir "$plat/qcow2/include" &&
		mv "$plat/qcow2/qcow2" "$plat/qcow2/include/qcow2" || return 1
	sed -n '/^    include/,/^$/s/^    //p' port/tfa/README.md >>"$list" || return 1
	for object in "$plat"/qcow2/src/*.c; do
		object=$(basename "$object" .c)
		case " $core " in *" $object.c "*) objects="$objects $1/build/qemu/release/bl2/$object.o" ;; esac
	done
	# shellcheck disable=SC2086
	make -s -C "$1" $cross PLAT=qemu E=1 BUILD_BASE="$1/build" $objects
}

for release in bookworm trixie; do
	about=$release
	tree=$dir/$release/u-boot
	ok "U-Boot: import.sh" uboot_import "$tree"
	ok "U-Boot: objects" quiet "$dir/$release-uboot.log" uboot_build "$tree"
	ok "U-Boot: all of the core that is needed" uboot_complete "$tree"
	ok "U-Boot: make uboot-patch" uboot_patches "$tree"
	ok "U-Boot: checkpatch" uboot_style "$tree"
	[ $release != trixie ] || ok "Mbed TLS of U-Boot: without a libc" quiet "$dir/$release-mbedtls.log" mbedtls_build "$tree"
	[ $release != trixie ] || ok "Mbed TLS of U-Boot: a Cortex-M4 unlocks an image, in QEMU" \
		quiet "$dir/$release-luks.log" mbedtls_run "$tree"
	platform=x86_64-efi
	[ $release != bookworm ] || platform=i386-pc # this machine's GRUB runs it
	ok "GRUB: module for $platform" quiet "$dir/$release-grub.log" \
		sh port/grub/build.sh "$dir/$release/grub2" $platform "$dir/$release/grub-$platform"
	[ $release != bookworm ] || ok "GRUB: the module in Debian's GRUB, in QEMU" \
		bash tests/trees/grub.sh "$dir/$release/grub-i386-pc/qcow2disk.mod" "$dir/grub-run"
	ok "GRUB: a kernel from inside an image, in QEMU" bash tests/trees/grub-boot.sh \
		"$dir/$release/grub-$platform/qcow2disk.mod" "$dir/run/grub-$release/usr/lib/grub/$platform" \
		"$dir"/run/linux/boot/vmlinuz-* "$dir/run/boot-$release"
	[ $release != trixie ] || ok "EDK2: the package" quiet "$dir/$release-edk2.log" \
		bash tests/trees/edk2.sh "$dir/$release/edk2" "$dir/edk2-$release" X64
	ok "TF-A: objects" quiet "$dir/$release-tfa.log" tfa_build "$dir/$release/arm-trusted-firmware"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
