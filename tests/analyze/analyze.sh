#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Static analysis: gcc -fanalyzer on each file, clang-tidy and cppcheck on all. Any finding is a
# failure. False alarms are suppressed not here but by a comment in the source, which says why.
#	analyze.sh BUILD-DIR GLUE-DIR CORE-SOURCE...
# GLUE-DIR has the headers of U-Boot, GRUB, TF-A and Zephyr that the adapters include.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$1
glue=$2
shift 2
rm -rf "$out"
mkdir -p "$out"
passed=0
failed=0
choices='port/posix/codec/deflate_builtin.c port/posix/codec/deflate_zlib.c port/posix/codec/zstd_builtin.c'
choices="$choices port/posix/key/crypto_libcrypto.c port/posix/key/crypto_none.c"
choices="$choices port/baremetal/buffer_zstd.c port/posix/tool/mount/serve_none.c"

# The compiler flags that matter to an analyzer. Firmware is analyzed as if it were for this machine,
# because its C does not depend on the processor.
flags_of() { # FILE
	case $1 in
	port/uefi/* | */uefi-*) echo -ffreestanding -fno-builtin -fshort-wchar -Iport/uefi -DQCOW2_VERSION=__FILE__ ;;
	port/baremetal/* | */baremetal.c) echo -ffreestanding -Iport/baremetal -Iport/baremetal/semihosting -DCLUSTER_BITS=12 ;;
	port/uboot/*) echo "-Itests -I$glue/uboot -Iport/uboot/include" ;;
	port/grub/*) echo "-Itests -I$glue/grub -Iport/common" ;;
	port/zephyr/*) echo "-Itests -I$glue/zephyr" ;;
	port/tfa/*) echo "-Itests -I$glue/tfa -Iport/tfa" ;;
	*) echo -Isrc -Iport/posix -Iport/posix/tool $(pkg-config --cflags fuse3 | sed s/-I/-isystem/g) -DQCOW2_VERSION=__FILE__ ;;
	esac
}

judge() { # NAME LOG STATUS
	if [ "$3" -eq 0 ] && ! grep -qE 'warning:|error:' "$2"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "== $1"
		cat "$2"
	fi
}

# gcc's analyzer finds most without optimization. port/posix/core.c only includes the files of src/,
# which are analyzed one by one here, and together below.
for file in src/*.c port/*/*.c port/posix/*/*.c port/posix/tool/*/*.c port/baremetal/*/*.c \
	port/uboot/cmd/*.c port/uboot/drivers/block/*.c; do
	[ "$file" != port/posix/core.c ] || continue
	log=$out/gcc.log
	rc=0
	# shellcheck disable=SC2046
	timeout 3600 gcc -O0 -fanalyzer -std=c11 -Iinclude $(flags_of "$file") -c "$file" \
		-o "$out/gcc.o" >"$log" 2>&1 || rc=$?
	judge "gcc -fanalyzer $file" "$log" $rc
done

# clang's analyzer follows calls only within one file, so each program is made into one file. The other
# choices of libraries define the same names, so they are analyzed alone, as are the adapters.
in_one() { # OUTPUT FILE...
	to=$1
	shift
	for file in "$@"; do
		case " $choices " in *" $file "*) continue ;; esac
		echo "#include \"$PWD/$file\" // NOLINT(bugprone-suspicious-include)"
	done >"$to"
}
uefi=$(ls port/common/*.c port/uefi/*.c | grep -v main_)
# shellcheck disable=SC2086
{
	in_one "$out/core.c" $(printf 'src/%s ' "$@")
	in_one "$out/posix.c" port/posix/posix.h port/common/*.c $(ls port/posix/*.c port/posix/open/*.c \
		port/posix/read/*.c port/posix/codec/*.c port/posix/key/*.c | grep -v /core.c)
	in_one "$out/tool.c" port/posix/tool/*.c port/posix/tool/*/*.c
	in_one "$out/nbdkit.c" port/nbdkit/*.c
	in_one "$out/uefi-app.c" $uefi port/uefi/main_app.c
	in_one "$out/uefi-driver.c" $uefi port/uefi/main_driver.c
	in_one "$out/baremetal.c" port/baremetal/*.c port/baremetal/*/*.c
}
tidy="$out/tool.c $out/nbdkit.c $out/uefi-app.c $out/uefi-driver.c $out/core.c $out/posix.c $out/baremetal.c
	src/mem.c $(echo port/uboot/cmd/*.c port/uboot/drivers/block/*.c) port/grub/qcow2disk.c port/tfa/io_qcow2.c
	port/zephyr/qcow2_disk.c port/zephyr/qcow2_file.c port/crypto/handles.c port/crypto/libgcrypt.c
	port/crypto/libcrypto.c port/crypto/mbedtls.c $choices"
cat >"$out/tidy.sh" <<'END'
file=$1
out=$2
shift 2
timeout 3600 clang-tidy-19 --quiet --config-file=.clang-tidy --extra-arg=-Xclang \
	--extra-arg=-analyzer-opt-analyze-headers "$file" -- -std=c11 -Iinclude "$@" \
	>"$out/tidy-$(basename "$file").log" 2>"$out/tidy.err"
echo $? >"$out/tidy-$(basename "$file").status"
END
for file in $tidy; do
	echo "$file $out $(flags_of "$file")"
done | xargs -P "$(nproc)" -L 1 sh "$out/tidy.sh"
for file in $tidy; do
	name=$(basename "$file")
	judge "clang-tidy $name" "$out/tidy-$name.log" "$(cat "$out/tidy-$name.status")"
done

rc=0
timeout 3600 cppcheck -q --enable=warning,style,performance,portability --inconclusive \
	--inline-suppr --error-exitcode=1 --std=c11 -Iinclude -DQCOW2_VERSION=__FILE__ -D__x86_64__ \
	--template='{file}:{line}: warning: {message} [{id}]' \
	src port include >"$out/cppcheck.log" 2>&1 || rc=$?
judge cppcheck "$out/cppcheck.log" $rc
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
