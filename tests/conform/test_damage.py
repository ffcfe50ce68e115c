# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Images with a flipped bit in the header, the L1 or the L2 table: both read the same bytes, or both
fail.

The tests allow for three differences that we chose: tables outside the file; refcount and snapshot
tables, which we do not need to read the disk; and backing files, which need permission.
"""
import pytest

from conform import (EIO, K, cat_spans, cluster_spans, make, qcow2, qcow2_json, qemu_spans_of_each)

LENGTH = 8 * K
IMAGE = (f"version 3\ncluster_bits 12\nsize {LENGTH // K}k\nl2 0 data\nl2 1 data\n"
         'ext feature_names 00*48\next 0x12345678 "unknown"\n')
UNUSED = range(48, 72)  # position and length of the refcount and snapshot tables
BACKING = range(8, 20)  # position and length of the backing file name
HEADER = range(0, 136)  # including the heads of the extensions


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make(IMAGE, tmp_path_factory.mktemp("damage") / "good.qcow2")


def each_flipped(good, byte):
    """Eight images, with a bit of this byte flipped in each."""
    content = good.read_bytes()
    images = [good.with_name(f"bit{bit}.qcow2") for bit in range(8)]
    for bit, image in enumerate(images):
        image.write_bytes(content[:byte] + bytes([content[byte] ^ 1 << bit]) + content[byte + 1:])
    return images


def beginning(image, *options):
    """What we read at the beginning of the disk; None if we refuse the image."""
    result = qcow2("cat", "-n", str(LENGTH), *options, image)
    assert result.code == 0 or result.err.startswith("qcow2: "), result
    return result.out if result.code == 0 else None


def in_sectors(ours):
    """How much of the beginning QEMU can read: it rounds the size of the disk down."""
    return LENGTH if ours is None else len(ours) // 512 * 512


def check_header(byte, bit, image, ours, theirs):
    theirs = None if theirs is None else b"".join(theirs)
    length = in_sectors(ours)
    if ours is not None and theirs is not None:
        assert ours[:length] == theirs, f"bit {bit} of byte {byte}"
    elif ours is not None:
        assert byte in UNUSED, f"bit {bit} of byte {byte}: only qemu refuses it"
    elif theirs is not None:
        err = qcow2("cat", image).err
        if byte in BACKING:
            assert "backing file" in err, err
        else:
            assert "the end of the file" in err, f"bit {bit} of byte {byte}: only we refuse it: {err}"
            assert beginning(image, "--allow-truncated") == theirs


@pytest.mark.parametrize("byte", HEADER)
def test_header_bits(byte, good):
    images = each_flipped(good, byte)
    ours = [beginning(image) for image in images]
    spans = [[(0, in_sectors(read))] if in_sectors(read) else [] for read in ours]
    theirs = qemu_spans_of_each(images, spans)
    for bit in range(8):
        check_header(byte, bit, images[bit], ours[bit], theirs[bit])


def table_entries(image):
    """Positions of the L1 entry, and of the first two L2 entries."""
    content = image.read_bytes()
    l1 = int.from_bytes(content[40:48], "big")
    l2 = int.from_bytes(content[l1:l1 + 8], "big") & ((1 << 56) - 512)
    return l1, l2, l2 + 8


def check_table(image, spans, theirs, where):
    ours = cat_spans(image, spans, directory=image.parent)
    padded = cat_spans(image, spans, "--allow-truncated", directory=image.parent)
    assert padded == theirs, where
    for i, span in enumerate(spans):
        assert ours[i] in (theirs[i], EIO), f"{where}, cluster at {span[0]}"
        if ours[i] != theirs[i]:
            assert "the end of the file" in qcow2("cat", "-s", str(span[0]), image).err


@pytest.mark.parametrize("which", range(3), ids=["l1", "l2-0", "l2-1"])
def test_table_bits(which, good):
    entry = table_entries(good)[which]
    spans = cluster_spans(good)
    for byte in range(entry, entry + 8):
        images = each_flipped(good, byte)
        for image, theirs in zip(images, qemu_spans_of_each(images, [spans] * 8)):
            check_table(image, spans, theirs, f"byte {byte}, {image.name}")


def test_cut_anywhere(good):
    """A file cut at any length: either everything that is left is read, or nothing."""
    content = good.read_bytes()
    whole = beginning(good)
    image = good.with_name("cut.qcow2")
    for length in range(0, len(content), 97):
        image.write_bytes(content[:length])
        ours = beginning(image)
        if ours is None:
            assert qcow2("info", image).code in (0, 1)
            continue
        # "Data that starts inside the file and runs past its end reads as zeros" (P3).
        assert len(ours) == len(whole)
        assert all(a in (b, 0) for a, b in zip(ours, whole))
        assert qcow2_json("info", image)["virtual-size"] == LENGTH
