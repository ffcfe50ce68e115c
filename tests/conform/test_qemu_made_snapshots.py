# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Internal snapshots made by QEMU: list and content must be the same as those of qemu-img."""
import json

import pytest

from conform import (K, M, assert_same, assert_same_bytes, assert_subset, qcow2, qcow2_json,
                     qcow2_ok, qemu_img, qemu_info, qemu_raw, refused)
from qemu_made import create_in_place, layer, paint


def snapshotted(image, options="", *more, cluster=64 * K):
    """An image with three snapshots, and random changes before and after each."""
    create_in_place(image, 400 * K, options, *more)
    for name in ("first", "2", "with blank"):
        paint(image, 400 * K, cluster, n=6)
        qemu_img("snapshot", "-c", name, image)
        image = image.rename(image)
    paint(image, 399 * K, cluster, n=6)
    return image


def assert_same_snapshot(image, select, which, *options):
    """P9: we read a snapshot with its own size, QEMU with that of the current disk."""
    theirs = qemu_raw(image, image.parent, "-f", "qcow2", "-l", select)
    ours = qcow2_ok("cat", "--snapshot", which, *options, image)
    same = min(len(theirs), len(ours))
    assert_same_bytes(theirs[:same], ours[:same], which)
    out = image.with_name("ours.raw")
    qcow2_ok("convert", "--snapshot", which, *options, image, out)
    assert_same_bytes(ours, out.read_bytes(), "convert")
    return len(theirs), len(ours)


def assert_same_snapshots(image, *options):
    listed = json.loads(qemu_info(image).out)["snapshots"]
    assert_subset(listed, qcow2_json("snapshots", image))
    for snapshot in listed:
        sizes = assert_same_snapshot(image, f"snapshot.id={snapshot['id']}", snapshot["id"], *options)
        assert sizes[0] == sizes[1]
        if not snapshot["name"].isdigit():
            assert_same_snapshot(image, f"snapshot.name={snapshot['name']}", snapshot["name"], *options)


SNAPSHOTS = ["", "compat=0.10", "cluster_size=512", "cluster_size=2M", "extended_l2=on",
             "compression_type=zstd", "refcount_bits=64"]


@pytest.mark.parametrize("options", SNAPSHOTS)
def test_snapshots(options, image):
    cluster = {"cluster_size=512": 512, "cluster_size=2M": 2 * M}.get(options, 64 * K)
    snapshotted(image, options, cluster=cluster)
    assert_same(image, image.parent)
    assert_same_snapshots(image)


def test_snapshot_id_goes_before_name(image):
    """The snapshot with the id 1 must be found even if another one has the name "1"."""
    snapshotted(image)
    qemu_img("snapshot", "-c", "1", image)
    assert_same_snapshots(image)
    assert qcow2_ok("cat", "--snapshot", "1", image) == qcow2_ok("cat", "--snapshot", "first", image)


def test_snapshot_deleted_and_applied(image):
    snapshotted(image)
    qemu_img("snapshot", "-d", "2", image)
    qemu_img("snapshot", "-a", "first", image)
    assert_same(image, image.parent)
    assert_same_snapshots(image)
    refused(qcow2("cat", "--snapshot", "2", image), "snapshot")


def test_snapshots_over_backing(tmp_path):
    base = layer(tmp_path, 0, "raw", 300 * K, "", None)
    image = snapshotted(tmp_path / "disk.qcow2", "", "-b", base.name, "-F", "raw")
    assert_same(image, tmp_path, "--follow")
    assert_same_snapshots(image, "--follow")


def test_overlay_over_image_with_snapshots(tmp_path):
    base = snapshotted(tmp_path / "base.qcow2")
    top = create_in_place(tmp_path / "top.qcow2", 500 * K, "", "-b", base.name, "-F", "qcow2")
    paint(top, 500 * K, 64 * K, n=6)
    assert_same(top, tmp_path, "--follow")


def test_p9_snapshot_has_its_own_size(image):
    """P9: QEMU reads a snapshot with the size of the current disk."""
    snapshotted(image)
    before = qcow2_ok("cat", "--snapshot", "1", image)
    qemu_img("resize", "-q", "-f", "qcow2", image, "1M")
    assert assert_same_snapshot(image, "first", "first") == (1 * M, 400 * K)
    qemu_img("resize", "-q", "-f", "qcow2", "--shrink", image, "200K")
    assert assert_same_snapshot(image, "first", "first") == (200 * K, 400 * K)
    assert qcow2_ok("cat", "--snapshot", "1", image) == before
    assert_same(image, image.parent)
