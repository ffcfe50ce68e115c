#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the core costs: code by capability, memory, and stack by call, on several processors.

    size.py DIR FILE...        FILE: as in QCOW2_CORE_SRCS

Prints a table for each processor. Fails if a budget is exceeded, if the core has writable data, or if
the depth of the stack cannot be determined.
"""
import functools
import os
import re
import subprocess
import sys

TARGETS = [  # name, bits, compiler, flags
    ("Cortex-M4", 32, "arm-none-eabi-gcc", "-mcpu=cortex-m4 -mthumb"),
    ("Cortex-M0+", 32, "arm-none-eabi-gcc", "-mcpu=cortex-m0plus -mthumb"),
    ("RV32IMAC", 32, "riscv64-unknown-elf-gcc", "-march=rv32imac -mabi=ilp32"),
    ("AArch64", 64, "aarch64-linux-gnu-gcc", "-mgeneral-regs-only -mno-outline-atomics"),
    ("x86-64", 64, "gcc", "-mgeneral-regs-only"),
]
FLAGS = ("-std=c11 -Os -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables"
         " -ffunction-sections -fdata-sections -Iinclude").split()

OPEN = ["qcow2_image_open"]
READ = OPEN + ["qcow2_reader_init", "qcow2_reader_map", "qcow2_reader_read"]
CHECK = ["qcow2_image_check"]
EXTENSIONS = ["qcow2_image_extensions"]
CAPABILITIES = [  # the functions to link for it
    ("open", OPEN),
    ("open, map, read", READ),
    ("+ a codec", READ + ["qcow2_reader_codecs"]),
    ("+ deflate", READ + ["qcow2_reader_codecs", "qcow2_deflate_small"]),
    ("+ fast deflate", READ + ["qcow2_reader_codecs", "qcow2_deflate_fast"]),
    ("+ small zstd", READ + ["qcow2_reader_codecs", "qcow2_zstd_small"]),
    ("+ fast zstd", READ + ["qcow2_reader_codecs", "qcow2_zstd_fast"]),
    ("+ snapshots", READ + ["qcow2_snapshot_next", "qcow2_snapshot_strings",
                            "qcow2_snapshot_image",
                            "qcow2_snapshot_state_image"]),
    ("+ refcounts", READ + ["qcow2_refcounts"]),
    ("+ encryption", READ + ["qcow2_image_attach_cipher"]),
    ("+ LUKS headers", READ + EXTENSIONS + ["qcow2_luks_read"]),
    ("+ a given LUKS key", READ + EXTENSIONS + ["qcow2_luks_read", "qcow2_luks_verify"]),
    ("+ LUKS keys", READ + EXTENSIONS + ["qcow2_luks_read", "qcow2_luks_unlock"]),
    ("+ LUKS keys, AES-XTS", READ + EXTENSIONS + ["qcow2_luks_read_aes_xts", "qcow2_luks_unlock"]),
    ("+ bitmaps", READ + ["qcow2_bitmap_next", "qcow2_bitmap_name",
                          "qcow2_bitmap_extent"]),
    ("+ extensions", READ + ["qcow2_image_extensions"]),
    ("+ version 1", READ + ["qcow2_image_open_v1"]),
    ("+ feature names", READ + ["qcow2_feature_name"]),
    ("+ status texts", READ + ["qcow2_status_text"]),
    ("+ block adapter", READ + ["qcow2_block_init"]),
    ("+ check", READ + CHECK),
    ("+ check with bitmaps", READ + CHECK + ["qcow2_check_bitmaps"]),
    ("+ strict check", READ + CHECK + ["qcow2_check_strict"]),
    ("every object", None),
]
# The most bytes of code on one processor.
BUDGET_CODE = {
    "open, map, read": 3072 + 128,  # with the hooks for encryption
    "+ a codec": 832,
    # Decoders come with unpack.c, which takes 824 of these bytes.
    "+ deflate": 2048,
    "+ small zstd": 5632,
    "+ fast zstd": 6144,
    "+ refcounts": 512,
    "+ bitmaps": 1024,
    "+ encryption": 384,
    "+ version 1": 717,
    "+ LUKS headers": 880,
    "+ a given LUKS key": 1040,
    "+ LUKS keys": 1600,
    "+ LUKS keys, AES-XTS": 1331,
    "+ check": 3072,
    "+ check with bitmaps": 416,
    "+ strict check": 448,
    "every object": 27 * 1024 + 512,
}
# What a budget leaves out: other capabilities, with budgets of their own, that this one calls.
BESIDE = {
    "+ LUKS headers": EXTENSIONS,
    "+ a given LUKS key": EXTENSIONS + ["qcow2_wipe"],
    "+ LUKS keys": EXTENSIONS + ["qcow2_wipe", "qcow2_digest_len"],
    "+ LUKS keys, AES-XTS": EXTENSIONS + ["qcow2_wipe", "qcow2_digest_len"],
    "+ check": ["qcow2_refcounts", "qcow2_snapshot_next"],
    "+ check with bitmaps": CHECK + ["qcow2_bitmap_next"],
    "+ strict check": CHECK,
}
BUDGET_CODE_ON = "Cortex-M4"

STRUCTS = ["image", "reader", "extent", "error", "io", "stream", "snapshot", "bitmap", "block", "luks",
           "check"]
MEMORY = ["QCOW2_READER_MEMORY", "QCOW2_READER_MEMORY_DEFLATE", "QCOW2_READER_MEMORY_ZSTD(12)"]
BUDGET_READER = 1024  # image, reader and memory of uncompressed reading
BUDGET_DEFLATE = 8192  # beyond that, for deflate
BUDGET_ZSTD = 8704  # the same for zstd, with clusters of 4 KiB
BUDGET_STACK = 512  # on 32-bit processors

# The functions that calls through pointers in a file may reach. Functions that the caller provides
# are not counted.
INDIRECT = {
    "io.c": [],
    "block.c": [],
    "check_count.c": [],
    "check_map.c": [],
    "check_table.c": ["qcow2_check_strict"],
    "check_walk.c": ["qcow2_check_bitmaps"],
    "cache.c": ["q2_io_read"],
    "image.c": ["q2_header_read", "v1_header_read"],
    "map.c": ["raw_extent", "v1_extent"],
    "reader.c": ["q2_unpack", "encrypted_read"],
    "cipher.c": [],
    "luks.c": ["names_check", "aes_xts_check"],
    "luks_unlock.c": [],
    "luks_verify.c": [],
    "unpack.c": ["inflate_begin", "inflate_decode", "fast_begin", "fast_decode",
                 "zfast_begin", "zfast_decode", "unzstd_begin", "unzstd_decode"],
    "inflate_small.c": ["packed_fill"],
    "inflate_fast.c": ["packed_fill"],
    "zstd_fast.c": ["packed_fill"],
    "zstd_small_bits.c": ["packed_fill"],
}
# Functions that only calls from other files reach: the block adapter's callback, and the codecs.
MORE_CALLS = ["block_read", "inflate_decode", "fast_decode", "zfast_decode", "unzstd_decode"]
PROVIDED = ["memcpy", "memset", "memmove", "memcmp"]  # by the firmware; counted as in mem.c


class Failure(Exception):
    pass


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=3600,
                          universal_newlines=True)
    if done.returncode != 0:
        raise Failure("%s:\n%s" % (" ".join(command), done.stderr))
    return done.stdout


def compile_all(cc, out, files):
    objects = []
    for name in files + ["mem.c"]:
        objects.append(os.path.join(out, name[:-2] + ".o"))
        run(*cc, *FLAGS, "-fstack-usage", "-fcallgraph-info=su", "-c", "src/" + name,
            "-o", objects[-1])
    return objects[:-1]


# ---- Code and data ----

def sections(path):
    """Bytes of code, of constants, of variables."""
    size = dict.fromkeys([".text", ".rodata", ".data", ".bss"], 0)
    for line in run("llvm-size-14", "-A", path).splitlines():
        m = re.match(r"(\.\S+)\s+(\d+)", line)
        if m and int(m.group(2)) != 0 and m.group(1) not in size:
            raise Failure("%s: what is section %s?" % (path, m.group(1)))
        if m:
            size[m.group(1)] = int(m.group(2))
    return size[".text"], size[".rodata"], size[".data"] + size[".bss"]


@functools.cache
def symbols(objects, *options):
    """{object: the names that llvm-nm prints of it}. Starting llvm-nm takes longer than reading."""
    names = {o: set() for o in objects}
    for line in run("llvm-nm-14", "-g", "--print-file-name", *options, *objects).splitlines():
        name, symbol = line.split(":", 1)
        names[name].add(tuple(symbol.split()[-2:]))
    return names


def link(cc, out, objects, roots):
    elf = os.path.join(out, "linked")
    command = cc + ["-nostdlib", "-static", "-no-pie", "-Wl,-T,tests/freestanding/size.ld,--build-id=none",
                    "-Wl,--unresolved-symbols=ignore-all", "-Wl,-e,qcow2_image_open"]
    if roots is not None:
        command += ["-Wl,--gc-sections"] + ["-Wl,--undefined=" + root for root in roots]
        defined = set().union(*symbols(tuple(objects), "--defined-only").values())
        for root in roots:
            if not defined & {("T", root), ("R", root)}:
                raise Failure("%s is not defined" % root)
    run(*command, *objects, "-o", elf)
    return sections(elf)


def needed(objects, roots):
    """The objects that define the roots, and what these need, and so on."""
    defined, undefined = ({o: {name for _, name in found} for o, found in symbols(
        tuple(objects), option).items()} for option in ("--defined-only", "-u"))
    wanted, found = set(roots), set()
    while True:
        more = {o for o in objects if o not in found and defined[o] & wanted}
        if not more:
            return {os.path.basename(o)[:-2] + ".c" for o in found}
        found |= more
        for o in more:
            wanted |= undefined[o]


def readme_tables(objects, totals, costs, budgets):
    """Do the tables of src/README.md say what is linked, what it costs, and what it may cost?"""
    with open("src/README.md", encoding="utf-8") as f:
        text = f.read()
    rows = re.findall(r"^\| (.*) \| `([^|]*)` \| ([0-9,]+) \|$", text, re.M)
    base, wrong = needed(objects, READ), []
    wanted = [(name, roots) for name, roots in CAPABILITIES if roots not in (OPEN, None)]
    if len(rows) != len(wanted):
        return ["src/README.md has %d rows of what to link, not %d" % (len(rows), len(wanted))]
    for (title, files, cost), (name, roots) in zip(rows, wanted):
        linked = needed(objects, roots) - (base if roots is not READ else set())
        if set(files.split()) != linked or int(cost.replace(",", "")) != totals[name]:
            wrong.append("src/README.md, '%s' is: %s, %s bytes" %
                         (title, " ".join(sorted(linked)), format(totals[name], ",")))
    rows = re.findall(r"^\| code (.*) \| ([0-9,]+) \| ([0-9,]+) bytes \|$", text, re.M)
    wanted = [name for name, _ in CAPABILITIES if name in budgets]
    if len(rows) != len(wanted):
        wrong.append("src/README.md has %d budgets of code, not %d" % (len(rows), len(wanted)))
    for (title, *numbers), name in zip(rows, wanted):
        want = [format(n, ",") for n in (costs[name], budgets[name])]
        if numbers != want:
            wrong.append("src/README.md, budget of code '%s' is: %s of %s" % (title, *want))
    return wrong


def code_table(cc, out, objects, budgets):
    print("  %-23s %7s %7s %7s" % ("", "code", "const", "sum"))
    wrong = []
    base, totals, costs = {}, {}, {}
    for name, roots in CAPABILITIES:
        code, constants, variables = link(cc, out, objects, roots)
        if name.startswith("+"):
            code, constants = code - base["code"], constants - base["constants"]
        elif roots is READ:
            base = {"code": code, "constants": constants}
        total = totals[name] = costs[name] = code + constants
        if name in BESIDE and name in budgets:
            costs[name] -= sum(link(cc, out, objects, READ + BESIDE[name])) - sum(base.values())
        note = ""
        if name in budgets:
            note = "  %d of %d" % (costs[name], budgets[name])
            if costs[name] > budgets[name]:
                wrong.append("%s: %d bytes of code, %d too many" %
                             (name, costs[name], costs[name] - budgets[name]))
        if variables:
            wrong.append("%s: %d bytes of variables" % (name, variables))
        print("  %-23s %7d %7d %7d%s" % (name, code, constants, total, note))
    if budgets:
        wrong += readme_tables(objects, totals, costs, budgets)
    return wrong


# ---- Memory ----

def memory_table(cc, out):
    source, path = os.path.join(out, "sizes.c"), os.path.join(out, "sizes.o")
    with open(source, "w") as f:
        for header in ("reader", "snapshot", "bitmap", "block", "luks", "check"):
            f.write('#include "qcow2/%s.h"\n' % header)
        for name in STRUCTS:
            f.write("char %s[sizeof(struct qcow2_%s)];\n" % (name, name))
        for name in MEMORY:
            f.write("char size_of_%s[%s];\n" % (name.split("(")[0], name))
    run(*cc, *FLAGS, "-c", source, "-o", path)
    size = {}
    for line in run("llvm-nm-14", "-S", path).splitlines():
        fields = line.split()
        size[fields[-1].replace("size_of_", "")] = int(fields[1], 16)
    reader = size["image"] + size["reader"] + size["QCOW2_READER_MEMORY"]
    deflate = size["QCOW2_READER_MEMORY_DEFLATE"] - size["QCOW2_READER_MEMORY"]
    zstd = size["QCOW2_READER_MEMORY_ZSTD"] - size["QCOW2_READER_MEMORY"]
    print("  structs: " + ", ".join("%s %d" % (name, size[name]) for name in STRUCTS))
    print("  memory: image + reader + least memory %d of %d, for deflate %d of %d more, for zstd %d of %d" %
          (reader, BUDGET_READER, deflate, BUDGET_DEFLATE, zstd, BUDGET_ZSTD))
    wrong = []
    if reader > BUDGET_READER:
        wrong.append("image, reader and memory take %d bytes" % reader)
    if deflate > BUDGET_DEFLATE:
        wrong.append("deflate takes %d bytes more" % deflate)
    if zstd > BUDGET_ZSTD:
        wrong.append("zstd takes %d bytes more" % zstd)
    return wrong


# ---- Stack ----

def plain(title):
    """The name of a function as it is in the source: file:name.constprop.0 -> name."""
    return title.rsplit(":", 1)[-1].split(".")[0]


def read_graph(paths):
    frame, calls = {}, {}
    for path in paths:
        with open(path) as f:
            text = f.read()
        for title, label in re.findall(r'node: \{ title: "([^"]*)" label: "([^"]*)"', text):
            m = re.search(r"\\n(\d+) bytes \((\w+)\)", label)
            if m is None:
                continue
            if m.group(2) != "static":
                raise Failure("%s: the frame is %s" % (title, m.group(2)))
            frame[title] = int(m.group(1))
            calls.setdefault(title, set())
        for source, target, label in re.findall(
                r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"(?: label: "([^"]*)")?', text):
            calls.setdefault(source, set()).update(callees(source, target, label))
    return frame, calls


def callees(source, target, label):
    if target != "__indirect_call":
        return [target]
    name = os.path.basename(label.split(":")[0])
    if name not in INDIRECT:
        raise Failure("%s calls through a pointer at %s: what may that be?" % (source, label))
    return ["indirect " + function for function in INDIRECT[name]]


def deepest(title, frame, calls, path=()):
    """Bytes of stack, and the calls that take them."""
    if title.startswith("indirect "):
        found = [t for t in frame if plain(t) == title[9:]]
        if len(found) != 1:
            raise Failure("%s: no such function" % title)
        title = found[0]
    if title in path:
        raise Failure("recursion: " + " > ".join(path + (title,)))
    if title not in frame:
        raise Failure("%s calls %s, which is not known" % (path[-1] if path else "?", title))
    best = (0, [])
    for callee in sorted(calls[title]):
        best = max(best, deepest(callee, frame, calls, path + (title,)), key=lambda b: b[0])
    return frame[title] + best[0], ["%s(%d)" % (plain(title), frame[title])] + best[1]


def stack_table(out, objects, budget):
    paths = [o[:-2] + ".ci" for o in objects] + [os.path.join(out, "mem.ci")]
    frame, calls = read_graph(paths)
    public = [t for t in frame if t.startswith("qcow2_")]
    public += [t for t in frame if plain(t) in MORE_CALLS]
    missing = set(MORE_CALLS) - {plain(t) for t in public}
    if len(public) < 15 or missing:
        raise Failure("public functions are missing: %s" % (missing or public))
    depth = {t: deepest(t, frame, calls) for t in public}
    print("  stack%s:" % (" of %d" % budget if budget else ""))
    for title in sorted(depth, key=lambda t: -depth[t][0]):
        print("    %5d %s" % (depth[title][0], plain(title)))
    worst = max(depth.values(), key=lambda d: d[0])
    print("    deepest: " + " > ".join(worst[1]))
    return ["%s: %d bytes of stack" % (plain(t), depth[t][0]) for t in depth
            if budget and depth[t][0] > budget]


def main():
    out, files = sys.argv[1], sys.argv[2:]
    passed = failed = 0
    for name, bits, compiler, options in TARGETS:
        cc = [compiler] + options.split()
        dir = os.path.join(out, name)
        os.makedirs(dir, exist_ok=True)
        print("%s (%s %s -Os)" % (name, compiler, options))
        try:
            objects = compile_all(cc, dir, files)
            wrong = code_table(cc, dir, objects, BUDGET_CODE if name == BUDGET_CODE_ON else {})
            wrong += memory_table(cc, dir)
            wrong += stack_table(dir, objects, BUDGET_STACK if bits == 32 else 0)
        except (Failure, OSError, subprocess.TimeoutExpired) as e:
            wrong = [str(e)]
        for text in wrong:
            print("  TOO MUCH: " + text)
        passed += not wrong
        failed += bool(wrong)
        print()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
