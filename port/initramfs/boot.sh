# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# shellcheck shell=sh
# What the scripts of initramfs-tools and of dracut share. The shell may be dash, and the only
# programs are those of klibc, blkid, modprobe and qcow2.
#
# README.md describes the words of the kernel's command line and the EFI variable.

QCOW2_DEVICE=/dev/nbd0
QCOW2_RUN=/run/qcow2
QCOW2_HOST=$QCOW2_RUN/host # where the outer file system is mounted until the image is open
QCOW2_EFI=/sys/firmware/efi/efivars
QCOW2_VARIABLE=Qcow2Boot-6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d
qcow2_newline='
'

qcow2_say() {
	echo "qcow2: $*" >&2
}

# Sets qcow2_image=DEVICE:/PATH, and qcow2_backing, a line for each file, qcow2_data and qcow2_overlay.
qcow2_read_command_line() {
	qcow2_image='' qcow2_backing='' qcow2_data='' qcow2_overlay=tmpfs
	IFS= read -r qcow2_line <"${QCOW2_CMDLINE:-/proc/cmdline}" || [ -n "$qcow2_line" ] || return 0
	set -f
	for qcow2_word in $qcow2_line; do
		case $qcow2_word in
		qcow2=*) qcow2_image=${qcow2_word#*=} ;;
		qcow2.backing=*) qcow2_backing=$qcow2_backing${qcow2_word#*=}$qcow2_newline ;;
		qcow2.data=*) qcow2_data=${qcow2_word#*=} ;;
		qcow2.overlay=*) qcow2_overlay=${qcow2_word#*=} ;;
		esac
	done
	set +f
}

# Sets the same from the variable that the UEFI program leaves. Its first four bytes, the attributes,
# stand before the first line; the shell drops those that are zero. The copy takes one call of the
# firmware, where the shell would make one for each byte.
qcow2_read_variable() {
	[ -d "${QCOW2_EFI%/*}" ] || return 0
	if [ ! -e "$QCOW2_EFI/$QCOW2_VARIABLE" ]; then
		modprobe -q efivarfs
		mount -t efivarfs efivarfs "$QCOW2_EFI" 2>/dev/null
	fi
	[ -e "$QCOW2_EFI/$QCOW2_VARIABLE" ] || return 0
	mkdir -p "$QCOW2_RUN"
	cat "$QCOW2_EFI/$QCOW2_VARIABLE" >"$QCOW2_RUN/variable"
	qcow2_read_lines "$QCOW2_RUN/variable"
}

qcow2_read_lines() { # FILE
	qcow2_version='' qcow2_partition='' qcow2_filesystem='' qcow2_path=''
	while IFS= read -r qcow2_line; do
		case $qcow2_line in
		partuuid=*) qcow2_partition=PARTUUID=${qcow2_line#*=} ;;
		fsuuid=*) qcow2_filesystem=UUID=${qcow2_line#*=} ;;
		path=*) qcow2_path=${qcow2_line#*=} ;;
		backing=*) qcow2_backing=$qcow2_backing${qcow2_line#*=}$qcow2_newline ;;
		data=*) qcow2_data=${qcow2_line#*=} ;;
		# Last, because a name may contain this word: the first line begins with the attributes.
		*version=*) [ -n "$qcow2_version" ] || qcow2_version=${qcow2_line#*version=} ;;
		esac
	done <"$1"
	# A stick without a partition table has only the name of its file system.
	: "${qcow2_partition:=$qcow2_filesystem}"
	if [ "$qcow2_version" != 1 ] || [ -z "$qcow2_partition" ] || [ -z "$qcow2_path" ]; then
		qcow2_say "the EFI variable $QCOW2_VARIABLE has another version; use qcow2= instead"
		return 0
	fi
	qcow2_image=$qcow2_partition:$qcow2_path
}

# Reads both. Fails if the system is not to come from an image.
qcow2_configure() {
	qcow2_read_command_line
	[ -n "$qcow2_image" ] || qcow2_read_variable
	[ -n "$qcow2_image" ] || return 1
	case $qcow2_image in
	*:/*) return 0 ;;
	esac
	qcow2_say "cannot read 'qcow2=$qcow2_image'; expected FSUUID:/path/of/image.qcow2"
	return 1
}

# Prints the block device with this name: a UUID, UUID=, PARTUUID=, LABEL= or a path.
qcow2_find() { # NAME
	case $1 in
	/dev/*) [ -b "$1" ] && echo "$1" ;;
	*=*) blkid -t "$1" -o device | qcow2_first ;;
	*) blkid -t "UUID=$1" -o device | qcow2_first ;;
	esac
}

qcow2_first() {
	IFS= read -r qcow2_line && echo "$qcow2_line"
}

# mount(8) of klibc and busybox does not find out the type by itself.
qcow2_mount() { # DEVICE DIRECTORY MODE
	qcow2_type=$(blkid -o value -s TYPE "$1")
	mkdir -p "$2"
	modprobe -q "$qcow2_type"
	case $qcow2_type in
	ext3 | ext4) [ "$3" = rw ] || { mount -t "$qcow2_type" -o ro,noload "$1" "$2"; return; } ;;
	esac
	mount -t "$qcow2_type" -o "$3" "$1" "$2"
}

# Attaches the image, whose file system is mounted. Without a list of backing files, the image's own
# names count, if they stay in its directory.
qcow2_attach_mounted() {
	set --
	[ -z "$qcow2_data" ] || set -- "$@" --data-file "$QCOW2_HOST$qcow2_data"
	[ -n "$qcow2_backing" ] || set -- --follow "$@"
	while IFS= read -r qcow2_line; do
		[ -z "$qcow2_line" ] || set -- "$@" --backing "$QCOW2_HOST$qcow2_line"
	done <<-END
		$qcow2_backing
	END
	qcow2 attach --quiet "$@" "$QCOW2_HOST${qcow2_image#*:}" "$QCOW2_DEVICE"
}

# Mounts the outer file system, attaches the image, and takes the mount out of sight again: the open
# image keeps the file system, and nothing at shutdown tries to unmount it in vain.
qcow2_attach() { # OUTER-DEVICE
	modprobe -q nbd max_part=16
	qcow2_mode=ro
	case $qcow2_overlay in
	# If changes go to the same file system, it is writable from the beginning: later, ext4 could become
	# so only without its journal.
	*:/*) [ "$(qcow2_find "${qcow2_overlay%%:/*}")" != "$1" ] || qcow2_mode=rw ;;
	esac
	qcow2_mount "$1" "$QCOW2_HOST" $qcow2_mode || {
		qcow2_say "cannot mount $1, which has the image"
		return 1
	}
	qcow2_attach_mounted
	qcow2_status=$?
	umount -l "$QCOW2_HOST"
	return $qcow2_status
}

# Puts a writable file system above the root, which is mounted at DIRECTORY, and covers that mount. The
# layers of an overlay stay in use when their own mounts are out of sight.
qcow2_overlay_root() { # DIRECTORY
	[ "$qcow2_overlay" != none ] || return 0
	modprobe -q overlay
	mkdir -p $QCOW2_RUN/upper
	qcow2_mount_upper || return 1
	mkdir -p "$qcow2_upper/upper" "$qcow2_upper/work"
	mount -t overlay -o "lowerdir=$1,upperdir=$qcow2_upper/upper,workdir=$qcow2_upper/work" \
		overlay "$1" || {
		qcow2_say "cannot mount the overlay in $qcow2_overlay"
		return 1
	}
	umount -l $QCOW2_RUN/upper
}

# Mounts what the overlay writes to, and sets qcow2_upper to the directory for it.
qcow2_mount_upper() {
	case $qcow2_overlay in
	tmpfs)
		qcow2_upper=$QCOW2_RUN/upper
		mount -t tmpfs -o mode=0755 tmpfs $QCOW2_RUN/upper
		;;
	*:/*)
		qcow2_upper=$QCOW2_RUN/upper${qcow2_overlay#*:}
		qcow2_outer=$(qcow2_find "${qcow2_overlay%%:/*}")
		if [ -z "$qcow2_outer" ] || ! qcow2_mount "$qcow2_outer" $QCOW2_RUN/upper rw; then
			qcow2_say "cannot mount the file system of qcow2.overlay=$qcow2_overlay"
			return 1
		fi
		;;
	*)
		qcow2_say "cannot read 'qcow2.overlay=$qcow2_overlay'; expected tmpfs, none or FSUUID:/dir"
		return 1
		;;
	esac
}


# Says which process serves the disk. Other init programs than systemd end all processes at shutdown but those
# that are named so.
qcow2_spare_server() {
	mkdir -p /run/sendsigs.omit.d
	cat /sys/block/nbd0/pid >/run/sendsigs.omit.d/qcow2
}
