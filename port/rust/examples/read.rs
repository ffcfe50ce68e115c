// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
//! Writes the disk in a qcow2 image to standard output: `cargo run --example read disk.qcow2`.
//! The image must not need another file.
use qcow2_core_sys::*;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::os::unix::fs::FileExt;
use std::{env, process, ptr};

const PIECE: u64 = 65536;

/// The callback of the core: all bytes, or an error code of our own.
unsafe extern "C" fn read_file(
    ctx: *mut ctypes::c_void,
    pos: u64,
    buf: *mut ctypes::c_void,
    len: usize,
) -> ctypes::c_int {
    let file = &*(ctx as *const File);

    // The core has not written the buffer before.
    ptr::write_bytes(buf as *mut u8, 0, len);
    match file.read_exact_at(std::slice::from_raw_parts_mut(buf as *mut u8, len), pos) {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    }
}

fn text(status: i32) -> String {
    let text = unsafe { CStr::from_ptr(qcow2_status_text(status) as *const c_char) };

    text.to_string_lossy().into_owned()
}

fn check(status: i32, pos: u64) -> Result<(), String> {
    match status {
        QCOW2_OK => Ok(()),
        // The caller's mistakes have no position.
        s if s > QCOW2_E_IO => Err(text(s)),
        s => Err(format!("{}, at byte {:#x}", text(s), pos)),
    }
}

fn copy(path: &str, out: &mut dyn Write) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    let ops = qcow2_io_ops { read: Some(read_file) };
    let io = qcow2_io { ops: &ops, ctx: &file as *const File as *mut ctypes::c_void, size };
    let mut error = MaybeUninit::<qcow2_error>::zeroed();
    let mut image = MaybeUninit::<qcow2_image>::uninit();
    let mut reader = MaybeUninit::<qcow2_reader>::uninit();
    let codecs: [*const qcow2_codec; 3] = unsafe {
        [ptr::addr_of!(qcow2_deflate_small), ptr::addr_of!(qcow2_zstd_small), ptr::null()]
    };

    let (image, error) = unsafe {
        let status = qcow2_image_open(image.as_mut_ptr(), &io, 0, error.as_mut_ptr());
        check(status, error.assume_init_ref().pos)?;
        (image.assume_init_ref(), error.assume_init_mut())
    };
    let (mut least, mut good) = (0, 0);
    check(unsafe { qcow2_reader_memory(image, codecs.as_ptr(), &mut least, &mut good) }, 0)?;
    let mut memory = vec![0u64; (good + 7) / 8];
    let reader = unsafe {
        let status = qcow2_reader_start(
            reader.as_mut_ptr(),
            image,
            codecs.as_ptr(),
            memory.as_mut_ptr() as *mut ctypes::c_void,
            memory.len() * 8,
        );
        *error = reader.assume_init_ref().error;
        check(status, error.pos)?;
        reader.assume_init_mut()
    };

    let mut piece = vec![0u8; PIECE as usize];
    let mut off = 0;
    while off < image.size {
        let len = PIECE.min(image.size - off) as usize;
        let buf = piece.as_mut_ptr() as *mut ctypes::c_void;
        check(unsafe { qcow2_reader_read(reader, off, buf, len) }, reader.error.pos)?;
        out.write_all(&piece[..len]).map_err(|e| e.to_string())?;
        off += len as u64;
    }
    out.flush().map_err(|e| e.to_string())
}

fn main() {
    let path = env::args().nth(1).unwrap_or_else(|| {
        eprintln!("usage: read IMAGE");
        process::exit(2);
    });
    if let Err(message) = copy(&path, &mut io::stdout().lock()) {
        eprintln!("{}: {}", path, message);
        process::exit(1);
    }
}
