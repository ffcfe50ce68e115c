#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Builds the Rust crate as a program that uses it does, offline, with cargo and the crate cc of Debian.
# The structs must be as the header has them, the example must read the same bytes as qemu-img and
# report damage, and a program without std must link and read its image.
#	rust.sh BUILD-DIR      after make rust-crate
set -u
build=$(realpath "${1:?usage: rust.sh BUILD-DIR}")
here=$(realpath "$(dirname "$0")")
. "$here/../firmware/ok.sh"
crate=$build/rust/qcow2-core-sys
dir=$build/rust/test
# Only Debian's tools and crates: nothing of a rustup, and nothing from the network.
export PATH=/usr/bin:/bin CARGO_HOME=$build/rust/home CARGO_TARGET_DIR=$build/rust/target
rm -rf "$dir" && mkdir -p "$dir" "$build/rust/.cargo" && cd "$dir" || exit 1
cat >"$build/rust/.cargo/config.toml" <<'END_OF_CONFIG'
[source.crates-io]
replace-with = "debian"

[source.debian]
directory = "/usr/share/cargo/registry"
END_OF_CONFIG

cargo_in_crate() {
	(cd "$crate" && cargo --offline --quiet "$@")
}

layout() { # the tests that bindgen makes from the header
	mkdir -p "$crate/tests" && cp "$crate.layout.rs" "$crate/tests/layout.rs" &&
		cargo_in_crate test --test layout >layout.log 2>&1 || { cat layout.log; return 1; }
	# Each struct of the header that can be declared outside the core.
	local structs
	structs=$(grep -cE '^struct qcow2_[a-z_0-9]+ \{' "$crate/qcow2_core.h")
	grep -q "ok. $((structs + 1)) passed" layout.log || { echo "$structs structs"; cat layout.log; return 1; }
}

example() { # IMAGE: the example writes what qemu-img does
	qemu-img convert -O raw "$1" want && "$build/rust/target/debug/examples/read" "$1" >got && cmp got want
}

fails_with() { # TEXT IMAGE
	"$build/rust/target/debug/examples/read" "$2" 2>log >/dev/null && return 1
	grep -qxF "$2: $1" log || { cat log; return 1; }
}

without_std() { # NAME: an image of tests/freestanding
	local of=$build/tests/freestanding
	IMAGE=$of/$1.image CONTENT=$of/$1.content rustc --edition 2018 -O -C panic=abort \
		-L "dependency=$build/rust/target/debug/deps" \
		--extern "qcow2_core_sys=$build/rust/target/debug/libqcow2_core_sys.rlib" \
		-o alone "$here/alone.rs" && timeout 60 ./alone
}

qemu-img create -q -f qcow2 -o cluster_size=4k plain.qcow2 3M &&
	qemu-io -f qcow2 -c 'write -q -P 0x5a 100k 70k' -c 'write -q -P 7 2M 333k' plain.qcow2 &&
	qemu-img convert -c -O qcow2 plain.qcow2 deflate.qcow2 &&
	qemu-img convert -c -O qcow2 -o compression_type=zstd plain.qcow2 zstd.qcow2 &&
	qemu-img create -q -f qcow2 -b plain.qcow2 -F qcow2 top.qcow2 &&
	head -c $(($(stat -c %s deflate.qcow2) - 4096)) deflate.qcow2 >short.qcow2 || exit 1

ok 'cargo builds the crate and its example' cargo_in_crate build --lib --example read
ok 'the structs are as in the header' layout
for image in plain deflate zstd; do
	ok "the example reads $image.qcow2" example $image.qcow2
done
ok 'it refuses an image with a backing file' fails_with 'needs its backing file' top.qcow2
ok 'it reports damage, with its position' fails_with \
	"$(printf 'image is truncated, at byte %#x' "$(stat -c %s short.qcow2)")" short.qcow2
ok 'it refuses what is no image' fails_with 'not a qcow2 image, at byte 0x0' want
for image in plain compressed; do
	ok "a program without std reads $image" without_std $image
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
