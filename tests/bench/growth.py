#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How time and memory of this library grow: tables of what is measured, with what is expected.

    growth.py --build DIR --dir DIR

CPU time of the whole process for one piece of work, least of several runs; peak memory of the same.
Expected is what follows from the first line by the law that the heading names.
"""
import argparse
import os
import tempfile

import images
from bench import measure
from images import GIB, KIB, MIB, TIB
from workloads import BLOCK, Bench, Reader

RUNS = 5
SIZES = [GIB, 16 * GIB, 256 * GIB, 4 * TIB, 64 * TIB]


def name_of(size):
    for unit, scale in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"


def best(b, command, times=1):
    """CPU in microseconds and peak in KiB of the cheapest run."""
    costs = [measure(b, Reader("ours", command, times)) for _ in range(RUNS)]
    if any(c.status for c in costs):
        raise SystemExit("growth: a run failed")
    return min(c.cpu for c in costs) * 1e6, min(c.peak for c in costs)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(title, law, head, rows):
    """rows: (label, microseconds, KiB, what the first line's time is expected to grow by)."""
    print(f"\n### {title}\n\nExpected: {law}\n")
    print(f"| {head} | CPU us | expected | peak MiB |\n|---|---|---|---|")
    for label, cpu, peak, growth in rows:
        expected = rows[0][1] * growth
        print(f"| {label} | {number(cpu)} | {number(expected)} | {peak / 1024:.1f} |")


def by_size(b):
    """Disks of any size with one cluster in the middle."""
    opens, maps = [], []
    times = 2000
    for size in SIZES:
        image = b.path("size.qcow2")
        images.create(image, size)
        images.write_clusters(image, [size // 2 // images.CLUSTER])
        opens.append((name_of(size), *best(b, b.driver("qcow2", "open", image, times), times), 1))
        entries = size // (512 * MIB)
        maps.append((f"{name_of(size)}, {entries} L1 entries", *best(b, b.command("map", image)),
                     entries / (SIZES[0] // (512 * MIB))))
    table("Open, read 4 KiB, close; by disk size", "the same at each size: no table is loaded.",
          "disk", opens)
    # what a process costs that maps hardly anything, and what an entry more costs, from the ends
    start = maps[0][1]
    slope = (maps[-1][1] - start) / (SIZES[-1] // (512 * MIB))
    maps = [(label, cpu, peak, 1 + slope * growth * (SIZES[0] // (512 * MIB)) / start)
            for label, cpu, peak, growth in maps]
    table("qcow2 map of an empty disk; by disk size",
          "a fixed part, the program's start, and one for each L1 entry (by first and last line).",
          "disk", maps)


def by_cluster(b):
    rows = []
    size = 64 * MIB
    for bits in (9, 12, 16, 21):
        image = b.path("cluster.qcow2")
        images.full(image, size, 1 << bits)
        cpu, peak = best(b, b.driver("qcow2", "seq", image, 256 * KIB, 8), 8)
        raw = min(measure(b, Reader("raw", b.driver("raw", "seq", image, 256 * KIB, 8), 8)).cpu
                  for _ in range(RUNS)) * 1e6
        rows.append((name_of(1 << bits), cpu, peak, raw))
    table("64 MiB in order; by cluster size", "what pread of the same file takes.", "cluster",
          [(*row[:3], row[3] / rows[0][1]) for row in rows])


def by_depth(b):
    reads, opens = [], []
    size, n = 64 * MIB, 20000
    paths = [b.path(f"chain{i}.qcow2") for i in range(33)]
    places = b.path("places")
    images.chain(paths, size)
    images.places_on_disk(places, size, n)
    for depth in (1, 2, 4, 8, 16, 32):
        image = paths[depth]
        reads.append((f"{depth + 1} images",
                      *best(b, b.driver("qcow2", "rand", image, places, BLOCK), n), 1))
        opens.append((f"{depth + 1} images",
                      *best(b, b.driver("qcow2", "open", image, 500), 500), (depth + 1) / 2))
    # what an image more costs a read, from the first line and the last
    step = (reads[-1][1] - reads[0][1]) / 31 / reads[0][1]
    reads = [(label, cpu, peak, 1 + step * (depth - 1))
             for (label, cpu, peak, _), depth in zip(reads, (1, 2, 4, 8, 16, 32))]
    table("Random 4 KiB; by depth of the chain", "a constant for each image more (from the first "
          "line and the last).", "chain", reads)
    table("Open, read 4 KiB, close; by depth of the chain", "in proportion to the images.", "chain",
          opens)


def by_threads(b):
    rows = []
    size, n = 256 * MIB, 100000
    image, places = b.path("threads.qcow2"), b.path("places")
    images.full(image, size, images.CLUSTER)
    images.places_on_disk(places, size, n)
    for threads in (1, 2, 4, 8, 16):
        rows.append((f"{threads}",
                     *best(b, b.driver("qcow2", "rand", image, places, BLOCK, threads), n), 1))
    table("Random 4 KiB on one handle; by threads", "the same CPU time for each read.", "threads",
          rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--dir", required=True)
    args = parser.parse_args()
    b = Bench(os.path.abspath(args.build), None, True)
    os.makedirs(args.dir, exist_ok=True)
    for part in (by_size, by_cluster, by_depth, by_threads):
        with tempfile.TemporaryDirectory(dir=args.dir) as b.dir:
            b.dir = os.path.abspath(b.dir)
            part(b)


if __name__ == "__main__":
    main()
