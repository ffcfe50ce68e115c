# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 map`: the same entries as qemu-img map, and the table for people."""
import pytest

from conform import assert_same, assert_same_map, qcow2_json, qcow2_ok, qemu_img, qemu_info


def preallocated(image, options=""):
    """An image whose clusters are all allocated but not written."""
    qemu_img("create", "-q", "-f", "qcow2", "-o",
             f"preallocation=metadata,cluster_size=4K{options}", image, "1M")
    return image


def put64(image, at, value):
    with open(image, "r+b") as file:
        file.seek(at)
        file.write(value.to_bytes(8, "big"))


def test_map_over_a_raw_file(build):
    """The map shows holes and the end of a raw backing file, and joins entries across clusters."""
    image = build('cluster_bits 12\nsize 256k\nbacking "base" raw\nl2 2 data\nl2 60 zero\n')
    with open(image.with_name("base"), "wb") as base:
        for at in (0, 65536, 3 << 16):
            base.seek(at)
            base.write(b"data" * 2048)
        base.truncate((3 << 16) + 12288)
    assert_same(image, image.parent, "--follow")
    assert sum(entry["depth"] == 1 for entry in qcow2_json("map", "--follow", image)) >= 6


@pytest.mark.parametrize("order", range(7))
def test_map_of_preallocated(order, image):
    """QEMU counts the clusters in use by their refcounts, which have 1 to 64 bits."""
    assert_same_map(preallocated(image, f",refcount_bits={1 << order}"))
    entry, = qcow2_json("map", image)
    assert entry["zero"] and entry["data"]


REFCOUNTS = {"block past the end": (4096, 0x7000000), "no block": (4096, 0),
             "table past the end": (48, 0x7000000), "table across the end": (48, -4)}


@pytest.mark.parametrize("name", REFCOUNTS)
def test_map_without_refcounts(name, image):
    """If the refcounts cannot be read, the clusters are data, as in QEMU."""
    at, value = REFCOUNTS[name]
    size = preallocated(image).stat().st_size
    put64(image, at, value if value >= 0 else size + value)
    if value >= 0:  # QEMU wants tables at multiples of a cluster
        assert_same_map(image)
    entry, = qcow2_json("map", image)
    assert not entry["zero"] and entry["data"]


def test_map_with_too_many_refcounts(image):
    """QEMU does not open an image with a refcount table of more than 8 MiB. Our map does not need the
    table, and does not count the clusters in use of such an image."""
    put64(preallocated(image), 56, 2048 << 32)
    assert_same_map(image)
    assert qcow2_json("map", image)[0]["zero"]
    for clusters in (2049, 0x800001):
        put64(image, 56, clusters << 32)
        assert "table too large" in qemu_info(image).err
        entry, = qcow2_json("map", image)
        assert not entry["zero"] and entry["data"]


MAP = """\
             START             LENGTH  KIND       DEPTH  FILE OFFSET
                 0               8192  data           0  %d
              8192               4096  zero           0
             12288               4096  compressed     0
             16384              16384  absent         0
             total              32768  8192 data, 4096 compressed, 4096 zero, 16384 absent
"""

HUMAN = """\
     START     LENGTH  KIND       DEPTH  FILE OFFSET
       0 B      8 KiB  data           0  %s
     8 KiB      4 KiB  zero           0
    12 KiB      4 KiB  compressed     0
    16 KiB     16 KiB  absent         0
     total     32 KiB  8 KiB data, 4 KiB compressed, 4 KiB zero, 16 KiB absent
"""


def test_map_for_people(build):
    image = build("cluster_bits 12\nsize 32k\nl2 0 data as a\nl2 1 data\nl2 2 zero\n"
                  "l2 3 compressed\nlayout\nprint $a\n")
    at = qcow2_json("map", image)[0]["offset"]
    assert qcow2_ok("map", image).decode() == MAP % at
    assert qcow2_ok("map", "--human", image).decode() == HUMAN % f"{at >> 10} KiB"
    empty = build("cluster_bits 12\nsize 0\n", "empty")
    assert qcow2_ok("map", empty) == b""
    assert_same_map(empty)
