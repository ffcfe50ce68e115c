#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Downloads and unpacks the sources that Debian's packages of U-Boot, GRUB, TF-A and EDK2 are built from, as
# their authors released them, without Debian's patches. Of EDK2, only what builds a package like ours.
#	get.sh OUT-DIR    OUT-DIR/{bookworm,trixie}/{u-boot,grub2,arm-trusted-firmware,edk2}
# The lists of packages are those of this machine, for source packages and for both releases. What is
# there already is not downloaded again.
set -eu
mkdir -p "${1:?usage: get.sh OUT-DIR}"
out=$(cd "$1" && pwd)
from=/etc/apt/sources.list.d/debian.sources
[ -f "$from" ] || { echo "$from is missing: get.sh knows only Debian 12" >&2 && exit 1; }
mkdir -p "$out/parts" "$out/lists/partial" "$out/archives"
# Only the paragraph of the release itself: the archives that we want do not change afterwards.
awk 'BEGIN { RS = ""; ORS = "\n\n" } /Suites:.* bookworm( |\n)/' "$from" |
	sed 's/^Types: deb$/Types: deb-src/; s/^\(Suites:\).*/\1 bookworm/' >"$out/parts/bookworm.sources"
sed 's/bookworm/trixie/g' "$out/parts/bookworm.sources" >"$out/parts/trixie.sources"
cat >"$out/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$out/parts";
Dir::State::Lists "$out/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
END
export APT_CONFIG="$out/apt.conf"

# Prints "URI NAME SHA256:..." of the archive with the released source.
archive() { # PACKAGE RELEASE
	apt-get source --print-uris -qq "$1/$2" |
		sed -nE "s/^'([^']*)' ([^ ]*\.orig\.tar\.[a-z0-9]*) [0-9]* (SHA256:[0-9a-f]*)\$/\1 \2 \3/p"
}

updated=
for release in bookworm trixie; do
	for package in u-boot grub2 arm-trusted-firmware edk2; do
		to=$out/$release/$package
		[ ! -f "$to.done" ] || continue
		[ -n "$updated" ] || apt-get update -q
		updated=yes
		found=$(archive $package $release)
		# shellcheck disable=SC2086
		set -- $found
		[ $# -eq 3 ] || { echo "no source of $package in $release: $found" >&2 && exit 1; }
		[ -f "$out/archives/$2" ] || /usr/lib/apt/apt-helper download-file "$1" "$out/archives/$2" "$3"
		rm -rf "$to"
		mkdir -p "$to"
		if [ $package = edk2 ]; then
			tar -xf "$out/archives/$2" -C "$to" --strip-components=1 --wildcards --no-wildcards-match-slash \
				'*/BaseTools' '*/MdePkg' '*/edksetup.sh'
		else
			tar -xf "$out/archives/$2" -C "$to" --strip-components=1 --exclude='*/dts/upstream/src' \
				--exclude='*/doc/*.svg' --exclude='*/po'
		fi
		touch "$to.done"
	done
done
