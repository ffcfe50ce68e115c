#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs the bare-metal program on the boards of QEMU. It must read the same content as qemu-img from
# a compressed image with the largest clusters and from a chain of two, and report damage; with zstd,
# from images with the largest clusters that it has memory for. The same for a board whose directory is
# not in port/baremetal: its driver, its console and its memory are virt/. At the end this compares ROM,
# RAM and stack of each program with the tables in port/baremetal/README.md.
#	run-baremetal.sh BUILD-DIR
set -u
build=$(realpath "${1:?usage: run-baremetal.sh BUILD-DIR}")
here=$(realpath "$(dirname "$0")")
dir=$build/firmware/baremetal
mkdir -p "$dir" && cd "$dir" && rm -f ./* || exit 1
ulimit -f 131072 # 64 MiB for each file, in case a command runs wild
passed=0
failed=0

images() {
	python3 "$here/images.py" "$@"
}

make_images() {
	images content content.raw $((5 * 1024 * 1024 + 1536)) &&
		qemu-img convert -c -f raw -O qcow2 -o cluster_size=2M content.raw packed.qcow2 &&
		qemu-img convert -f raw -O qcow2 content.raw base.qcow2 &&
		qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 6M &&
		qemu-io -f qcow2 -c 'write -q -P 0x5a 100k 70k' -c 'write -q -z 1M 128k' \
			-c 'write -q -P 0xc3 5200k 200k' top.qcow2 &&
		qemu-img convert -f qcow2 -O raw packed.qcow2 packed.raw &&
		cmp packed.raw content.raw &&
		qemu-img convert -f qcow2 -O raw top.qcow2 top.raw &&
		cp packed.qcow2 bad-data.qcow2 && bad_data=$(images break-data bad-data.qcow2 2) &&
		cp base.qcow2 bad-entry.qcow2 &&
		bad_entry=$(images break-entry bad-entry.qcow2 3) &&
		head -c 1000000 packed.qcow2 >short.qcow2 &&
		zstd_image zstd-4k.qcow2 4k && zstd_image zstd-64k.qcow2 64k &&
		cp zstd-4k.qcow2 bad-zstd.qcow2 && bad_zstd=$(images break-data bad-zstd.qcow2 300)
}

zstd_image() { # IMAGE CLUSTER-SIZE
	qemu-img convert -c -f raw -O qcow2 -o "compression_type=zstd,cluster_size=$2" content.raw "$1" &&
		qemu-img convert -f qcow2 -O raw "$1" zstd.raw && cmp zstd.raw content.raw
}

emulator() { # [zstd-]BOARD PROGRAM ARGUMENT...
	local board=${1#zstd-} program=$2 machine=() config=enable=on,target=native,arg=program word
	shift 2
	for word in "$@"; do config+=,arg=$word; done
	case $board in
	riscv*) machine=("qemu-system-$board" -M virt -m 32 -bios none) ;;
	aarch64) machine=(qemu-system-aarch64 -M virt -m 32 -cpu cortex-a53) ;;
	*) machine=(qemu-system-arm -M "$board") ;;
	esac
	timeout --foreground -k 5 1800 "${machine[@]}" -accel tcg -display none -monitor none -serial none \
		-semihosting-config "$config" -kernel "$program" </dev/null 2>&1
}

# Does the program exit with this status and print this line?
expect() { # NAME BOARD STATUS LINE ARGUMENT...
	local name=$1 board=$2 status=$3 line=$4 rc=0 out
	shift 4
	out=$(emulator "$board" "$build/baremetal/$board.elf" "$@") || rc=$?
	check_line "$name" "$board" "$status" "$line" $rc "$out"
	grep '^stack:' <<<"$out" | tee -a "$board.memory"
}

check_line() { # NAME BOARD STATUS LINE RC OUTPUT
	if [ "$5" -eq "$3" ] && grep -qxF -- "$4" <<<"$6"; then
		passed=$((passed + 1))
		echo "ok      $2, $1: $4"
	else
		failed=$((failed + 1))
		echo "FAILED  $2, $1: exit status $5, not $3, or not the line: $4"
		echo "$6" | head -n 20 | sed 's/^/        /'
	fi
}

board_tests() { # BOARD
	expect compressed "$1" 0 "packed.qcow2: $(images check packed.raw)" packed.qcow2
	expect chain "$1" 0 "top.qcow2: $(images check top.raw)" top.qcow2 base.qcow2
	expect 'damaged data' "$1" 1 \
		"bad-data.qcow2: compressed data is corrupt, at byte $bad_data" bad-data.qcow2
	expect 'damage below' "$1" 1 \
		"bad-entry.qcow2: invalid L1 or L2 table entry, at byte $bad_entry" top.qcow2 bad-entry.qcow2
	expect 'cut short' "$1" 1 "short.qcow2: image is truncated, at byte 0xf4240" short.qcow2
	expect 'not an image' "$1" 1 "content.raw: not a qcow2 image, at byte 0x0" content.raw
	expect 'half a chain' "$1" 1 "top.qcow2: needs its backing file" top.qcow2
	expect 'no such file' "$1" 1 "no.qcow2: read error, at byte 0x0, disk error 3" \
		top.qcow2 no.qcow2
}

# A program that reads zstd reads deflate as well, in clusters of any size.
zstd_tests() { # BOARD CLUSTER-SIZE...
	local board=zstd-$1 size
	for size in "${@:2}"; do
		expect "$size clusters" "$board" 0 "zstd-$size.qcow2: $(images check content.raw)" \
			"zstd-$size.qcow2"
	done
	expect deflate "$board" 0 "packed.qcow2: $(images check packed.raw)" packed.qcow2
	expect 'damaged data' "$board" 1 \
		"bad-zstd.qcow2: compressed data is corrupt, at byte $bad_zstd" bad-zstd.qcow2
}

# The board of virt/, which has no semihosting: the images are its disks, and each is a whole number of
# blocks. Its directory is copied, so that nothing can find it by its place in the tree.
virt_expect() { # NAME STATUS LINE IMAGE...
	local name=$1 status=$2 line=$3 rc=0 slot=0 image out disks=()
	shift 3
	for image in "$@"; do
		disks+=(-drive "if=none,id=d$slot,format=raw,readonly=on,file=$image"
			-device "virtio-blk-device,drive=d$slot,bus=virtio-mmio-bus.$slot")
		slot=$((slot + 1))
	done
	out=$(timeout --foreground -k 5 1800 qemu-system-riscv64 -M virt -m 32 -bios none -accel tcg \
		-display none -monitor none -serial stdio -global virtio-mmio.force-legacy=false "${disks[@]}" \
		-kernel outside/build/baremetal/virt.elf </dev/null 2>&1) || rc=$?
	check_line "$name" virt "$status" "$line" $rc "$out"
}

virt_tests() {
	rm -rf outside && mkdir outside && cp -r "$here/virt" outside/virt &&
		make -s -C "$here/../.." O="$dir/outside/build" BOARD_DIR="$dir/outside/virt" baremetal || return
	virt_expect compressed 0 "disk0: $(images check packed.raw)" packed.qcow2
	virt_expect chain 0 "disk0: $(images check top.raw)" top.qcow2 base.qcow2
	virt_expect 'damaged data' 1 "disk0: compressed data is corrupt, at byte $bad_data" bad-data.qcow2
	virt_expect 'damage below' 1 "disk1: invalid L1 or L2 table entry, at byte $bad_entry" \
		top.qcow2 bad-entry.qcow2
	virt_expect 'half a chain' 1 'disk0: needs its backing file' top.qcow2
	virt_expect 'no disk' 2 'usage: IMAGE [BACKING]'
}

make_images || { echo 'cannot make the images'; echo '0 passed, 1 failed'; exit 1; }
for board in microbit lm3s6965evb netduinoplus2 riscv32 riscv64 aarch64; do
	board_tests "$board"
done
zstd_tests microbit 4k
expect 'too long clusters' zstd-microbit 1 'zstd-64k.qcow2: not enough memory' zstd-64k.qcow2
zstd_tests netduinoplus2 64k 4k
virt_tests || { echo 'FAILED: virt is not built'; failed=$((failed + 1)); }
# Check that the emulated Cortex-M0 faults at an unaligned access, so that the runs above had none.
out=$(emulator microbit "$build/baremetal/unaligned-microbit.elf") || rc=$?
check_line 'an unaligned access' microbit 99 'unaligned: fault' "${rc:-0}" "$out"

# RAM and stack are the largest values that the program printed; ROM is the size of .text and .data.
column() { # BOARD
	local rom ram stack
	rom=$(llvm-size-14 -A "$build/baremetal/$1.elf" | awk '/^\.(text|data) / { n += $2 } END { print n }')
	ram=$(sed -E 's/.*all: ([0-9]+) bytes/\1/' "$1.memory" | sort -n | tail -n 1)
	stack=$(sed -E 's/^stack: ([0-9]+) .*/\1/' "$1.memory" | sort -n | tail -n 1)
	echo "$rom" "$ram" "$stack"
}
kib() { # BYTES
	echo "$(((($1) * 10 + 1023) / 1024))" | sed -E 's/^$/0/; s/(.)$/.\1 KiB/'
}
# If the program grows, this fails, and the table must be updated.
readme_has() { # ROW
	echo "$1"
	if grep -qxF -- "$1" "$here/../../port/baremetal/README.md"; then
		passed=$((passed + 1))
	else
		echo "FAILED: port/baremetal/README.md does not have this row"
		failed=$((failed + 1))
	fi
}
rows() { # LABEL-OF-RAM BOARD...
	local roms='| ROM: the whole program |' rams="| RAM: $1 |" stacks='| stack used, at most |'
	local board rom ram stack
	for board in "${@:2}"; do
		read -r rom ram stack < <(column "$board")
		roms+=" $(kib "$rom") |" rams+=" $(kib "$ram") |" stacks+=" $stack bytes |"
	done
	readme_has "$roms"
	readme_has "$rams"
	readme_has "$stacks"
}
rows 'two images, reader, deflate memory, 2 KiB of stack' \
	microbit lm3s6965evb netduinoplus2 riscv32 riscv64 aarch64
rows 'two images, reader, zstd memory, 2 KiB of stack' zstd-microbit zstd-netduinoplus2
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
