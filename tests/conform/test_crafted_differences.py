# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Crafted images that we read differently from QEMU on purpose: each test shows both sides."""
import json

import pytest

from conform import EIO, qcow2, qcow2_json, qcow2_ok, qemu_info, qemu_spans, refused, run
from crafted import DATA_FILE, V3, same_clusters


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
    refused(qcow2("cat", image), "the end of the file", "at file offset")
    same_clusters(image, "--allow-truncated")


def test_p2_truncated_l1(build):
    image = build(V3 + "l2 0 data\nlayout\nput64 40 0x7000000\n")
    refused(qcow2("cat", image), "the L1 table at file offset 117440512 is past the end")
    assert qcow2_ok("cat", "--allow-truncated", image) == bytes(65536)
    assert qemu_spans(image, [(0, 65536)]) == [bytes(65536)]


def test_p3_tail_of_the_last_cluster(build):
    image = build(V3 + "l2 0 data\nl2 15 last 100\n")
    answers = same_clusters(image)
    assert any(answers[15][:100]) and answers[15][100:] == bytes(3996)


def qemu_converts(image):
    out = image.with_suffix(".out")
    return run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, out,
               cwd=image.parent).code == 0 and out.read_bytes()


def test_p7_names_are_followed_only_on_request(build):
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


def test_p9_snapshot_size(build):
    """A snapshot has the size that the disk had when it was taken; in QEMU it has the current size."""
    image = build(V3 + "l2 0 data\nsnapshot 1 old disk_size=8k\nl2 0-1 data\nactive\n")
    assert len(qcow2_ok("cat", "--snapshot", "old", image)) == 8192
    out = image.with_suffix(".out")
    run("qemu-img", "convert", "-l", "snapshot.name=old", "-O", "raw", image, out)
    assert out.stat().st_size == 65536
    assert qcow2_ok("cat", "--snapshot", "1", image) == out.read_bytes()[:8192]


def test_name_of_a_snapshot_past_the_end(build):
    """The missing end of a name reads as zeros on request. In QEMU it always does."""
    image = build(V3 + "l2 0 data\nsnapshot 1 last\nactive\nlayout\ntruncate $snapshots+60\n")
    listed = json.loads(run("qemu-img", "info", "--output=json", image).out)["snapshots"]
    assert [s["id"] for s in qcow2_json("snapshots", "--allow-truncated", image)] == \
        [s["id"] for s in listed]
    refused(qcow2("snapshots", image), "truncated", "--allow-truncated")


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


def test_p13_dirty_and_corrupt_read(build):
    image = build(V3 + "l2 0-3 data\nheader.incompatible_features 3\n")
    same_clusters(image)
    shown = qcow2_ok("info", image).decode()
    assert "dirty" in shown and "corrupt" in shown


def test_data_file_is_beside_the_image(build, tmp_path):
    """A relative name starts at the directory of the image. In QEMU it starts at the current one."""
    image = build(DATA_FILE + "l2 0 data\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    there = run("qemu-io", "-r", "-f", "qcow2", "-c", "length", image, cwd=elsewhere)
    assert there.code != 0 and "disk.raw" in there.err
    assert qcow2_ok("cat", "--follow", image, cwd=elsewhere) == qemu_converts(image)
