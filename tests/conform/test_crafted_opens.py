# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Crafted headers, extensions and snapshot tables: both open the image, or both refuse it."""
import pytest

from conform import qcow2, qcow2_ok, refused, run
from crafted import DATA_FILE, V2, V3, same_clusters

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
    """Both open the image or both refuse it; if it opens, both read the same bytes."""
    image = build(OPENS[name])
    ours = qcow2("cat", "-n", "512", image)
    theirs = run("qemu-io", "-r", "-f", "qcow2", "-c", "length", image)
    assert (ours.code == 0) == (theirs.code == 0), (ours, theirs)
    if ours.code:
        # An encrypted image is refused as a whole, not for a place in the file.
        refused(ours, "encrypted" if name == "crypt-3" else "at file offset")
    else:
        same_clusters(image)


NAMED = {
    "unknown feature by its name": (V3 + 'feature 0 9 "time travel"\n'
                                    "header.incompatible_features 1<<9\n", ["time travel"]),
    "unknown feature without one": (V3 + "header.incompatible_features 1<<9\n", ["feature"]),
    "AES": (V3 + "header.crypt_method 1\n", ["encrypted"]),
    "version 1": (V3 + "header.version 1\n", ["cluster size 2^0"]),
    "method 3": (V3 + "header.crypt_method 3\n", ["encrypted", "unknown"]),
    "cluster size": (V3 + "header.cluster_bits 22\n", ["2^22"]),
    "compression 9": (V3 + "header.compression_type 9\n", ["compression type"]),
}


@pytest.mark.parametrize("name", NAMED)
def test_refused_by_name(name, build):
    recipe, words = NAMED[name]
    refused(qcow2("cat", build(recipe)), *words)


# ---- Snapshots ----

SNAPSHOTS = {
    "extra-0": ("extra=0", True), "extra-8": ("extra=8", True), "extra-16": ("extra=16", True),
    "extra-24": ("extra=24 icount=5", True), "extra-1024": ("extra=1024", True),
    "extra-1025": ("extra=1025", False),
    # QEMU reads as zeros what the L1 table does not cover, also if the entry has a disk size.
    "l1-0": ("l1_size=0", False), "l1-0-no-size": ("extra=0 l1_size=0", True),
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
    assert len(qcow2_ok("cat", image)) == 65536  # the current disk is not affected


def test_snapshots_of_a_data_file(build):
    image = build(DATA_FILE + "l2 0 data\nsnapshot 1 old\nactive\n")
    refused(qcow2("cat", "--follow", "--snapshot", "old", image), "external data")
