# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the tests of `qcow2 info` share: the complete output for people."""
import json

from conform import K, qcow2, qcow2_ok

V3 = "version 3\ncluster_bits 12\nsize 64k\nl2 0 data\n"


def human(n):
    """A size with three digits and a unit, as the command prints it."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while n >= 999.5:
        n, units = n / 1024, units[1:]
    return "%.3g %s" % (n, units[0])


FLAGS = ("dirty", "corrupt", "lazy refcounts", "extended L2 entries")
BEFORE_FLAGS = ("encrypted: ", "cipher: ", "LUKS ", "key ", "backing file", "data file: ")
BEFORE_USAGE = ("data file is raw: ", "bitmap: ")


def expected_usage(image, size):
    """What `info` says about how full the image is, counted in its map."""
    result = qcow2("map", "--json", "--layer-only", image)
    if result.code != 0:  # cut, or without its data file
        return []
    entries = json.loads(result.out)
    count = lambda kind: sum(entry["length"] for entry in entries if kind(entry))
    data = count(lambda entry: entry["present"] and entry["data"])
    lines = [f"allocated: {human(data)} ({data} bytes), {share(data, size)} of the disk"]
    for what, n in (("allocated compressed", count(lambda entry: entry["compressed"])),
                    ("zero clusters", count(lambda entry: entry["present"] and not entry["data"]))):
        lines += [f"{what}: {human(n)} ({n} bytes)"] if n else []
    return lines


def share(part, whole):
    return "%.3g %%" % (100 * part / whole)


def expected_info(image, *more, size=64 * K, cluster=4096, version=3, compression="zlib",
                  refcounts=16, flags=()):
    """What `info` prints for people: the lines that every image has, then those in `more`."""
    stat = image.stat()
    lines = [f"image: {image}",
             f"format: qcow2 version {version} (compat {'1.1' if version == 3 else '0.10'})"]
    for what, n in (("virtual size", size), ("file size", stat.st_size),
                    ("disk usage", stat.st_blocks * 512)):
        lines.append(f"{what}: {human(n)} ({n} bytes)")
    lines += [f"cluster size: {cluster}", f"compression: {compression}",
              f"refcount bits: {refcounts}"]
    names = [line for line in more if line.startswith(BEFORE_FLAGS)]
    lines += [*names, *(f"{flag}: {'yes' if flag in flags else 'no'}" for flag in FLAGS)]
    later = [line for line in more if line not in names]
    lines += [line for line in later if line.startswith(BEFORE_USAGE)]
    lines += expected_usage(image, size)
    lines += [line for line in later if not line.startswith(BEFORE_USAGE)]
    return "".join(line + "\n" for line in lines)


def assert_info(image, *more, **frame):
    assert qcow2_ok("info", image).decode() == expected_info(image, *more, **frame)


def assert_warned(image, warning, *more):
    """Checks that `info` prints a warning that begins like this, and all that it can still read.
    Returns the JSON."""
    for options in ((), ("--json",)):
        result = qcow2("info", *options, image)
        assert result.code == 0 and result.err.count("\n") == 1, result
        assert result.err.startswith(f"qcow2: {image}: warning: {warning}"), result
    assert qcow2("info", image).out.decode() == expected_info(image, *more)
    return json.loads(qcow2("info", "--json", image).out)
