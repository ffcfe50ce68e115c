// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
//! The crate in a program without std: reads the image in IMAGE, which is built into it, and exits
//! with 0 if the disk is the bytes in CONTENT.
#![no_std]
#![no_main]
use core::mem::MaybeUninit;
use core::{ptr, slice};
use qcow2_core_sys::*;

#[link(name = "c")]
extern "C" {}

static IMAGE: &[u8] = include_bytes!(env!("IMAGE"));
static CONTENT: &[u8] = include_bytes!(env!("CONTENT"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

unsafe extern "C" fn read_image(
    _: *mut ctypes::c_void,
    pos: u64,
    buf: *mut ctypes::c_void,
    len: usize,
) -> ctypes::c_int {
    ptr::copy_nonoverlapping(IMAGE.as_ptr().add(pos as usize), buf as *mut u8, len);
    0
}

#[no_mangle]
pub unsafe extern "C" fn main() -> ctypes::c_int {
    let ops = qcow2_io_ops { read: Some(read_image) };
    let io = qcow2_io { ops: &ops, ctx: ptr::null_mut(), size: IMAGE.len() as u64 };
    let mut image = MaybeUninit::<qcow2_image>::uninit();
    let mut reader = MaybeUninit::<qcow2_reader>::uninit();
    let mut memory = [0u64; QCOW2_READER_MEMORY_DEFLATE as usize / 8];
    let mut piece = [0u8; 1000];
    let codecs = [ptr::addr_of!(qcow2_deflate_small), ptr::null()];

    let rc = qcow2_image_open(image.as_mut_ptr(), &io, 0, ptr::null_mut());
    if rc != QCOW2_OK || (*image.as_ptr()).size != CONTENT.len() as u64 {
        return 1;
    }
    let at = memory.as_mut_ptr() as *mut ctypes::c_void;
    let reader = reader.as_mut_ptr();
    if qcow2_reader_start(reader, image.as_ptr(), codecs.as_ptr(), at, memory.len() * 8) != QCOW2_OK {
        return 2;
    }
    for (n, want) in CONTENT.chunks(piece.len()).enumerate() {
        let off = (n * piece.len()) as u64;
        let buf = piece.as_mut_ptr();
        if qcow2_reader_read(reader, off, buf as *mut ctypes::c_void, want.len()) != QCOW2_OK
            || slice::from_raw_parts(buf, want.len()) != want
        {
            return 3;
        }
    }
    0
}
