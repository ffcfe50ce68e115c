#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Shows how the time and memory of this library grow: tables of counts beside expected counts.

    growth.py --build DIR --dir DIR [--update]    --update: writes the tables into RESULTS.md

The script counts what it can instead of timing it: the io calls on the images (strace) and the
instructions of the process in user space (callgrind). For the cost of one operation it makes two
runs, the second with twice as many operations, and takes the difference. Memory is the most that the
process has from malloc at one time (dhat), whether it touches it or not. CPU time is the least of
several runs.

The expected counts follow from how the library works; the text above each table explains them. If a
formula has a constant that is not known beforehand, it is fitted to two lines, which are marked with
"="; the other lines test the formula.
"""
import argparse
import os
import re
import subprocess
import tempfile
import textwrap

import images
import results_page
from bench import measure
from images import GIB, KIB, MIB, TIB
from workloads import BLOCK, Bench, Reader

RUNS = 5
LINE_WIDTH = 100  # of the text above a table
TIMEOUT = 300  # seconds, for each program
BUFFER = 256 * KIB
SIZES = [GIB, 16 * GIB, 256 * GIB, 4 * TIB, 64 * TIB]
DEPTHS = [2, 3, 5, 9, 17, 33]
SLICE = 512          # bytes of a table that the core reads at once
AHEAD = 16 * KIB     # bytes of tables that the library reads ahead
HANDLE = 2 * KIB     # upper limit for a handle with its slots and paths
LAYER = KIB          # upper limit for each image of the chain
DRIVER = 10 * KIB    # upper limit for each thread of the driver itself
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
    """The most bytes that the program had from malloc at one time."""
    output = run("valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", *command)
    return int(re.search(r"At t-gmax: ([\d,]+) bytes", output).group(1).replace(",", ""))


def cpu(b, command, times):
    """The CPU time of the cheapest run in microseconds."""
    costs = [measure(b, Reader("ours", command, times)) for _ in range(RUNS)]
    if any(c.status for c in costs):
        raise SystemExit("growth: a run failed")
    return min(c.cpu for c in costs) * 1e6


def each(count, few, many, n):
    """The cost of one operation, from two runs that differ by n operations."""
    return (count(many) - count(few)) / n


# ---- What is expected ----

def constant(name, header):
    """The value of a constant that a header defines as a sum of bytes."""
    with open(os.path.join(INCLUDE, header)) as f:
        text = re.search(rf"#define {name} +(.*)", f.read()).group(1).split("/*")[0]
    return sum(int(n) for n in re.findall(r"\d+", text))


def reader_memory(size, cluster, layers=1):
    """
    A reader has room for twice the L2 tables of all images. The room is a number of slices that is
    a power of two, at most 4096, but at least 16 for each image. It also has room for a compressed
    cluster, packed and unpacked, and for reading ahead.
    """
    slices = 4
    while slices < 4096 and slices * SLICE < 4 * SLICE + layers * (size // (cluster // 16)):
        slices *= 2
    slices = max(slices, 16 * layers + 1)
    return (slices * constant("QCOW2_READER_SLICE", "reader.h") + 3 * cluster +
            constant("QCOW2_DEFLATE_SMALL_WORK", "codec.h") + AHEAD)


def line_through(points, i, k):
    """The line through two of the points (x, y), as a function."""
    (xi, yi), (xk, yk) = points[i], points[k]
    return lambda x: yi + (yk - yi) * (x - xi) / (xk - xi)


# ---- Tables ----

def number(value):
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def table(title, law, head, rows):
    lines = [textwrap.fill(f"**{title}.** {law}", LINE_WIDTH), "",
             "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
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
          "Opening loads no table. Four calls read the header, a slice of the L1 table, a slice of "
          "an L2 table, and the data. The memory for tables grows with the disk, up to 4,096 "
          "slices; the reader begins to use them when misses show the need.",
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
          "The command reads the header and the first slice of the L1 table, then the rest of the "
          "L1 table by 16 KiB. The instructions are those of starting a program and a constant for "
          "each L1 entry. The command gives its reader little memory.",
          ["disk", "L1 entries", "io calls", "expected", "instructions", "expected",
           "KiB reserved", "expected", "CPU us"], rows)


def in_order_calls(size, cluster):
    """The calls for an image that QEMU filled from the first cluster to the last."""
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
          "One call for each buffer of data, or for the data of each L2 table if that is less. For "
          "each L2 table one call for its first slice and one for each further 16 KiB; and one for "
          "each slice of the L1 table. QEMU puts refcount blocks between the data, and each of "
          "them adds a call. The expected CPU time is that of pread of the same file.",
          ["cluster", "io calls", "expected", "KiB reserved", "expected, at most", "CPU us",
           "expected"],
          [(name, calls, expected, kib(memory), kib(limit), time, raw)
           for name, calls, expected, memory, limit, time, raw in got])


def images_asked(n):
    """The images that an average read asks: each one above the lowest holds one cluster in 64."""
    return sum((63 / 64) ** i for i in range(n))


def by_depth(b):
    size, n, times = 60 * MIB, 4000, 500  # the lowest image holds the cluster in the middle
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
          "All tables are in memory, so a read is one call, for the data. The instructions are "
          "those of a read and a constant for each image whose tables the reader searches; each image "
          "above the lowest holds one cluster in 64, where the search ends. The memory is for the "
          "tables of all images.",
          ["images", "io calls", "expected", "instructions", "expected", "KiB reserved",
           "expected, at most", "CPU us"],
          [(depth, calls, expected, work, "=" if i in (0, 2) else law(images_asked(depth)),
            kib(memory), kib(limit), time)
           for i, (depth, calls, expected, work, memory, limit, time) in enumerate(reads)])
    law = line_through([(depth, work) for depth, _, work, _ in opens], 0, 2)
    yield table("Open, read 4 KiB, close: by images of the chain",
          "For each image one call for the header, one for a slice of the L1 table and one for a "
          "slice of an L2 table; and one for the data. The instructions grow a little faster than "
          "a straight line, because the library compares each file with all files above it.",
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
          "A read costs the same with any number of threads, except that a thread that finds a "
          "reader in use tries another one or waits. The memory is one reader for each thread, at "
          f"most one for each processor (here {processors}), and 10 KiB of the driver for each "
          "thread. The expected CPU time is that of pread by as many threads plus what one read "
          "adds to it.",
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
        results_page.update("make bench-growth", "\n".join(tables))


if __name__ == "__main__":
    main()
