# SPDX-License-Identifier: MIT
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


def expected_info(image, *more, size=64 * K, cluster=4096, version=3, compression="zlib",
                  refcounts=16):
    """What `info` prints for people: the lines that every image has, then those in `more`."""
    stat = image.stat()
    lines = [f"image: {image}",
             f"format: qcow2 version {version} (compat {'1.1' if version == 3 else '0.10'})"]
    for what, n in (("virtual size", size), ("file size", stat.st_size),
                    ("disk usage", stat.st_blocks * 512)):
        lines.append(f"{what}: {human(n)} ({n} bytes)")
    lines += [f"cluster size: {cluster}", f"compression: {compression}",
              f"refcount bits: {refcounts}", *more]
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
