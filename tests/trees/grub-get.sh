#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Downloads and unpacks what grub-boot.sh boots, from packages of Debian 12 and 13, without installing it.
#	grub-get.sh OUT-DIR    OUT-DIR/grub-{bookworm,trixie}/usr/lib/grub, OUT-DIR/linux/boot
# What is there already is not downloaded again.
set -eu
mkdir -p "${1:?usage: grub-get.sh OUT-DIR}"
out=$(cd "$1" && pwd)
from=/etc/apt/sources.list.d/debian.sources
[ -f "$from" ] || { echo "$from is missing: grub-get.sh knows only Debian 12" >&2 && exit 1; }
mkdir -p "$out/binary-parts" "$out/binary-lists/partial"

download() { # FOLDER PACKAGE...
	to=$out/$1
	shift
	[ ! -d "$to" ] || return 0
	rm -rf "$to.new" && mkdir "$to.new"
	(cd "$to.new" && apt-get -q -o APT::Sandbox::User=root download "$@" && for file in *.deb; do dpkg-deb -x "$file" .; done)
	rm "$to.new"/*.deb
	mv "$to.new" "$to"
}

download linux "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-\)/\1/p')"
download grub-bookworm grub-pc-bin grub-efi-amd64-bin
awk 'BEGIN { RS = ""; ORS = "\n\n" } /Suites:.* bookworm( |\n)/' "$from" |
	sed 's/^\(Suites:\).*/\1 trixie/' >"$out/binary-parts/trixie.sources"
cat >"$out/binary.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$out/binary-parts";
Dir::State::Lists "$out/binary-lists";
Dir::State::status "/dev/null";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
[ -d "$out/grub-trixie" ] || APT_CONFIG=$out/binary.conf apt-get -o APT::Sandbox::User=root update -q
APT_CONFIG=$out/binary.conf download grub-trixie grub-pc-bin grub-efi-amd64-bin
