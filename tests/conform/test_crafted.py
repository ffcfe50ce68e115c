# SPDX-License-Identifier: MIT
"""Images crafted entry by entry: the same answer as qemu for each cluster, errors included.

Where we differ on purpose (the README says where and why), a test shows both sides.
"""
import ctypes
import json
import random
import zlib

import pytest

from conform import (EIO, assert_same_map, cat_spans, cluster_spans, make, qcow2, qcow2_json,
                     qcow2_ok, qemu_info, qemu_spans, refused, run)

V3 = "version 3\ncluster_bits 12\nsize 64k\n"
V2 = "version 2\ncluster_bits 12\nsize 64k\n"
EXTENDED = "version 3\ncluster_bits 14\nsize 256k\nextended_l2\n"
DATA_FILE = 'version 3\ncluster_bits 12\nsize 64k\ndata_file "disk.raw"\n'
FULL = "l2 0-3 data\nl2 4 zero\nl2 5 zero_alloc\nl2 6 compressed\nl2 7 data\n"


def same_clusters(image, *options):
    """Each cluster by itself: the same bytes, or an error on both sides."""
    spans = cluster_spans(image)
    theirs = qemu_spans(image, spans)
    ours = cat_spans(image, spans, *options, directory=image.parent)
    for (off, _), a, b in zip(spans, theirs, ours):
        assert a == b, f"cluster at {off}: qemu {a and a[:16]}, we {b and b[:16]}"
    return ours


# ---- Mapping ----

MAPPING = {
    "every-kind": V3 + FULL,
    "every-kind-v2": V2 + "l2 0-3 data\nl2 6 compressed\nl2 7 data\n",
    "no-l2": V3,
    "compressed-before-zero": V3 + "l2 0 data as a\nl2 1 raw 1<<62|$a+1\n",
    "copied-only": V3 + "l2 0 raw 1<<63\nl2 1 data\n",
    "not-copied": V3 + "l2 0 data as a\nl2 1 raw $a\n",
    "copied-and-compressed": V3 + "l2 0 data as a\nl2 1 raw 3<<62|$a\n",
    "reserved-bits-l2": V3 + "l2 0 data as a\nl2 1 raw 1<<63|$a|0x3f<<56|0x1fe\n",
    "reserved-bits-zero": V3 + "l2 0 data as a\nl2 1 raw 0x3f<<56|1\n",
    "unaligned-data": V3 + "l2 0 data as a\nl2 1 raw 1<<63|$a+512\nl2 2 data\n",
    "unaligned-zero": V3 + "l2 0 data as a\nl2 1 raw 1<<63|$a+512|1\nl2 2 data\n",
    "zero-in-v2": V2 + "l2 0 data as a\nl2 1 raw 1\nl2 2 raw $a|1\nl2 3 data\n",
    "into-the-header": V3 + "l2 0 data\nl2 1 raw 1<<63|4096\n",
    "two-to-one-cluster": V3 + "l2 0 data as a\nl2 1 raw $a\nl2 2 raw $a\n",
    "unaligned-l2": V3 + "l2 0 data\nlayout\nput64 $l1 1<<63|512\n",
    "l1-bit-63-only": V3 + "l2 0 data\nlayout\nput64 $l1 1<<63\n",
    "l1-reserved-bits": V3 + "l2 0 data as a\nalloc t 1\nl1 0 $t|1<<63|0x7f<<56|0x1ff\n",
    "l1-longer": V3 + "l1_entries 64\nl2 0 data\n",
    "shuffled": V3 + "place shuffled\nl2 0-15 data\n",
    "gaps": V3 + "place gaps\nl2 0-15 data\n",
    "tail-cut": V3 + "l2 0 data\nl2 15 last 100\n",
}


@pytest.mark.parametrize("name", MAPPING)
def test_mapping(name, build):
    same_clusters(build(MAPPING[name]))


# ---- Extended L2 entries ----

def bitmaps():
    yield from (0, 0xffffffff, 0xffffffff << 32, 1, 1 << 31, 1 << 32, 1 << 63, 0x5555aaaa,
                0x0f0f0f0f_f0f0f0f0, 0xaaaaaaaa_55555555, 0xffff0000_0000ffff)
    yield from (1 << 32 | 1, 0x80000000_80000000)  # both bits: the cluster is invalid


SUBCLUSTERS = {
    "host": EXTENDED + "".join(f"l2 {i} subclusters {b:#x} host\n"
                               for i, b in enumerate(bitmaps())),
    "no-host": EXTENDED + "l2 15 data\n" + "".join(f"l2 {i} raw 0 {b:#x}\n"
                                                   for i, b in enumerate(bitmaps())),
    "zero-bit-ignored": EXTENDED + "l2 0 data as a\nl2 1 raw $a|1 0xffff\n",
    "compressed": EXTENDED + "l2 0 compressed\nl2 1 data\n",
    "unaligned": EXTENDED + "l2 0 data as a\nl2 1 raw $a+512 0xffff\nl2 2 raw $a+512 0\nl2 3 data\n",
}


@pytest.mark.parametrize("name", SUBCLUSTERS)
def test_subclusters(name, build):
    same_clusters(build(SUBCLUSTERS[name]))


# ---- External data files ----

WITH_DATA_FILE = {
    "every-kind": DATA_FILE + "l2 0-3 data\nl2 5 zero\nl2 6 zero_alloc\n",
    "raw": DATA_FILE + "raw\nl2 0-15 data\n",
    "copied-at-0": DATA_FILE + "l2 1 data\nl2 0 raw 1<<63\n",
    "unallocated-at-0": DATA_FILE + "l2 1 data\nl2 0 raw 0\n",
    "other-offset": DATA_FILE + "l2 0-3 data\nl2 4 raw 1<<63|4096\nl2 5 data\n",
    "compressed": DATA_FILE + "l2 0 data\nl2 1 raw 1<<62|4096\n",
}


@pytest.mark.parametrize("name", WITH_DATA_FILE)
def test_data_file(name, build):
    same_clusters(build(WITH_DATA_FILE[name]), "--follow")


def test_short_data_file(build):
    """P2 holds for data files: qemu reads zeros, we fail where a cluster starts past the end."""
    image = build(DATA_FILE + "l2 0-15 data\n" + "data_truncate 5000\n")
    spans = cluster_spans(image)
    assert qemu_spans(image, spans)[2:] == [bytes(4096)] * 14
    ours = cat_spans(image, spans, "--follow", directory=image.parent)
    assert ours[1] == qemu_spans(image, spans)[1] and ours[2:] == [EIO] * 14
    same_clusters(image, "--follow", "--allow-truncated")


# ---- Compressed clusters ----

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
    """More sectors than the file has, but the stream is whole: fine for both."""
    image = build(V3 + f"l2 0 data\nl2 1 last_packed sectors 16 {deflate(TEXT).hex()}\n")
    assert same_clusters(image)[1] == TEXT


def test_consumed_past_the_end(build):
    """P4: a stream cut by the end of the file is an error; qemu pads it with zeros."""
    packed = deflate(RANDOM)[:1500]
    image = build(V3 + f"l2 0 data\nl2 1 last_packed sectors 8 {packed.hex()}\n")
    ours = cat_spans(image, cluster_spans(image), directory=image.parent)
    assert ours[1] is EIO and ours[0] is not EIO
    refused(qcow2("cat", "-s", "4K", "-n", "4K", image), "truncated", "at file offset")


# zstd frames, RFC 8878, by the library's own compressor and by hand

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


# ---- The limits: opening ----

OPENS = {
    "v2": V2 + "l2 0 data\n",
    "header-104": V3 + "header_length 104\nl2 0 data\n",
    "header-112": V3 + "header_length 112\nl2 0 data\n",
    "header-120": V3 + "header_length 120\nl2 0 data\n",
    "header-cluster": V3 + "l2 0 data\nno_ext_end\nheader.header_length 4096\n",
    "header-4104": V3 + "l2 0 data\nheader.header_length 4104\n",
    "header-103": V3 + "l2 0 data\nheader.header_length 103\n",
    "bytes-105-to-111": V3 + "l2 0 data\nput8 105 0xff\nput8 111 0xff\n",
    "version-4": V3 + "header.version 4\n",
    "cluster-bits-8": V3 + "header.cluster_bits 8\n",
    "cluster-bits-9": "cluster_bits 9\nsize 32k\nl2 0 data\n",
    "cluster-bits-21": "cluster_bits 21\nsize 8M\nl2 0 data\n",
    "cluster-bits-22": V3 + "header.cluster_bits 22\n",
    "refcount-order-6": V3 + "refcount_order 6\nl2 0 data\n",
    "refcount-order-7": V3 + "header.refcount_order 7\n",
    "dirty": V3 + "l2 0 data\nheader.incompatible_features 1\n",
    "corrupt": V3 + "l2 0 data\nheader.incompatible_features 2\n",
    "unknown-incompatible": V3 + "header.incompatible_features 1<<5\n",
    "unknown-incompatible-high": V3 + "header.incompatible_features 1<<40\n",
    "unknown-compatible": V3 + "l2 0 data\nheader.compatible_features 0xff<<32|0xf0\n",
    "unknown-autoclear": V3 + "l2 0 data\nheader.autoclear_features 0xff<<32|0xf0\n",
    "autoclear-bitmaps-without": V3 + "l2 0 data\nheader.autoclear_features 1\n",
    "autoclear-raw-without": V3 + "header.autoclear_features 2\n",
    "compression-2": V3 + "header.compression_type 2\nheader.incompatible_features 8\n",
    "compression-unmarked": V3 + "header.compression_type 1\n",
    "compression-marked-only": V3 + "header.incompatible_features 8\n",
    "extended-l2-small": V3 + "header.incompatible_features 16\n",
    "crypt-3": V3 + "header.crypt_method 3\n",
    "backing-offset-far": V3 + "header.backing_file_offset 4097\nheader.backing_file_size 4\n",
    "backing-name-1024": V3 + "backing_at 1024 78*1024\n",
    "ext-unknown": V3 + 'ext 0x12345678 "anything"\nl2 0 data\n',
    "ext-no-end": V3 + 'ext 0x12345678 "anything"\nno_ext_end\nl2 0 data\n',
    "ext-overrun": V3 + "ext_len 0x12345678 5000 00\n",
    "ext-format-15": V3 + 'ext backing_format "123456789012345"\nl2 0 data\n',
    "ext-format-16": V3 + 'ext backing_format "1234567890123456"\n',
    "ext-crypto-without": V3 + "ext crypto 00*16\n",
    "ext-data-file-without-bit": V3 + 'ext data_file "elsewhere"\nl2 0 data\n',
    "l1-unaligned": V3 + "header.l1_table_offset 513\n",
    "l1-too-small": V3 + "header.l1_size 0\n",
    "l1-too-large": V3 + "header.l1_size 4194305\n",
    "size-2^62": V3 + "header.size 1<<62\n",
    "size-2^64-512": V3 + "header.size 0xfffffffffffffe00\n",
    "size-0": "cluster_bits 12\nsize 0\n",
    "snapshots-65537": V3 + "header.nb_snapshots 65537\n",
    "snapshots-unaligned": V3 + "header.snapshots_offset 513\n",
    "snapshot-offset-of-none": V3 + "l2 0 data\nheader.snapshots_offset 4096\n",
}


@pytest.mark.parametrize("name", OPENS)
def test_opens(name, build):
    """Both open it, or neither does; and what opens reads the same."""
    image = build(OPENS[name])
    ours = qcow2("cat", "-n", "512", image)
    theirs = run("qemu-io", "-r", "-f", "qcow2", "-c", "length", image)
    assert (ours.code == 0) == (theirs.code == 0), (ours, theirs)
    if ours.code:
        refused(ours, "at file offset")
    else:
        same_clusters(image)


NAMED = {
    "unknown feature by its name": (V3 + 'feature 0 9 "time travel"\n'
                                    "header.incompatible_features 1<<9\n", ["time travel"]),
    "unknown feature without one": (V3 + "header.incompatible_features 1<<9\n", ["feature"]),
    "AES": (V3 + "header.crypt_method 1\n", ["encrypted", "aes"]),
    "LUKS": (V3 + "header.crypt_method 2\n", ["encrypted", "luks"]),
    "version 1": (V3 + "header.version 1\n", ["version 1"]),
    "method 3": (V3 + "header.crypt_method 3\n", ["encrypted", "unknown"]),
    "cluster size": (V3 + "header.cluster_bits 22\n", ["2^22"]),
    "compression 9": (V3 + "header.compression_type 9\n", ["compression type"]),
}


@pytest.mark.parametrize("name", NAMED)
def test_refused_by_name(name, build):
    recipe, words = NAMED[name]
    refused(qcow2("cat", build(recipe)), *words)


# ---- Where we differ on purpose ----

def test_p1_exact_size(build):
    image = build("cluster_bits 12\nsize 10000\nl2 0-2 data\n")
    assert qcow2_json("info", image)["virtual-size"] == 10000
    assert json.loads(qemu_info(image).out)["virtual-size"] == 9728
    assert len(qcow2_ok("cat", image)) == 10000


TRUNCATED = {
    "data-cluster-past-the-end": V3 + "l2 0 data\nl2 1 raw 1<<63|0x7000000\nl2 2 data\n",
    "l2-table-past-the-end": V3 + "l2 0 data\nlayout\nput64 $l1 1<<63|0x7000000\n",
    "l2-table-cut": V3 + "l2 0 data\nlayout\nput64 $l1 1<<63|$end\ntruncate $end+3584\n",
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_p2_truncated(name, build):
    image = build(TRUNCATED[name])
    refused(qcow2("cat", image), "truncated", "at file offset")
    same_clusters(image, "--allow-truncated")


def test_p2_truncated_l1(build):
    image = build(V3 + "l2 0 data\nlayout\nput64 40 0x7000000\n")
    refused(qcow2("cat", image), "truncated")
    assert qcow2_ok("cat", "--allow-truncated", image) == bytes(65536)
    assert qemu_spans(image, [(0, 65536)]) == [bytes(65536)]


def test_p3_tail_of_the_last_cluster(build):
    image = build(V3 + "l2 0 data\nl2 15 last 100\n")
    answers = same_clusters(image)
    assert any(answers[15][:100]) and answers[15][100:] == bytes(3996)


def test_positions_do_not_wrap(build):
    """What comes after the last cluster that an entry can name is no cluster."""
    for zero in (0, 1):
        image = build(f"cluster_bits 16\nsize 256k\nl2 0 raw 0x80ffffffffff0000|{zero}\n"
                      f"l2 1 raw 0x8100000000000000|{zero}\n")
        assert_same_map(image, "--allow-truncated")


def qemu_converts(image):
    out = image.with_suffix(".out")
    return run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, out,
               cwd=image.parent).code == 0 and out.read_bytes()


def test_p7_nothing_is_opened_that_nobody_asked_for(build):
    image = build('size 64k\nbacking "base" raw\n', "top.qcow2")
    image.with_name("base").write_bytes(b"b" * 65536)
    assert qemu_converts(image) == b"b" * 65536
    refused(qcow2("cat", image), "'base'", "--follow")
    assert qcow2_ok("cat", "--follow", image) == b"b" * 65536


def test_p8_no_format_is_guessed(build):
    image = build('size 64k\nbacking "base"\n', "top.qcow2")
    image.with_name("base").write_bytes(b"b" * 65536)
    assert qemu_converts(image) == b"b" * 65536
    refused(qcow2("cat", "--follow", image), "format", "--backing-format")


def test_p13_dirty_and_corrupt_read(build):
    image = build(V3 + "l2 0-3 data\nheader.incompatible_features 3\n")
    same_clusters(image)
    shown = qcow2_ok("info", image).decode()
    assert "dirty" in shown and "corrupt" in shown


def test_data_file_is_beside_the_image(build, tmp_path):
    """A relative name: qemu looks in the current directory, we look beside the image."""
    image = build(DATA_FILE + "l2 0 data\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    there = run("qemu-io", "-r", "-f", "qcow2", "-c", "length", image, cwd=elsewhere)
    assert there.code != 0 and "disk.raw" in there.err
    assert qcow2_ok("cat", "--follow", image, cwd=elsewhere) == qemu_converts(image)


def test_name_of_a_snapshot_past_the_end(build):
    """What the file lacks of the name reads as zeros, if that is asked for; for qemu it always is."""
    image = build(V3 + "l2 0 data\nsnapshot 1 last\nactive\nlayout\ntruncate $snapshots+60\n")
    listed = json.loads(run("qemu-img", "info", "--output=json", image).out)["snapshots"]
    assert [s["id"] for s in qcow2_json("snapshots", "--allow-truncated", image)] == \
        [s["id"] for s in listed]
    refused(qcow2("snapshots", image), "truncated", "--allow-truncated")


def test_p9_snapshot_size(build):
    """A snapshot has the size that the disk had; qemu gives it the active size."""
    image = build(V3 + "l2 0 data\nsnapshot 1 old disk_size=8k\nl2 0-1 data\nactive\n")
    assert len(qcow2_ok("cat", "--snapshot", "old", image)) == 8192
    out = image.with_suffix(".out")
    run("qemu-img", "convert", "-l", "snapshot.name=old", "-O", "raw", image, out)
    assert out.stat().st_size == 65536
    assert qcow2_ok("cat", "--snapshot", "1", image) == out.read_bytes()[:8192]


@pytest.mark.parametrize("recipe", (V3 + "l2 0 data\nheader.refcount_table_clusters 0\n",
                                    V3 + "l2 0 data\next bitmaps 00*24\n"
                                    "header.autoclear_features 1\n"))
def test_p10_refcounts_and_bitmaps(recipe, build):
    image = build(recipe)
    assert qemu_info(image).code != 0
    assert len(qcow2_ok("cat", image)) == 65536


def test_p11_damage_stays_local(build):
    image = build(V3 + "l2 0 data as a\nl2 1 raw $a+512\nl2 2 data\n")
    answers = same_clusters(image)
    assert answers[1] is EIO and answers.count(EIO) == 1


SNAPSHOTS = {
    "extra-0": ("extra=0", True), "extra-8": ("extra=8", True), "extra-16": ("extra=16", True),
    "extra-24": ("extra=24 icount=5", True), "extra-1024": ("extra=1024", True),
    "extra-1025": ("extra=1025", False), "l1-0": ("l1_size=0", True),
    "l1-unaligned": ("l1_pos=513", False), "l1-too-large": ("l1_size=4194305", False),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_snapshot_entries(name, build):
    keys, good = SNAPSHOTS[name]
    image = build(V3 + f"l2 0-3 data\nsnapshot 7 then {keys}\nl2 1 data\nl2 2 zero\nactive\n")
    ours = qcow2("cat", "--snapshot", "then", image)
    assert (ours.code == 0) == good, ours
    if good:
        out = image.with_suffix(".out")
        assert run("qemu-img", "convert", "-l", "snapshot.name=then", "-O", "raw", image,
                   out).code == 0
        assert ours.out == out.read_bytes()[:len(ours.out)]
    assert len(qcow2_ok("cat", image)) == 65536  # the disk of today is none the worse


def test_snapshots_of_a_data_file(build):
    image = build(DATA_FILE + "l2 0 data\nsnapshot 1 old\nactive\n")
    refused(qcow2("cat", "--follow", "--snapshot", "old", image), "data file")
