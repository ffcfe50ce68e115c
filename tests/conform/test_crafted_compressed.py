# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Crafted compressed clusters: the same bytes as QEMU for each, or an error on both sides."""
import ctypes
import random
import zlib

import pytest

from conform import EIO, cat_spans, cluster_spans, qcow2, refused
from crafted import V3, same_clusters


def deflate(data, level=6, wbits=-12, final=True):
    packer = zlib.compressobj(level, zlib.DEFLATED, wbits)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)


TEXT = b"".join(b"line %d of the text; " % i for i in range(400))[:4096]
NOISE = bytes((i * i * 7 + i // 3) & 0xff for i in range(4096))
RANDOM = random.Random(1).randbytes(4096)
FAR = (NOISE[:2048] + bytes(7000) + NOISE[:2048])[-4096:]
DEFLATED = {
    "plain": deflate(TEXT),
    "stored": deflate(NOISE, 0),
    "random": deflate(RANDOM),
    "window-15": deflate(FAR, wbits=-15),
    "zlib-wrapped": zlib.compress(TEXT),
    "too-long": deflate(TEXT + b"more and more"),
    "too-long-by-a-cluster": deflate(TEXT * 2),
    "too-short": deflate(TEXT[:4000]),
    "no-final-block": deflate(TEXT, final=False),
    "no-final-block-short": deflate(TEXT[:4000], final=False),
    "empty": b"\x03\x00",
    "garbage": NOISE[:600],
    "trailing-garbage": deflate(TEXT) + NOISE[:300],
    "bad-block-type": b"\x07" + deflate(TEXT),
    "damaged": deflate(TEXT)[:40] + b"\xff" * 8 + deflate(TEXT)[48:],
}


@pytest.mark.parametrize("at", (0, 1, 511))
@pytest.mark.parametrize("name", DEFLATED)
def test_deflate(name, at, build):
    packed = DEFLATED[name].hex()
    same_clusters(build(V3 + f"l2 0 data\nl2 1 packed at {at} {packed}\nl2 2 data\n"))


def test_over_declared(build):
    """The entry states more sectors than the file has, but the stream is complete: both read it."""
    image = build(V3 + f"l2 0 data\nl2 1 last_packed sectors 16 {deflate(TEXT).hex()}\n")
    assert same_clusters(image)[1] == TEXT


def test_consumed_past_the_end(build):
    """P4: a stream that the end of the file cuts is an error; QEMU pads it with zeros."""
    packed = deflate(RANDOM)[:1500]
    image = build(V3 + f"l2 0 data\nl2 1 last_packed sectors 8 {packed.hex()}\n")
    ours = cat_spans(image, cluster_spans(image), directory=image.parent)
    assert ours[1] is EIO and ours[0] is not EIO
    refused(qcow2("cat", "-s", "4K", "-n", "4K", image), "truncated", "at file offset")


# ---- zstd frames (RFC 8878), made by libzstd and by hand ----

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_createCCtx.restype = ctypes.c_void_p
ZSTD.ZSTD_compressBound.restype = ZSTD.ZSTD_compress2.restype = ctypes.c_size_t
ZSTD_WINDOW, ZSTD_SIZE, ZSTD_CHECKSUM = 101, 200, 201


def zstd(data, **parameters):
    numbers = {"window": ZSTD_WINDOW, "size": ZSTD_SIZE, "checksum": ZSTD_CHECKSUM}
    context = ctypes.c_void_p(ZSTD.ZSTD_createCCtx())
    for name, value in parameters.items():
        ZSTD.ZSTD_CCtx_setParameter(context, numbers[name], value)
    out = ctypes.create_string_buffer(2 * len(data) + 1000)
    length = ZSTD.ZSTD_compress2(context, out, ctypes.c_size_t(len(out)), data,
                                 ctypes.c_size_t(len(data)))
    ZSTD.ZSTD_freeCCtx(context)
    return out.raw[:length]


def raw_frame(data, window_log=None, dictionary=None):
    """One raw block, with a window descriptor or as a single segment."""
    magic, block = b"\x28\xb5\x2f\xfd", (len(data) << 3 | 1).to_bytes(3, "little") + data
    if window_log is not None:
        return magic + bytes([0x00, (window_log - 10) << 3]) + block
    flags = 0x61 if dictionary is not None else 0x60
    name = bytes([dictionary]) if dictionary is not None else b""
    return magic + bytes([flags]) + name + (len(data) - 256).to_bytes(2, "little") + block


SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00junk!"
EMPTY_FRAME = b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
ZSTANDARD = {
    "plain": zstd(TEXT),
    "no-size": zstd(TEXT, size=0),
    "checksum": zstd(TEXT, checksum=1),
    "checksum-bad": zstd(TEXT, checksum=1)[:-1] + b"\x00",
    "two-frames": zstd(TEXT[:1000]) + zstd(TEXT[1000:]),
    "skippable-first": SKIPPABLE + zstd(TEXT),
    "empty-first": EMPTY_FRAME + zstd(TEXT),
    "trailing-garbage": zstd(TEXT) + NOISE[:100],
    "too-long": zstd(TEXT + b"x"),
    "too-long-second": zstd(TEXT[:1000]) + zstd(TEXT),
    "too-short": zstd(TEXT[:4000]),
    "raw-block": raw_frame(NOISE),
    "window-27": raw_frame(NOISE, window_log=27),
    "window-28": raw_frame(NOISE, window_log=28),
    "dictionary": raw_frame(NOISE, dictionary=7),
    "deflate": deflate(TEXT),
    "garbage": NOISE[:500],
    "cut": zstd(RANDOM)[:900],
}


@pytest.mark.parametrize("name", ZSTANDARD)
def test_zstd(name, build):
    packed = ZSTANDARD[name].hex()
    same_clusters(build(V3 + f"compression 1\nl2 0 data\nl2 1 packed {packed}\nl2 2 data\n"))
