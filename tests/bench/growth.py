#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How time and memory of this library grow: tables of what is counted, with what is expected.

    growth.py --build DIR --dir DIR [--update]    --update: the tables in README.md become these

What can be is counted, not timed: the io calls on the images (strace) and the instructions of the
process (callgrind, user space), of one operation where there are many: two runs, one with twice as
many, and the difference. Memory is what the process has from malloc at once (dhat), touched or not.
CPU time is the least of several runs.

What is expected follows from how the library is made, with the reason above each table. Where a law
has a constant that is not known beforehand it is taken from two lines, which are named and marked
with "=", and the others are a test of it.
"""
import argparse
import os
import re
import subprocess
import tempfile

import images
import readme
from bench import measure
from images import GIB, KIB, MIB, TIB
from workloads import BLOCK, Bench, Reader

RUNS = 5
TIMEOUT = 300  # seconds, for each program
BUFFER = 256 * KIB
SIZES = [GIB, 16 * GIB, 256 * GIB, 4 * TIB, 64 * TIB]
DEPTHS = [2, 3, 5, 9, 17, 33]
SLICE = 512          # bytes of a table that are read at once
AHEAD = 16 * KIB     # of tables that are read in order
HANDLE = 2 * KIB     # handle, slots, paths: at most
LAYER = KIB          # each image of the chain: at most
DRIVER = 10 * KIB    # of the driver itself, for each of its threads: at most
INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../include/qcow2")


# ---- Counting ----

def run(*command):
    done = subprocess.run([str(c) for c in command], check=True, timeout=TIMEOUT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
    return done.stderr.decode(errors="replace")


def io_calls(b, command, paths):
    log = b.path("strace.out")
    on = [word for path in paths for word in ("-P", path)]
    run("strace", "-f", "-qq", "-o", log, "-e", "trace=pread64", *on, *command)
    with open(log) as f:
        return sum(1 for line in f if "pread64(" in line)


def instructions(b, command):
    out = b.path("callgrind.out")
    run("valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out, *command)
    with open(out) as f:
        return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))


def heap(command):
    """Bytes from malloc at the moment when they are most."""
    said = run("valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", *command)
    return int(re.search(r"At t-gmax: ([\d,]+) bytes", said).group(1).replace(",", ""))


def cpu(b, command, times):
    """Microseconds of the cheapest run."""
    costs = [measure(b, Reader("ours", command, times)) for _ in range(RUNS)]
    if any(c.status for c in costs):
        raise SystemExit("growth: a run failed")
    return min(c.cpu for c in costs) * 1e6


def each(count, few, many, n):
    """What one of n operations more takes."""
    return (count(many) - count(few)) / n


# ---- What is expected ----

def constant(name, header):
    """The sum that a header defines a constant to be, in bytes."""
    with open(os.path.join(INCLUDE, header)) as f:
        text = re.search(rf"#define {name} +(.*)", f.read()).group(1).split("/*")[0]
    return sum(int(n) for n in re.findall(r"\d+", text))


def reader_memory(size, cluster, layers=1):
    """
    A reader has room for twice the L2 tables of all images, in slices, a power of two and 4096 at
    most, but 16 slices for each image at least; for a compressed cluster, packed and unpacked; and
    for reading ahead.
    """
    slices = 4
    while slices < 4096 and slices * SLICE < 4 * SLICE + layers * (size // (cluster // 16)):
        slices *= 2
    slices = max(slices, 16 * layers + 1)
    return (slices * constant("QCOW2_READER_SLICE", "reader.h") + 3 * cluster +
            constant("QCOW2_DEFLATE_SMALL_WORK", "codec.h") + AHEAD)


def line_through(points, i, k):
    """The line through two of the points (x, y), as a function; where both are, it is exact."""
    (xi, yi), (xk, yk) = points[i], points[k]
    return lambda x: yi + (yk - yi) * (x - xi) / (xk - xi)


# ---- Tables ----

def number(value):
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def table(title, law, head, rows):
    lines = [f"**{title}.** {law}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(number(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def kib(n):
    return n / KIB


def by_size_open(b):
    rows, times, first = [], 500, None
    for size in SIZES:
        image = b.path("size.qcow2")
        images.create(image, size)
        images.write_clusters(image, [size // 2 // images.CLUSTER])

        def opens(n):
            return b.driver("qcow2", "open", image, n)
        calls = each(lambda n: io_calls(b, opens(n), [image]), 1, 2, 1)
        work = each(lambda n: instructions(b, opens(n)), 100, 200, 100)
        first = first or work
        rows.append((images.name_of(size), calls, 4, work, first, kib(heap(opens(1))),
                     kib(reader_memory(size, images.CLUSTER) + HANDLE),
                     cpu(b, opens(times), times)))
    yield table("Open, read 4 KiB, close: by size of the disk",
          "No table is loaded: header, a slice of L1, a slice of L2, data. Memory for tables grows "
          "with the disk up to 4,096 slices; they are taken into use as they are needed.",
          ["disk", "io calls", "expected", "instructions", "expected", "KiB reserved",
           "expected, at most", "CPU us"], rows)


def by_size_map(b):
    got = []
    for size in SIZES:
        image = b.path("size.qcow2")
        images.create(image, size)
        command = b.command("map", image)
        entries = size // (512 * MIB)
        pieces = -(-max(0, entries * 8 - SLICE) // AHEAD)
        got.append((images.name_of(size), entries, io_calls(b, command, [image]), 2 + pieces,
                    instructions(b, command), kib(heap(command)), cpu(b, command, 1)))
    law = line_through([(entries, work) for _, entries, _, _, work, _, _ in got], 0, 2)
    rows = [(name, entries, calls, expected, work, "=" if i in (0, 2) else law(entries), memory,
             got[0][5], time)
            for i, (name, entries, calls, expected, work, memory, time) in enumerate(got)]
    yield table("qcow2 map of an empty disk: by size of the disk",
          "Header and first slice of L1, then L1 by 16 KiB. Instructions: those of a program that "
          "starts, and so many for each L1 entry. The command reads with little memory.",
          ["disk", "L1 entries", "io calls", "expected", "instructions", "expected",
           "KiB reserved", "expected", "CPU us"], rows)


def in_order_calls(size, cluster):
    """Of an image that QEMU has filled from front to end."""
    under_table = cluster * (cluster // 8)
    tables = size // under_table or 1
    slices = min(cluster, size // cluster * 8) // SLICE or 1
    pieces = 1 + -(-(slices - 1) * SLICE // AHEAD)
    return size // min(BUFFER, under_table) + tables * pieces + -(-tables * 8 // SLICE)


def by_cluster(b):
    size, times = 64 * MIB, 8
    got = []
    for bits in (9, 12, 16, 21):
        image, cluster = b.path("cluster.qcow2"), 1 << bits
        images.full(image, size, cluster)

        def seq(driver, n_bytes):
            return b.driver(driver, "seq", image, BUFFER, 1, n_bytes)
        calls = each(lambda n: io_calls(b, seq("qcow2", n), [image]), 0, size, 1)
        memory = heap(seq("qcow2", size)) - heap(seq("raw", size))
        time = cpu(b, b.driver("qcow2", "seq", image, BUFFER, times), times)
        raw = cpu(b, b.driver("raw", "seq", image, BUFFER, times), times)
        got.append((images.name_of(cluster), calls, in_order_calls(size, cluster),
                    memory, reader_memory(size, cluster) + HANDLE, time,
                    raw))
    yield table("64 MiB in order by 256 KiB: by size of the clusters",
          "A call for each buffer of data, or for each L2 table's worth of it if that is less; for "
          "each L2 table its first slice, and the rest by 16 KiB; slices of L1. QEMU's refcount "
          "blocks lie between the data and add a call where they do. CPU time is expected to be "
          "that of pread of the same file.",
          ["cluster", "io calls", "expected", "KiB reserved", "expected, at most", "CPU us",
           "expected"],
          [(name, calls, expected, kib(memory), kib(limit), time, raw)
           for name, calls, expected, memory, limit, time, raw in got])


def images_asked(n):
    """Each image above the lowest has one cluster in 64, of those asked for."""
    return sum((63 / 64) ** i for i in range(n))


def by_depth(b):
    size, n, times = 60 * MIB, 4000, 500  # the cluster in the middle is the lowest image's
    paths = [b.path(f"chain{i}.qcow2") for i in range(max(DEPTHS))]
    few, many = b.path("few"), b.path("many")
    images.chain(paths, size)
    images.places_on_disk(few, size, n)
    images.places_on_disk(many, size, 2 * n)
    reads, opens = [], []
    for depth in DEPTHS:
        image, files = paths[depth - 1], paths[:depth]

        def rand(places):
            return b.driver("qcow2", "rand", image, places, BLOCK)

        def opening(k):
            return b.driver("qcow2", "open", image, k)
        memory = heap(rand(few)) - heap(b.driver("raw", "rand", paths[0], few, BLOCK))
        reads.append((depth, each(lambda p: io_calls(b, rand(p), files), few, many, n), 1,
                      each(lambda p: instructions(b, rand(p)), few, many, n), memory,
                      reader_memory(size, images.CLUSTER, depth) + HANDLE + depth * LAYER,
                      cpu(b, rand(many), 2 * n)))
        opens.append((depth, each(lambda k: io_calls(b, opening(k), files), 1, 2, 1),
                      each(lambda k: instructions(b, opening(k)), 20, 40, 20),
                      cpu(b, opening(times), times)))
    law = line_through([(images_asked(r[0]), r[3]) for r in reads], 0, 2)
    yield table("Random 4 KiB: by images of the chain",
          "All tables are in memory: one call, for the data. Instructions: those of a read, and so "
          "many for each image that is asked, a look at its tables; one cluster in 64 is found "
          "before the next image is asked. Memory: the tables of all images.",
          ["images", "io calls", "expected", "instructions", "expected", "KiB reserved",
           "expected, at most", "CPU us"],
          [(depth, calls, expected, work, "=" if i in (0, 2) else law(images_asked(depth)),
            kib(memory), kib(limit), time)
           for i, (depth, calls, expected, work, memory, limit, time) in enumerate(reads)])
    law = line_through([(depth, work) for depth, _, work, _ in opens], 0, 2)
    yield table("Open, read 4 KiB, close: by images of the chain",
          "The header of each image, a slice of its L1 and one of its L2; and the data. "
          "Instructions: in a line, and a little more: each file is compared with those above it.",
          ["images", "io calls", "expected", "instructions", "expected", "CPU us"],
          [(depth, calls, 3 * depth + 1, work, "=" if i in (0, 2) else law(depth), time)
           for i, (depth, calls, work, time) in enumerate(opens)])


def by_threads(b):
    rows, first = [], None
    size, n = 64 * MIB, 8000
    processors = os.cpu_count()
    image, few, many = b.path("threads.qcow2"), b.path("few"), b.path("many")
    images.full(image, size, images.CLUSTER)
    images.places_on_disk(few, size, n)
    images.places_on_disk(many, size, 2 * n)
    for threads in (1, 2, 4, 8, 16):
        def rand(driver, places):
            return b.driver(driver, "rand", image, places, BLOCK, threads)
        work = each(lambda p: instructions(b, rand("qcow2", p)) - instructions(b, rand("raw", p)),
                    few, many, n)
        first = first or work
        memory = heap(rand("qcow2", many))
        readers = min(threads, processors)
        rows.append((threads, each(lambda p: io_calls(b, rand("qcow2", p), [image]), few, many, n),
                     1, work, first, kib(memory),
                     kib(HANDLE + readers * reader_memory(size, images.CLUSTER) + threads * DRIVER),
                     cpu(b, rand("qcow2", many), 2 * n), cpu(b, rand("raw", many), 2 * n)))
    yield table("Random 4 KiB on one handle: by threads",
          "The same for each read, however many threads; but who finds a reader taken looks for "
          "another one, or waits. Memory: a reader for each thread, and at most one for each "
          f"processor, here {processors}, and 10 KiB of the driver for each thread. CPU time is "
          "expected to be that of pread by as many threads, and what a read takes more.",
          ["threads", "io calls", "expected", "instructions beyond pread's", "expected",
           "KiB reserved", "expected, at most", "CPU us", "pread"], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    b = Bench(os.path.abspath(args.build), None, True)
    os.makedirs(args.dir, exist_ok=True)
    tables = []
    for part in (by_size_open, by_size_map, by_cluster, by_depth, by_threads):
        with tempfile.TemporaryDirectory(dir=args.dir) as b.dir:
            b.dir = os.path.abspath(b.dir)
            for text in part(b):
                print(text, flush=True)
                tables.append(text)
    if args.update:
        readme.update("make bench-growth", "\n".join(tables))


if __name__ == "__main__":
    main()
