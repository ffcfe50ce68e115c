# SPDX-License-Identifier: MIT
"""Images with a flipped bit in the header, the L1 or the L2 table: both read the same bytes, or both
fail.

The tests allow for three differences that we chose: tables outside the file; refcount and snapshot
tables, which we do not need to read the disk; and backing files, which need permission.
"""
import pytest

from conform import EIO, K, cat_spans, cluster_spans, make, qcow2, qcow2_json, qemu_spans

LENGTH = 8 * K
IMAGE = (f"version 3\ncluster_bits 12\nsize {LENGTH // K}k\nl2 0 data\nl2 1 data\n"
         'ext feature_names 00*48\next 0x12345678 "unknown"\n')
UNUSED = range(48, 72)  # position and length of the refcount and snapshot tables
BACKING = range(8, 20)  # position and length of the backing file name
HEADER = range(0, 136)  # including the heads of the extensions


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make(IMAGE, tmp_path_factory.mktemp("damage") / "good.qcow2")


def flipped(good, byte, bit):
    content = bytearray(good.read_bytes())
    content[byte] ^= 1 << bit
    image = good.with_name("flipped.qcow2")
    image.write_bytes(content)
    return image


def beginning(image, *options):
    """What we read at the beginning of the disk; None if we refuse the image."""
    result = qcow2("cat", "-n", str(LENGTH), *options, image)
    assert result.code == 0 or result.err.startswith("qcow2: "), result
    return result.out if result.code == 0 else None


def reference_beginning(image, length):
    answers = qemu_spans(image, [(0, length)] if length else [])
    if answers is None:
        return None
    return answers[0] if length else b""


def check_header(byte, bit, image):
    ours = beginning(image)
    length = LENGTH if ours is None else len(ours) // 512 * 512
    theirs = reference_beginning(image, length)
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
    for bit in range(8):
        check_header(byte, bit, flipped(good, byte, bit))


def table_entries(image):
    """Positions of the L1 entry, and of the first two L2 entries."""
    content = image.read_bytes()
    l1 = int.from_bytes(content[40:48], "big")
    l2 = int.from_bytes(content[l1:l1 + 8], "big") & ((1 << 56) - 512)
    return l1, l2, l2 + 8


@pytest.mark.parametrize("which", range(3), ids=["l1", "l2-0", "l2-1"])
def test_table_bits(which, good):
    entry = table_entries(good)[which]
    for number in range(64):
        image = flipped(good, entry + number // 8, number % 8)
        spans = cluster_spans(image)
        theirs = qemu_spans(image, spans)
        ours = cat_spans(image, spans, directory=image.parent)
        padded = cat_spans(image, spans, "--allow-truncated", directory=image.parent)
        for i, span in enumerate(spans):
            assert padded[i] == theirs[i], f"bit {number}, cluster at {span[0]}"
            assert ours[i] in (theirs[i], EIO), f"bit {number}, cluster at {span[0]}"
            if ours[i] != theirs[i]:
                assert "the end of the file" in qcow2("cat", "-s", str(span[0]), image).err


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
