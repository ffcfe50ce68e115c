#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Compares counts with those in expected.txt. The counts do not depend on the load of the machine:

    instructions of the core (within 2 %), on this processor by callgrind, on a Cortex-M4 by QEMU
    instructions of a read by the library with all tables in memory, beyond those of pread (2 %)
    io calls of the core (exactly)
    system calls of the library and the command (exactly), by strace

    gate.py --build DIR [--update] [--only core|m4|system]      --update writes expected.txt instead

DIR is where `make gate-programs' has built. The exit status is 1 if a count is off, even if it is
better, because then expected.txt is out of date.
"""
import argparse
import array
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = os.path.join(HERE, "..", "data", "sample.qcow2")
EXPECTED = os.path.join(HERE, "expected.txt")
TOLERANCE = 0.02
TIMEOUT = 60  # seconds, for each program

LOOK_UPS = 4096

PARTS = ["core", "m4", "system"]

CORE = """open lookup-hit lookup-miss lookup-chain-of-4 lookup-chain-of-8 lookup-subclusters
    map-in-order map-scattered read-64k-clusters read-512-clusters inflate inflate-fast
    zstd-fast""".split()

# The work on a Cortex-M4 (m4.c): its name, how often it is done, and on which image.
M4 = [("open", 100, "64k"), ("cold", 512, "64k"), ("hot", 512, "64k"), ("in-order", 4096, "64k"),
      ("deflate", 64, "sample")]

# Images for the system calls. tests/image/mkimage.c explains recipes.
RECIPES = {
    "64k": "size 32M\nl2 0-511 data",
    "512": "cluster_bits 9\nsize 2M\nl2 0-4095 data",
    "shuffled": "size 16M\nplace shuffled\nl2 0-255 data",
    "sparse": "size 1T\nl2 0 data\nl2 8000000 data\nl2 16777215 data",
    "packed": "size 4M\nl2 0-63 compressed",
    "over": "size 32M\nbacking 64k qcow2\nl2 1 data",
    # Clusters in descending order, and two files that take turns.
    "reverse": "size 16M\nalloc data 256\n" + "\n".join(
        f"l2 {i} raw 1<<63|$data+{(255 - i) << 16}" for i in range(256)),
    "turns": "size 32M\nbacking 64k qcow2\n" + "\n".join(f"l2 {i} data" for i in range(0, 512, 2)),
}

# The commands. Calls that only start a program do not count.
WRITES = "pwrite64,write,writev,ftruncate,splice,sendfile,copy_file_range,fallocate"
SYSTEM = [
    ("read 64k", "64k", "driver seq {image} 262144"),
    ("read 512", "512", "driver seq {image} 65536"),
    ("read shuffled", "shuffled", "driver seq {image} 262144"),
    ("read packed", "packed", "driver seq {image} 65536"),
    ("read packed by 4096", "packed", "driver seq {image} 4096"),
    ("open 10 times", "64k", "driver open {image} 10"),
    ("open a chain 10 times", "over", "driver open {image} 10"),
    ("map sparse", "sparse", "qcow2 map {image}"),
    ("cat 64k", "64k", "qcow2 cat {image}"),
    ("convert 64k", "64k", "qcow2 convert {image} {out}"),
    ("convert sparse", "sparse", "qcow2 convert {image} {out}"),
    ("convert reverse", "reverse", "qcow2 convert {image} {out}"),
    ("convert turns", "turns", "qcow2 convert --follow {image} {out}"),
    ("map turns", "turns", "qcow2 map --follow {image}"),
]

# What the sandbox does at the start.
SANDBOX = "prctl,seccomp,landlock_create_ruleset,landlock_add_rule,landlock_restrict_self"
SANDBOX_WORK = [("info", ["info", "64k"]), ("convert", ["convert", "64k", "out"])]


def run(command, output=subprocess.PIPE):
    done = subprocess.run(command, check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                          stdout=output)
    return done.stdout.decode() if output == subprocess.PIPE else None


def compiler(name):
    return run([name, "--version"]).splitlines()[0]


def callgrind(tmp, *words):
    """The instructions and the output of a program."""
    out = os.path.join(tmp, "callgrind.out")
    output = run(["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out, *words])
    with open(out) as f:
        return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1)), output


def core_numbers(build, work, tmp):
    """The instructions, io calls and operations of one piece of work of the core."""
    gate = os.path.join(build, "tests/bench/gate")
    sample = os.path.join(tmp, "zstd") if work.startswith("zstd") else SAMPLE
    instructions, output = callgrind(tmp, "--toggle-collect=gate_run",
                                   "--toggle-collect=read_counted", gate, work, sample)
    operations, calls = output.split()
    return [instructions, int(calls), int(operations)]


def outside_of_count(elf):
    """The ranges of addresses of the io callback, as options for the plugin."""
    skips = []
    for symbol in run(["arm-none-eabi-nm", "-S", elf]).splitlines():
        words = symbol.split()
        if words[-1] == "m4_read":
            skips.append((int(words[0], 16), int(words[1], 16)))
        elif words[-1] == "semihost":  # in assembler, so nm prints no size: it is two instructions
            skips.append((int(words[0], 16), 4))
    if len(skips) != 2:
        sys.exit("gate: no io callback in " + elf)
    return ",".join(f"skip={at & ~1:x}:{(at & ~1) + size:x}" for at, size in skips)


def m4_run(build, work, times, tmp, image):
    """The instructions and io calls of a run. File names are short, because the command line must be."""
    elf = os.path.join(os.path.abspath(build), "tests/bench/m4.elf")
    plugin = os.path.join(os.path.abspath(build), "tests/bench/count.so")
    done = subprocess.run(
        ["qemu-system-arm", "-M", "netduinoplus2", "-accel", "tcg", "-display", "none",
         "-monitor", "none", "-serial", "none", "-plugin", f"{plugin},{outside_of_count(elf)}",
         "-semihosting-config",
         f"enable=on,target=native,arg=m4,arg={work},arg={times:04},arg={image}", "-kernel", elf],
        check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, cwd=tmp)
    output = done.stdout.decode()
    return [int(re.search(rf"^{what} (\d+)$", output, re.M).group(1))
            for what in ("instructions", "calls")]


def m4_numbers(build, work, times, tmp, image):
    none, some = (m4_run(build, work, n, tmp, image) for n in (0, times))
    return [some[0] - none[0], some[1] - none[1], times]


def look_up_numbers(build, tmp, image):
    """The cost of LOOK_UPS random reads of 4 KiB with all tables in memory, beyond pread."""
    rng = random.Random(9)
    places = [rng.randrange(8192) * 4096 for _ in range(LOOK_UPS)]
    lists = {n: os.path.join(tmp, f"places{n}") for n in (1, 2)}
    for n, name in lists.items():
        with open(name, "wb") as f:
            array.array("Q", places * n).tofile(f)

    def work(driver, n):
        program = os.path.join(build, "tests/bench/driver-" + driver)
        return [program, "rand", image, lists[n], "4096"]
    cost = {(driver, n): callgrind(tmp, *work(driver, n))[0]
            for driver in ("qcow2", "raw") for n in (1, 2)}
    calls = {n: system_calls(work("qcow2", n), tmp, "-P", image)["pread64"] for n in (1, 2)}
    return [cost["qcow2", 2] - cost["qcow2", 1] - cost["raw", 2] + cost["raw", 1],
            calls[2] - calls[1], LOOK_UPS]


def system_calls(words, tmp, *which):
    """{call: number}"""
    log = os.path.join(tmp, "strace.out")
    found = {}
    # Output goes to /dev/null, because the writes to a pipe depend on the speed of its reader.
    run(["strace", "-f", "-qq", "-o", log, *which, *words], subprocess.DEVNULL)
    with open(log) as f:
        for call in re.findall(r"^\d+ +(\w+)\(", f.read(), re.M):
            found[call] = found.get(call, 0) + 1
    return found


def system_numbers(build, command, tmp, image):
    """{call: number} of the calls on the image and its backing file, and of all that write."""
    programs = {"driver": "tests/bench/driver-qcow2", "qcow2": "qcow2"}
    words = command.format(image=image, out=os.path.join(tmp, "out")).split()
    words[0] = os.path.join(build, programs[words[0]])
    below = os.path.join(tmp, "64k")
    found = system_calls(words, tmp, "-P", image, "-P", below, "-e", "trace=all")
    found = {call: n for call, n in found.items() if call not in WRITES.split(",")}
    return {**found, **system_calls(words, tmp, "-e", "trace=" + WRITES)}


def make_images(build, tmp):
    for name, recipe in RECIPES.items():
        subprocess.run([os.path.join(build, "tests/image/mkimage"), os.path.join(tmp, name)],
                       input=recipe.encode() + b"\n", check=True, timeout=TIMEOUT)
    shutil.copy(SAMPLE, os.path.join(tmp, "sample"))
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", SAMPLE,
                    os.path.join(tmp, "zstd")], check=True, timeout=TIMEOUT)


def measure(build, parts):
    """{name: [number...] or {call: number}}, with the compilers as "compiler" and "m4 compiler"."""
    got = {}
    with tempfile.TemporaryDirectory() as tmp:
        make_images(build, tmp)
        if "core" in parts:
            got["compiler"] = compiler("gcc-12")
            for work in CORE:
                got["core " + work] = core_numbers(build, work, tmp)
        if "m4" in parts:
            got["m4 compiler"] = compiler("arm-none-eabi-gcc")
            for work, times, image in M4:
                got["m4 " + work] = m4_numbers(build, work, times, tmp, image)
        if "system" in parts:
            got["system lookup-hit"] = look_up_numbers(build, tmp, os.path.join(tmp, "64k"))
            for name, image, command in SYSTEM:
                got["system " + name] = system_numbers(build, command, tmp,
                                                       os.path.join(tmp, image))
            for name, words in SANDBOX_WORK:
                words = [os.path.join(build, "qcow2"), words[0],
                         *(os.path.join(tmp, word) for word in words[1:])]
                got["system sandbox " + name] = system_calls(words, tmp, "-e", "trace=" + SANDBOX)
    return got


def as_text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "{} instructions, {} io calls, {} operations".format(*value)
    return " ".join(f"{call}={n}" for call, n in sorted(value.items()))


def is_close(value, wanted):
    """True if the count is as expected. `wanted` is text as in the file."""
    if not isinstance(value, list):
        return as_text(value) == wanted
    numbers = [int(n) for n in re.findall(r"\d+", wanted)]
    return (len(numbers) == 3 and value[1:] == numbers[1:] and
            abs(value[0] - numbers[0]) <= TOLERANCE * numbers[0])


def part_of(name):
    return "core" if name == "compiler" else name.split()[0]


def read_expected():
    with open(EXPECTED) as f:
        lines = [line.rstrip("\n") for line in f if not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def write_expected(got):
    with open(EXPECTED, "w") as f:
        f.write("# Written by `make bench-gate UPDATE=1'. gate.py, gate.c, m4.c explain the counts.\n")
        for name, value in got.items():
            f.write(f"{name}: {as_text(value)}\n")


def report(got, expected, parts):
    """Prints a line for each count and returns how many are off."""
    failed = 0
    names = list(got) + [n for n in expected if n not in got and part_of(n) in parts]
    for name in names:
        value, wanted = got.get(name), expected.get(name, "nothing")
        text = as_text(value) if value is not None else "nothing"
        per = f"  {value[0] / value[2]:.1f} each" if isinstance(value, list) else ""
        if value is not None and is_close(value, wanted):
            print(f"ok      {name}: {text}{per}")
        else:
            failed += 1
            print(f"FAILED  {name}: {text}{per}\n        expected: {wanted}")
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    args = parser.parse_args()
    parts = [args.only] if args.only else PARTS
    got = measure(args.build, parts)
    if args.update:
        kept = {n: v for n, v in read_expected().items() if part_of(n) not in parts}
        write_expected({**kept, **got})
    return 1 if report(got, read_expected(), parts) else 0


if __name__ == "__main__":
    sys.exit(main())
