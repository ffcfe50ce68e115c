#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the sandbox adds to the start of the command: with it less without it, in milliseconds.

    start.py --build DIR [--pairs N]

The two runs of a pair follow each other, and their order alternates. The difference is the median
over the pairs, because load on the machine disturbs that least. The exit status is 1 if a command
takes more than LIMIT.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT = 0.3  # milliseconds
TIMEOUT = 60
RECIPE = b"size 1M\nl2 0-3 data\n"
COMMANDS = {"info": ["image"], "map": ["image"], "convert": ["image", "out"]}
QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]


def milliseconds(words):
    begin = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=QUIET)
    status = os.waitpid(child, 0)[1]
    elapsed = time.perf_counter() - begin
    if status != 0:
        sys.exit(f"start: {words} failed")
    return elapsed * 1e3


def difference(qcow2, words, pairs):
    """The medians of the runs without the sandbox, and of the differences within the pairs."""
    without, added = [], []
    for i in range(pairs):
        times = {}
        for option in (["--no-sandbox"], [])[::1 if i % 2 else -1]:
            times[bool(option)] = milliseconds([qcow2, words[0], *option, *words[1:]])
        without.append(times[True])
        added.append(times[False] - times[True])
    return statistics.median(without), statistics.median(added)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--pairs", type=int, default=400)
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    failed = False
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([build + "/tests/image/mkimage", tmp + "/image"], input=RECIPE, check=True,
                       timeout=TIMEOUT)
        for name in COMMANDS:
            words = [name, *(os.path.join(tmp, word) for word in COMMANDS[name])]
            without, added = difference(build + "/qcow2", words, args.pairs)
            failed |= added > LIMIT
            print(f"{name}: {without:.2f} ms without the sandbox, {added:+.3f} ms with it")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
