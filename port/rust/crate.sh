#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes the crate: the files of this folder, the two files of the core, and src/bindings.rs, which
# bindgen makes from the header. Users of the crate need neither bindgen nor this tree.
#	crate.sh DIR AMALGAMATION VERSION
set -eu
dir=${1:?usage: crate.sh DIR AMALGAMATION VERSION}
core=${2:?usage: crate.sh DIR AMALGAMATION VERSION}
version=${3:?usage: crate.sh DIR AMALGAMATION VERSION}
here=$(dirname "$0")
bindgen=${BINDGEN:-bindgen}

command -v "$bindgen" >/dev/null || {
	echo "$bindgen is not installed; in Debian, the package bindgen has it" >&2
	exit 1
}
rm -rf "$dir"
mkdir -p "$dir/src" "$dir/examples"
sed "/@VERSION@ is/d; s/@VERSION@/$version/" "$here/Cargo.toml" >"$dir/Cargo.toml"
cp "$here/build.rs" "$here/README.md" "$here/../../LICENSE" "$core/qcow2_core.c" "$core/qcow2_core.h" "$dir"
cp "$here/src/lib.rs" "$dir/src"
cp "$here/examples/read.rs" "$dir/examples"

# Enums of C are numbers, because a status or a kind may be one that the header does not name.
bind() { # OPTION...
	"$bindgen" "$dir/qcow2_core.h" --use-core --ctypes-prefix crate::ctypes --size_t-is-usize \
		--allowlist-function 'qcow2_.*' --allowlist-type 'qcow2_.*' \
		--allowlist-var '(QCOW2|qcow2)_.*' --no-prepend-enum-name \
		--rust-target 1.47 "$@" -- -std=c11 -ffreestanding
}
bind --no-layout-tests >"$dir/src/bindings.rs"

# The tests that each struct is as the compiler of C lays it out on this machine. They are no part of
# the crate, because on others the numbers differ.
bind | awk 'BEGIN { print "use qcow2_core_sys::*;" } /^#\[test\]/ { on = 1 } on { print } /^}/ { on = 0 }' \
	>"$dir.layout.rs"
