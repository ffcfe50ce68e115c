# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the command asks the system for: no more than there is, whatever an image claims."""
import os
import random
import struct

import pytest

from conform import FAULTS, K, M, assert_same_map, qcow2_json, qcow2_ok, run
from fault_runs import read_counts

CLUSTER = 4 * K
N = 512


def n_calls(tmp_path, call, *args):
    """How often a run of the command makes this call."""
    counts = tmp_path / "calls"
    result = run(FAULTS, *args, env=dict(os.environ, QCOW2_CALLS=str(counts)))
    assert result.code == 0, result
    return read_counts(counts)[call]


def put_clusters(path, n, holes):
    """Writes data to the clusters 1 to n of a file, except for `holes`, which become holes."""
    content = bytearray(path.read_bytes())
    for i in range(n):
        word = struct.pack("<I", i + 1) if i not in holes else bytes(4)
        content[(1 + i) * CLUSTER:(2 + i) * CLUSTER] = word * K
    with open(path, "wb") as file:
        for at in range(0, len(content), CLUSTER):
            if any(content[at:at + CLUSTER]):
                file.seek(at)
                file.write(content[at:at + CLUSTER])
        file.truncate(len(content))


def build_order(build, name, order, holes=(), more=""):
    """An image: cluster order[i] of its data is cluster i of the disk."""
    n = len(order)
    lines = [f"cluster_bits 12\nsize {n * CLUSTER}\n{more}alloc data {n}"]
    lines += [f"l2 {i} raw 1<<63|$data+{at * CLUSTER}" for i, at in enumerate(order) if at is not None]
    image = build("\n".join(lines) + "\n", name)
    put_clusters(image, n, holes)
    return image


ORDERS = {"descending": list(range(N - 1, -1, -1)),
          "shuffled": random.Random(3).sample(range(N), N),
          "two ends": [i // 2 if i % 2 else N - 1 - i // 2 for i in range(N)]}
HOLES = {"no holes": set(), "every fourth": set(range(0, N, 4)),
         "halves": set(range(N // 4, N // 2)) | set(range(3 * N // 4, N))}


@pytest.mark.parametrize("holes", HOLES)
@pytest.mark.parametrize("order", ORDERS)
def test_each_hole_is_asked_for_once(order, holes, build, tmp_path):
    """In whatever order the clusters are, each hole and each run of data costs one call."""
    image = build_order(build, "disk.qcow2", ORDERS[order], HOLES[holes])
    limit = {"no holes": 4, "every fourth": N // 2 + 4, "halves": 8}[holes]
    assert n_calls(tmp_path, "lseek", "convert", image, tmp_path / "out") <= limit
    assert (tmp_path / "out").read_bytes() == qcow2_ok("cat", image)
    assert_same_map(image)


def test_images_that_take_turns(build, tmp_path):
    """The same with clusters that come from one file after the other."""
    below = [n if i % 2 else None for i, n in enumerate(ORDERS["descending"])]
    above = [n if i % 2 == 0 else None for i, n in enumerate(ORDERS["shuffled"])]
    build_order(build, "base", below, HOLES["halves"])
    image = build_order(build, "disk.qcow2", above, HOLES["halves"], 'backing "base" qcow2\n')
    assert n_calls(tmp_path, "lseek", "convert", "--follow", image, tmp_path / "out") <= 16
    assert (tmp_path / "out").read_bytes() == qcow2_ok("cat", "--follow", image)


def test_more_holes_than_are_remembered(build, tmp_path):
    """All files of a disk share the memory. With 255 of them, 685 holes of each have room; the file
    has 1024 and is asked again about some, but not from its beginning."""
    n = 2048
    order = random.Random(5).sample(range(n), n)
    build_order(build, "000", order, set(range(0, n, 2)))
    overlay = build(f'cluster_bits 16\nsize {n * CLUSTER}\nbacking "@@@" qcow2\n', "template").read_bytes()
    for i in range(1, 255):
        (tmp_path / f"{i:03}").write_bytes(overlay.replace(b"@@@", b"%03d" % (i - 1)))
    args = ("convert", "--follow", tmp_path / "254", tmp_path / "out")
    assert n < n_calls(tmp_path, "lseek", *args) < 4 * n
    assert (tmp_path / "out").read_bytes() == qcow2_ok("cat", tmp_path / "000")


# ---- Refcounts ----

def bomb(image, log2):
    """An image with one cluster, whose refcount table has one block of zeros a million times. The
    table has 8 MiB, and the file has 2^log2 bytes, nearly all of them a hole."""
    cluster, table = 2 * M, 5 * 2 * M
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 21, cluster, 0, 1, cluster, table, 4,
                         0, 0) + struct.pack(">QQQII", 0, 0, 0, 4, 104) + bytes(8)
    with open(image, "wb") as file:
        for at, content in ((0, header), (cluster, struct.pack(">Q", 2 * cluster | 1 << 63)),
                            (2 * cluster, struct.pack(">Q", 4 * cluster | 1 << 63)),
                            (4 * cluster, b"x"),
                            (table, struct.pack(">Q", 3 * cluster) * M)):
            file.seek(at)
            file.write(content)
        file.truncate((1 << log2) - 4096)


def test_refcounts_of_a_file_that_is_mostly_a_hole(image, tmp_path):
    """To look for preallocation, no more refcounts are counted than the file has room for."""
    bomb(image, 43)  # the longest file that ext4 has with blocks of 4 KiB has 16 TiB
    assert n_calls(tmp_path, "pread", "map", image) < 1000
    assert [e["data"] for e in qcow2_json("map", image)] == [True]
