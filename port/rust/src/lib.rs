// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
//! Declarations of the freestanding qcow2 reader, which `build.rs` compiles from `qcow2_core.c`.
//!
//! Each function, struct and constant is that of the C headers, under the same name.
//! `qcow2_core.h`, in this crate, says what each does, which statuses it returns and how long it
//! uses its arguments. The example `read` reads a whole image.
//!
//! A reader keeps pointers to the image, to the codecs and to its memory. An image keeps `io.ops` and
//! `io.ctx`, and pointers to the image below it and to the `qcow2_io` of its data file, if these are
//! attached. None of what they lead to may move or go away while the image or the reader is in use.
#![no_std]
#![allow(non_camel_case_types, non_upper_case_globals)]

#[cfg(target_pointer_width = "16")]
compile_error!("the declarations are for a C compiler whose int has 32 bits");

/// The types of C that the declarations use. `core::ffi` has them only since Rust 1.64.
pub mod ctypes {
    pub use core::ffi::c_void;
    pub type c_int = i32;
    pub type c_uint = u32;
    /// Text is read as bytes, so the sign of C's `char` does not matter.
    pub type c_char = u8;
    pub type c_uchar = u8;
    pub type c_ushort = u16;
}

include!("bindings.rs");

/// `QCOW2_READER_MEMORY_ZSTD`, a macro of C: bytes of memory for a reader that decodes zstd in
/// clusters of at most `1 << bits` bytes with `qcow2_zstd_small`.
pub const fn qcow2_reader_memory_zstd(bits: u32) -> usize {
    2 * QCOW2_READER_SLICE as usize + QCOW2_ZSTD_SMALL_WORK as usize + 512 + (1 << bits)
}

/// `QCOW2_READER_MEMORY_CLUSTER`, a macro of C: bytes of memory for a reader that decodes each
/// cluster of `1 << bits` bytes only once, with any codec whose `work_len` is at most `work`.
pub const fn qcow2_reader_memory_cluster(bits: u32, work: usize) -> usize {
    QCOW2_READER_SLICE as usize + work + (3 << bits)
}
