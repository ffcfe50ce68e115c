#!/bin/bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Tests what port/debian/debian.mk makes: packages, releases, the list of contents, and the ABI. As root: the
# packages are installed into a copy of the system, which is in memory and ends with this script.
#	packages.sh BUILD-DIR [PART...]      make all has run; parts: sources abi packages reproduction
set -eu
# Mounts are seen by this script alone.
[ "${IN_NAMESPACE-}" = yes ] || exec env IN_NAMESPACE=yes unshare --mount --propagation private bash "$0" "$@"
build=$(realpath "$1")
shift
parts=${*:-sources abi packages reproduction}
cd "$(dirname "$0")/../.."
version=$(make -s print-version)
work=$(mktemp -d)
mounted=
cleanup() {
	# Never remove what is behind a mount, such as /dev.
	[ -z "$mounted" ] || umount -R "$work/system" || exit 1
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
passed=0

ok() { passed=$((passed + 1)); }
fail() { echo "FAILED: $*"; exit 1; }

# A release has all files of the commit, and always the same bytes.
sources() {
	local tarball=$build/libqcow2-$version.tar.gz
	make -s dist O="$build" && cp "$tarball" "$work/first.tar.gz" && sleep 1
	(umask 077 && make -s dist O="$build")
	cmp "$work/first.tar.gz" "$tarball" || fail 'make dist makes something else the second time'
	tar tzf "$tarball" | grep -v '/$' | sed "s|^libqcow2-$version/||" | sort | cmp - <(git ls-tree -r --name-only HEAD | sort) ||
		fail 'the release has other files than the commit'
	ok
	make -s sbom O="$build"
	cp "$build/libqcow2.spdx.json" "$work/first.json" && make -s sbom O="$build"
	cmp "$work/first.json" "$build/libqcow2.spdx.json" || fail 'make sbom writes something else the second time'
	/usr/bin/python3 tests/installed/sbom.py "$build/libqcow2.spdx.json" "$version" libdeflate libzstd libgcrypt
	ok
	make -s sbom O="$build" POSIX_DEFLATE=builtin POSIX_ZSTD=builtin POSIX_CRYPTO=none
	/usr/bin/python3 tests/installed/sbom.py "$build/libqcow2.spdx.json" "$version"
	ok
	# The version of the packages, and their symbols, are those of the library.
	[ "$(sed -n '1s/.*(\(.*\)-[0-9]*).*/\1/p' port/debian/changelog)" = "$version" ] ||
		fail 'port/debian/changelog has another version than the Makefile'
	diff <(sed -n 's/^ \(qcow2_[a-z0-9_]*\)@.*/\1/p' port/debian/libqcow2-0.symbols | LC_ALL=C sort) \
		<(sed -n 's/^	\(qcow2_[a-z0-9_]*\);$/\1/p' port/posix/libqcow2.map | LC_ALL=C sort) ||
		fail 'libqcow2-0.symbols has other symbols than libqcow2.map'
	ok
}

# The ABI is that of the last release, and a struct or a call that changes is noticed.
abi() {
	make -s abi O="$build" CFLAGS='-O2 -g -Werror' || fail 'the ABI has changed; see port/debian/README.md'
	ok
	sed "/'qcow2_segment'/s/size-in-bits='[0-9]*'/size-in-bits='256'/" port/debian/libqcow2.abi >"$work/size.abi"
	sed "/elf-symbol name='qcow2_get_fd'/d" port/debian/libqcow2.abi >"$work/call.abi"
	! cmp -s port/debian/libqcow2.abi "$work/size.abi" || fail 'the ABI does not have qcow2_segment'
	! abidiff "$work/size.abi" port/debian/libqcow2.abi >/dev/null || fail 'abidiff misses a struct that grows'
	! abidiff port/debian/libqcow2.abi "$work/call.abi" >/dev/null || fail 'abidiff misses a call that is gone'
	ok
	hardening-check --nocfprotection "$build/qcow2" >"$work/log" || fail "$(cat "$work/log")"
	ok
}

# The packages of a faster build: less optimization, no debug packages.
made_packages() {
	export DEB_BUILD_OPTIONS=noautodbgsym DEB_CFLAGS_APPEND=-O1 OMP_NUM_THREADS=1
	make -s deb O="$build" DEB_OPTIONS=--no-check-builddeps >"$work/log" 2>&1 || fail "make deb: $(tail -n 40 "$work/log")"
}

in_system() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }

# A copy of the system: what is written to it is in memory.
copy_system() {
	root=$work/system/root
	mkdir "$work/system"
	mount -t tmpfs none "$work/system"
	mounted=yes
	mkdir "$work"/system/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=/,upperdir=$work/system/upper,workdir=$work/system/work" "$root"
	mount --bind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	# apt looks for packages nowhere else, and man-db makes no index.
	rm -rf "$root"/etc/apt/sources.list* "$root/var/lib/man-db/auto-update" "$root/var/cache/apt/archives"
	mkdir -p "$root/etc/apt/sources.list.d" "$root/packages/tree" "$root/var/cache/apt/archives/partial"
	touch "$root/etc/apt/sources.list"
	cp "$build"/deb/*.deb "$root/packages"
	cp -r port/debian "$root/packages/tree/debian"
}

installed_packages() {
	local names
	names=$(sed -n 's/^Package: //p' port/debian/control)
	copy_system
	in_system dpkg -l $names 2>/dev/null | grep '^ii' && fail 'this machine has the packages already'
	# autopkgtest installs the packages, as apt does.
	in_system sh -c 'cd /packages && autopkgtest --no-built-binaries tree/ ./*.deb -- null' >"$work/log" 2>&1 ||
		fail "autopkgtest: $(tail -n 40 "$work/log")"
	grep -q '^installed *PASS' "$work/log" || fail "autopkgtest: $(tail -n 40 "$work/log")"
	ok
	in_system hardening-check --nocfprotection /usr/bin/qcow2 >"$work/log" || fail "$(cat "$work/log")"
	in_system ldconfig -p | grep -q 'libqcow2\.so\.0 ' || fail 'the system does not find libqcow2.so.0'
	[ "$(in_system man -w qcow2-info)" = /usr/share/man/man1/qcow2.1.gz ] || fail 'man qcow2-info'
	ok
	in_system dpkg --remove $names >"$work/log" 2>&1 || fail "dpkg --remove: $(cat "$work/log")"
	in_system dpkg --purge $names >"$work/log" 2>&1 || fail "dpkg --purge: $(cat "$work/log")"
	! find "$root"/usr "$root"/etc "$root"/var/lib/dpkg/info -xdev -name '*qcow2*' -newer "$work/system/upper/packages" |
		grep . || fail 'purging leaves these files'
	! in_system ldconfig -p | grep libqcow2 || fail 'the system still knows the library'
	ok
}

packages() {
	made_packages
	[ "$(cd "$build/deb" && ls -- *.deb | sed 's/_.*//' | tr '\n' ' ')" = \
		"$(sed -n 's/^Package: //p' port/debian/control | sort | tr '\n' ' ')" ] || fail "packages: $(ls "$build/deb")"
	# The tag is for the first upload to Debian, which closes the request for the package.
	lintian -I --allow-root --suppress-tags initial-upload-closes-no-bugs "$build"/deb/*.changes >"$work/log" 2>&1 || true
	[ ! -s "$work/log" ] || fail "lintian: $(cat "$work/log")"
	ok
	installed_packages
}

# The same library in another folder.
reproduction() {
	local there=$work/another/folder
	mkdir -p "$there"
	git ls-files -z -co --exclude-standard | tar c --null -T - | tar x -C "$there"
	for folder in "$PWD" "$there"; do
		make -s -C "$folder" O=build/reproduced CFLAGS="-O0 -g -ffile-prefix-map=$folder=." build/reproduced/libqcow2.so.0 \
			build/reproduced/libqcow2.a >"$work/log" 2>&1 || fail "$(cat "$work/log")"
	done
	for file in libqcow2.so.0 libqcow2.a; do
		cmp "build/reproduced/$file" "$there/build/reproduced/$file" || fail "$file depends on the folder"
	done
	ok
}

for part in $parts; do $part; done
echo "$passed passed, 0 failed"
