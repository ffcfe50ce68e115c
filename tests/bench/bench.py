#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Runs the workloads with this library and with other readers, and prints a table.

    bench.py --build DIR --dir DIR [--quick] [--rounds N] [--update | WORKLOAD...]

The workloads are w1 to w9, w4t, and w11 to w14; w10 comes with w4, whose images it reads.

In each round every reader of a row runs once, so that other work on the machine disturbs all of them
alike. One run before the first round warms the caches and is not counted. A cost is the CPU time,
user and system, of the whole process and its children; or that of a server while a client uses it.
A figure is the median over the rounds; a ratio is the median of the ratios within the rounds. The
table also goes to DIR/bench.md, and a plot to DIR/bench.svg. With --update, both also go to this
folder: RESULTS.md and bench.svg.
"""
import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time

import plot
import results_page
import servers
import workloads

TIMEOUT = 120       # seconds, for each run
PEAK_LIMIT = 4096   # KiB: the goal for our peak memory in every row
LINE_WIDTH = 100    # of the text below the table


class Cost:
    def __init__(self, line, times):
        status, cpu, wall, peak = line.split()
        self.status = int(status)
        self.cpu = float(cpu) / times
        self.wall = float(wall) / times
        self.peak = int(peak)


def measure(b, reader, options=()):
    if isinstance(reader, workloads.Sum):
        return add([measure(b, part, options) for part in reader.parts])
    if not isinstance(reader, workloads.Served):
        return measure_command(b, reader, options)
    return measure_server(b, reader, options)


def measure_server(b, reader, options):
    """The cost of a server while a client runs; the wall time is that of the client."""
    try:
        with servers.running(reader.server) as process:
            before = servers.cpu_seconds(process)
            cost = measure_command(b, reader, options)
            cost.cpu = servers.cpu_seconds(process) - before
    except servers.ServerError as error:
        print(f"{reader.name}: {error}", file=sys.stderr)
        return Cost("1 0 0 0", 1)
    return cost


def measure_command(b, reader, options):
    if reader.makes and os.path.exists(reader.makes):
        os.unlink(reader.makes)
    command = [b.program("measure"), *(["-p"] if reader.piped else []), *options,
               str(TIMEOUT), *map(str, reader.command)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=TIMEOUT + 30, check=True)
    cost = Cost(done.stdout.decode(), reader.times)
    if cost.status:
        print(f"{reader.name}: exit {cost.status}: {done.stderr.decode(errors='replace').strip()}",
              file=sys.stderr)
    return cost


def add(costs):
    return Cost(f"{max(c.status for c in costs)} {sum(c.cpu for c in costs)} "
                f"{sum(c.wall for c in costs)} {max(c.peak for c in costs)}", 1)


def count_calls(b, row, reader):
    """The cost: system calls on the image for each GiB, of all threads."""
    log = os.path.join(b.dir, "strace.out")
    subprocess.run(["strace", "-f", "-qq", "-o", log, "-P", row.ours.command[2], *reader.command],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=TIMEOUT, check=True)
    with open(log, "rb") as f:
        n = sum(1 for text in f if b"resumed>" not in text)
    return Cost(f"0 {n / row.counts * 2**30} 0 0", 1)


def checksum(driver, path, buffer):
    return subprocess.run([driver, "sum", path, str(buffer)], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=True).stdout


def serves_wrong(b, row, reader):
    """True if a server does not serve the bytes of the raw file with the same content."""
    with servers.running(reader.server):
        if reader.copies:
            subprocess.run(reader.copies, stdout=subprocess.DEVNULL, timeout=TIMEOUT, check=True)
        served = checksum(b.program("driver-raw"), reader.shown, workloads.BUFFER)
    if reader.copies:
        os.unlink(reader.shown)
    return served != checksum(b.program("driver-raw"), row.content, workloads.BUFFER)


def reads_wrong(b, row, reader):
    """True if a driver does not read the bytes of the raw file with the same content. The yardstick is
    not judged: it decrypts what is not encrypted."""
    if isinstance(reader, workloads.Served):
        return serves_wrong(b, row, reader)
    if reader is row.raw or not row.content or "/driver-" not in reader.command[0]:
        return False
    raw = checksum(b.program("driver-raw"), row.content, workloads.BUFFER)
    return checksum(reader.command[0], reader.command[2], reader.command[3]) != raw


class Result:
    """The costs of a row: a list for each reader, by round; and the readers that failed."""

    def __init__(self, row):
        self.row = row
        self.costs = {}
        self.failed = {}

    def median(self, name, what=None):
        what = what or self.row.what()
        return statistics.median(getattr(c, what) for c in self.costs[name])

    def ratio(self, name):
        """Our cost divided by the cost of the other reader."""
        what = self.row.what()
        return statistics.median(getattr(a, what) / max(getattr(b, what), 1e-6)
                                 for a, b in zip(self.costs["ours"], self.costs[name]))

    def peers(self):
        return [p.name for p in self.row.peers if p.name in self.costs]

    def best_peer(self):
        real = [p for p in self.peers() if p != "one thread"]
        return min(real, key=self.median) if real else None

    def met(self):
        """True or False; None if the row has no goal or nothing to compare with."""
        if self.row.counts:
            return self.median("ours") <= self.row.limit
        if not self.row.limit or self.row.against not in self.costs:
            return None
        return self.ratio(self.row.against) <= self.row.limit

    def peak(self):
        """Our peak memory in KiB; 0 if the row does not measure a reader of images."""
        return int(self.median("ours", "peak")) if self.row.is_reader else 0

    def show(self, name):
        return f"{self.median(name):.0f}" if self.row.counts else seconds(self.median(name))


def run_row(b, row, rounds):
    result = Result(row)
    readers = [r for r in (row.ours, row.raw, *row.peers) if r is not None]
    if row.counts:
        result.costs = {r.name: [count_calls(b, row, r)] for r in readers}
        return result
    options = ["-r"] if row.wall else []
    for reader in readers:
        if measure(b, reader).status:
            result.failed[reader.name] = "fails"
        elif reads_wrong(b, row, reader):
            result.failed[reader.name] = "reads wrong data"
    if "ours" in result.failed:
        sys.exit(f"bench: {row.name}: ours {result.failed['ours']}")
    for _ in range(rounds):
        for reader in readers:
            if reader.name not in result.failed:
                result.costs.setdefault(reader.name, []).append(measure(b, reader, options))
    return result


# ---- The table ----

def seconds(value):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def cells(result):
    row = result.row
    peers = [f"{p} {result.show(p)}" for p in sorted(result.peers(), key=result.median)]
    peers += [f"{name} {why}" for name, why in result.failed.items()]
    raw = best = goal = met = "-"
    if "raw" in result.costs:
        raw = f"{result.ratio('raw'):.2f}"
    if result.best_peer():
        best = f"{result.ratio(result.best_peer()):.2f}"
    if result.met() is not None:
        against = row.yardstick if row.against == "raw" else row.against
        goal = (f"<= {row.limit}: {result.show('ours')}" if row.counts else
                f"<= {row.limit:g} x {against}: {result.ratio(row.against):.3g}")
        met = "yes" if result.met() else "**no**"
    peak = f"{result.peak() / 1024:.1f}" if result.peak() else "-"
    peak += " (!)" if result.peak() > PEAK_LIMIT else ""
    yard = f"{row.yardstick} {result.show('raw')}" if "raw" in result.costs else "-"
    wall = "-" if row.counts else seconds(result.median("ours", "wall"))
    cpu = result.show("ours") if row.counts else seconds(result.median("ours", "cpu"))
    return [row.name, cpu, wall, yard, ", ".join(peers), raw, best, goal, met, peak]


HEAD = ["workload", "ours CPU", "wall", "yardstick", "peers (CPU)", "ours / yardstick",
        "ours / best peer", "goal: is", "met", "peak MiB"]


def line(columns):
    return "| " + " | ".join(columns) + " |"


def version():
    """The measured commit and the date."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=8"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          cwd=os.path.dirname(os.path.abspath(__file__)))
    commit = done.stdout.decode().strip() or "unknown"
    return f"commit {commit}, {time.strftime('%Y-%m-%d')}"


def machine(b, rounds):
    model = "?"
    with open("/proc/cpuinfo") as f:
        for text in f:
            if text.startswith("model name"):
                model = text.split(":", 1)[1].strip()
                break
    qemu = subprocess.run(["qemu-img", "--version"], stdout=subprocess.PIPE, check=True)
    return (f"{'bench-quick' if b.quick else 'bench'}, {rounds} rounds, {model}, {os.cpu_count()} "
            f"processors, load {os.getloadavg()[0]:.1f}, Linux {platform.release()}, "
            f"{qemu.stdout.decode().splitlines()[0]}")


def goals_met(results):
    goals = [r for r in results if r.met() is not None]
    return f"{sum(r.met() for r in goals)} of {len(goals)} goals met"


def summary(results):
    missed = [r.row.name for r in results if r.met() is False]
    fat = [r.row.name for r in results if r.peak() > PEAK_LIMIT]
    text = goals_met(results) + "."
    if missed:
        text += " Missed: " + "; ".join(missed) + "."
    if fat:
        text += f" More than {PEAK_LIMIT // 1024} MiB of memory: " + "; ".join(fat) + "."
    return textwrap.fill(text, LINE_WIDTH)


# ---- The whole run ----

def run_workload(b, make, rounds, show):
    """Runs the rows of a workload in a directory that it removes afterwards."""
    os.makedirs(b.root, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=b.root) as b.dir:
        results = []
        for row in make(b):
            results.append(run_row(b, row, rounds))
            show(line(cells(results[-1])))
        return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("workload", nargs="*", help=" ".join(workloads.ALL))
    args = parser.parse_args()
    unknown = [name for name in args.workload if name not in workloads.ALL]
    if unknown:
        parser.error(f"no such workload: {' '.join(unknown)} (known: {' '.join(workloads.ALL)})")
    if args.update and args.workload:
        parser.error("--update needs all workloads: name none")
    rounds = args.rounds or (5 if args.quick else 7)
    servers.catch_signals()
    for program in ("qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon", "nbdcopy", "nbdkit",
                    "bindfs", "fusermount3", "7zz", "strace"):
        if not shutil.which(program):
            sys.exit(f"bench: {program} is missing; install it with tests/install.sh")
    b = workloads.Bench(os.path.abspath(args.build), None, args.quick)
    b.root = os.path.abspath(args.dir)
    os.makedirs(b.root, exist_ok=True)
    results, lines, began = [], [], time.time()
    with open(os.path.join(b.root, "bench.md"), "w") as out:
        def show(text):
            print(text, flush=True)
            print(text, file=out, flush=True)
            lines.append(text)
        caption = [version() + ", " + machine(b, rounds)]
        show(caption[0] + "\n")
        show(line(HEAD))
        show("|" + "---|" * len(HEAD))
        for name in args.workload or workloads.ALL:
            results += run_workload(b, workloads.ALL[name], rounds, show)
        show("\n" + summary(results))
        caption.append(goals_met(results) + ", including those that count system calls")
    plot.write(os.path.join(b.root, "bench.svg"), results, caption)
    if args.update:
        plot.write(results_page.PLOT, results, caption)
        results_page.update("make bench", "\n".join(lines))
    print(f"{time.time() - began:.0f} s; {b.root}/bench.md, {b.root}/bench.svg")


if __name__ == "__main__":
    main()
