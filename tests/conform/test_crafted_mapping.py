# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Crafted L1 and L2 tables: the same bytes as QEMU for each cluster, or an error on both sides."""
import pytest

from conform import EIO, assert_same_map, cat_spans, cluster_spans, qemu_spans
from crafted import DATA_FILE, FULL, V2, V3, same_clusters

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


def test_positions_do_not_wrap(build):
    """The position after the last cluster that an entry can name does not wrap to 0."""
    for zero in (0, 1):
        image = build(f"cluster_bits 16\nsize 256k\nl2 0 raw 0x80ffffffffff0000|{zero}\n"
                      f"l2 1 raw 0x8100000000000000|{zero}\n")
        assert_same_map(image, "--allow-truncated")


# ---- Extended L2 entries ----

EXTENDED = "version 3\ncluster_bits 14\nsize 256k\nextended_l2\n"


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
    """P2 also holds for data files: QEMU reads zeros, we fail if a cluster begins past the end."""
    image = build(DATA_FILE + "l2 0-15 data\n" + "data_truncate 5000\n")
    spans = cluster_spans(image)
    assert qemu_spans(image, spans)[2:] == [bytes(4096)] * 14
    ours = cat_spans(image, spans, "--follow", directory=image.parent)
    assert ours[1] == qemu_spans(image, spans)[1] and ours[2:] == [EIO] * 14
    same_clusters(image, "--follow", "--allow-truncated")
