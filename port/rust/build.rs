// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
//! Compiles the core for the target. CC, CFLAGS and their variants for a target work as with all
//! users of the crate `cc`.
use std::env;

fn main() {
    let mut build = cc::Build::new();

    build.file("qcow2_core.c");
    build.flag_if_supported("-std=c11");
    build.flag_if_supported("-ffunction-sections");
    build.flag_if_supported("-fdata-sections");
    // Every Rust program has memcpy and memset: from its libc, or from compiler_builtins.
    build.define("QCOW2_CORE_MEM", "0");
    // Where there is no operating system, compilers may have no headers but their own.
    if let Ok("none" | "uefi") = env::var("CARGO_CFG_TARGET_OS").as_deref() {
        build.flag("-ffreestanding");
    }
    build.compile("qcow2_core");
    println!("cargo:rerun-if-changed=qcow2_core.c");
    println!("cargo:rerun-if-changed=qcow2_core.h");
}
