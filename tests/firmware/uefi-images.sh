#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Makes the images that run-uefi.sh boots, in WORK/stick. WORK/expect gets the output that each must
# cause. Needs the programs in UEFI (build/uefi).
#	uefi-images.sh UEFI WORK
set -eu
here=$(realpath "$(dirname "$0")")
uefi=$(realpath "$1")
mkdir -p "$2" && cd "$2"
export MTOOLS_SKIP_CHECK=1
rm -rf stick expect raw secure
mkdir -p deb stick/chain expect raw

# Unpacks a package of Debian without installing it: the kernel, the boot loader.
fetch() { # PACKAGE
	[ -d "deb/$1" ] && return
	(cd deb && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null && dpkg-deb -x "$1"_*.deb "$1.new")
	mv "deb/$1.new" "deb/$1"
}

# A disk with a GPT and one FAT partition, into which put copies files.
gpt_disk() { # FILE MIB
	truncate -s "$2M" "$1"
	printf 'label: gpt\nstart=2048, type=U\n' | sfdisk -q "$1"
	mkfs.vfat -n INNER --offset 2048 "$1" $((($2 - 2) * 1024)) >/dev/null 2>&1
	mmd -i "$1@@1M" ::/EFI ::/EFI/BOOT
}
put() { # FILE SOURCE NAME
	mcopy -i "$1@@1M" "$2" "::$3"
}

linux_disk() {
	local kernel
	kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-\)/\1/p')
	fetch "$kernel"
	fetch systemd-boot-efi
	mkdir -p initrd/bin initrd/dev initrd/proc initrd/sys
	cp /bin/busybox initrd/bin/
	cp deb/"$kernel"/lib/modules/*/kernel/fs/efivarfs/efivarfs.ko initrd/
	cat >initrd/init <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox echo "user space of Linux $(/bin/busybox uname -r) is up"
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox insmod /efivarfs.ko
/bin/busybox mount -t efivarfs efivarfs /sys/firmware/efi/efivars
# The first four bytes are the attributes.
/bin/busybox tail -c +5 /sys/firmware/efi/efivars/Qcow2Boot-6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d |
	/bin/busybox sed 's/^/Linux: variable /'
/bin/busybox poweroff -f
END
	chmod +x initrd/init
	(cd initrd && find . | cpio -o -H newc --quiet | gzip -9) >initrd.img
	printf 'timeout 0\ndefault linux.conf\n' >loader.conf
	printf 'title Linux\nlinux /vmlinuz\ninitrd /initrd.img\noptions console=ttyS0 quiet\n' >linux.conf
	gpt_disk raw/linux.raw 64
	mmd -i raw/linux.raw@@1M ::/loader ::/loader/entries
	put raw/linux.raw deb/systemd-boot-efi/usr/lib/systemd/boot/efi/systemd-bootx64.efi /EFI/BOOT/BOOTX64.EFI
	put raw/linux.raw loader.conf /loader/loader.conf
	put raw/linux.raw linux.conf /loader/entries/linux.conf
	put raw/linux.raw deb/"$kernel"/boot/vmlinuz-* /vmlinuz
	put raw/linux.raw initrd.img /initrd.img
	qemu-img convert -c -O qcow2 raw/linux.raw stick/linux.qcow2
}

probe_disk() { # NAME PROGRAM COMPRESSION
	gpt_disk "raw/$1.raw" 40
	put "raw/$1.raw" "$uefi/$2x64.efi" /EFI/BOOT/BOOTX64.EFI
	put "raw/$1.raw" "$uefi/$2aa64.efi" /EFI/BOOT/BOOTAA64.EFI
	put "raw/$1.raw" "$uefi/$2ia32.efi" /EFI/BOOT/BOOTIA32.EFI
	printf 'a file inside the image\r\n' >inside.txt
	put "raw/$1.raw" inside.txt /inside.txt
	qemu-img convert -c -O qcow2 -o "compression_type=$3" "raw/$1.raw" "stick/$1.qcow2"
}

io() { # FILE FORMAT COMMAND...: qemu-io
	local file=$1 format=$2 c args=()
	shift 2
	for c; do args+=(-c "$c"); done
	qemu-io -f "$format" "${args[@]}" "$file" >/dev/null
}

# Kinds of images. Each also has a line in the configuration file.
zero_clusters() {
	qemu-img create -q -f qcow2 zero.qcow2 64M
	io zero.qcow2 qcow2 'write -P 1 0 5M' 'write -z 1M 1M' 'write -z -u 3M 64k' 'write -P 2 9M 1M' \
		'write -P 3 63M 1M'
}
sparse_and_big() { # more bytes than 32 bits can count, 4096-byte blocks
	qemu-img create -q -f qcow2 big.qcow2 6G
	io big.qcow2 qcow2 'write -P 4 1M 3M' 'write -P 5 4100M 2M' 'write -P 6 6143M 1M'
}
backing_chain() { # qcow2 over qcow2 over raw, in a directory; one name has a ..
	truncate -s 20M base.raw
	io base.raw raw 'write -P 7 0 20M'
	qemu-img create -q -f qcow2 -b ../base.raw -F raw chain/middle.qcow2
	qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 chain/top.qcow2 24M
	io chain/middle.qcow2 qcow2 'write -P 8 2M 2M' 'write -z 10M 1M'
	io chain/top.qcow2 qcow2 'write -P 9 3M 3M' 'write -P 10 23M 1M'
}
odd_size() { # not a multiple of 4096
	qemu-img create -q -f qcow2 -o compat=0.10,cluster_size=512 odd.qcow2 9438720
	io odd.qcow2 qcow2 'write -P 11 0 9438720'
}
subclusters() {
	qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=128k subclusters.qcow2 32M
	io subclusters.qcow2 qcow2 'write -P 12 4k 4k' 'write -P 13 1028k 12k' 'write -z 2048k 4k' \
		'write -P 14 31M 1M'
}
huge_clusters() { # 2 MiB each, compressed
	seq 1 3000000 | head -c 20M >numbers.raw
	qemu-img convert -f raw -c -O qcow2 -o cluster_size=2M numbers.raw huge.qcow2
	rm numbers.raw
}
named_by_hand() { # the image names a backing file that does not exist; an option replaces it
	truncate -s 16M other.raw
	io other.raw raw 'write -P 15 0 16M'
	qemu-img create -q -f qcow2 -b other.raw -F raw byhand.qcow2
	io byhand.qcow2 qcow2 'write -P 16 1M 1M'
	qemu-img convert -f qcow2 -O raw byhand.qcow2 ../raw/byhand.raw
	qemu-img rebase -u -b /nowhere/it.raw -F raw byhand.qcow2
}
external_data() {
	qemu-img create -q -f qcow2 -o data_file=external.data external.qcow2 16M
	io external.qcow2 qcow2 'write -P 17 1M 2M'
}

expect() { # NUMBER WHAT RAW BLOCK-SIZE [OPTIONS]
	python3 "$here/uefi-crc.py" "$3" "$4" | sed "s/^/$2|probe: disk $1 /" >>expect/probe
	echo "$2|probe: disk $1 refusals ok" >>expect/probe
	[[ ${5-} != *overlay=memory* ]] || echo "$2|probe: disk $1 writes ok" >>expect/probe
}

variants() {
	local i=1 name what path size options
	(cd stick && zero_clusters && sparse_and_big && backing_chain && odd_size && subclusters &&
		huge_clusters && named_by_hand && external_data)
	{
		echo '# images of the tests'
		echo '\probe.qcow2'
	} >stick/qcow2.cfg
	expect 0 'compressed with zstd, with partitions' raw/probe.raw 512
	while IFS='|' read -r name what path size options; do
		[ -e "raw/$name.raw" ] ||
			(cd stick && qemu-img convert -f qcow2 -O raw "$path" "../raw/$name.raw")
		expect $i "$what" "raw/$name.raw" "$size" "$options"
		echo "$path blocksize=$size $options" >>stick/qcow2.cfg
		i=$((i + 1))
	done <<'END'
zero|zero and unallocated clusters, writable|zero.qcow2|512|overlay=memory
big|6 GiB, 4096-byte blocks|big.qcow2|4096|
chain|qcow2 over qcow2 over raw|chain/top.qcow2|512|
odd|4096-byte blocks, the last one not full, writable|odd.qcow2|4096|overlay=memory
subclusters|extended L2|subclusters.qcow2|512|
huge|compressed clusters of 2 MiB|huge.qcow2|512|
byhand|backing file by an option|byhand.qcow2|512|backing=raw:\other.raw
external|external data file|external.qcow2|512|
END
}

# Images that the program must refuse, or that fail when it reads them.
broken() {
	mkdir -p broken && cd broken && rm -f ./*
	patch() { # FILE OFFSET BYTES
		printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
	}
	cp ../stick/zero.qcow2 l1.qcow2 && patch l1.qcow2 40 '\x00\x00\x00\x7f'
	cp ../stick/zero.qcow2 feature.qcow2 && patch feature.qcow2 72 '\x80'
	cp ../stick/probe.qcow2 short.qcow2 && truncate -s 100K short.qcow2
	printf 'not an image at all' >text.qcow2
	qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw absolute.qcow2 1M
	qemu-img create -q -f qcow2 -u -b ../../up.raw -F raw escape.qcow2 1M
	qemu-img create -q -f qcow2 -u -b nbd://host/x -F raw protocol.qcow2 1M
	qemu-img create -q -f qcow2 -u -b absent.raw -F raw missing.qcow2 1M
	qemu-img create -q -f qcow2 -u -b loop2.qcow2 -F qcow2 loop.qcow2 1M
	qemu-img create -q -f qcow2 -u -b loop.qcow2 -F qcow2 loop2.qcow2 1M
	cd ..
}

# Images that open, but fail when the program reads the first block, with its message.
damaged() { # NAME HOW TEXT
	cp stick/probe.qcow2 "broken/$1.qcow2"
	echo "$1.qcow2 $3 (at file offset $(($(python3 "$here/images.py" "$2" "broken/$1.qcow2" 0)))); check the image with qemu-img check" \
		>>expect/damaged
}

# For Secure Boot: a key, a boot loader that is signed with it, and shim, which starts our program if it
# finds the section .sbat in it.
secure() {
	fetch shim-unsigned
	mkdir -p secure
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=key of the tests/' \
		-keyout secure/key -out secure/cert 2>/dev/null
	openssl x509 -in secure/cert -outform DER -out secure/cert.der
	python3 "$here/uefi-keys.py" /usr/share/OVMF/OVMF_VARS_4M.fd secure/cert.der secure/vars.fd
	for program in "$uefi/probex64.efi" deb/shim-unsigned/usr/lib/shim/shimx64.efi; do
		sbsign --key secure/key --cert secure/cert --output "secure/${program##*/}" "$program" 2>/dev/null
	done
	gpt_disk raw/signed.raw 40
	put raw/signed.raw secure/probex64.efi /EFI/BOOT/BOOTX64.EFI
	qemu-img convert -c -O qcow2 raw/signed.raw secure/signed.qcow2
}

# Chains and a data file for a machine with a TPM. The second stick differs in one byte of one file.
# Both have the value that the TPM must show.
measured() {
	local name
	rm -rf measured && mkdir measured measured/first
	cp stick/probe.qcow2 measured/first/
	(
		cd measured/first
		head -c 200000 /dev/urandom >base.raw
		qemu-img create -q -f qcow2 -b probe.qcow2 -F qcow2 over.qcow2
		qemu-img create -q -f qcow2 -b base.raw -F raw top.qcow2
		qemu-img create -q -f qcow2 -o data_file=external.data external.qcow2 1M
		printf '\\%s measure=yes\n' over.qcow2 'top.qcow2 blocksize=4096' external.qcow2 >qcow2.cfg
		printf '\\top.qcow2\n' >>qcow2.cfg
	)
	cp -r measured/first measured/second
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(123456); b = f.read(1)[0]
f.seek(123456); f.write(bytes([b ^ 1]))' measured/second/base.raw
	for name in first second; do
		(cd measured/$name && sh "$here/../../port/uefi/pcr.sh" disk qcow2:over.qcow2 qcow2:probe.qcow2 \
			disk=4096 qcow2:top.qcow2 raw:base.raw disk qcow2:external.qcow2 data:external.data \
			unmeasured) >expect/measured-$name
	done
}

linux_disk
secure
probe_disk probe probe zstd
probe_disk returns probe-returns zlib
variants
measured
broken
damaged l1-entry break-l1 'invalid L1 or L2 table entry'
damaged l2-entry break-entry 'invalid L1 or L2 table entry'
damaged data break-data 'compressed data is corrupt'
