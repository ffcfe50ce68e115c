# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Makes images with qemu-img and qemu-io.

The content is random, with a fixed seed for each test: writes, compressed writes, writes of zeros
and discards of any offset and length.
"""
import functools
import random
import zlib

from conform import K, qemu_img, qemu_io, write_file

SECTOR = 512
MOST = ("write", "pattern", "zero", "unmap", "discard")
ALL = MOST + ("compressed",)


def random_for(name):
    return random.Random(zlib.crc32(str(name).encode()))


def text_like(rng, length):
    """Bytes that compress to about half."""
    words = [bytes(rng.choices(b"etaoin shrdlu", k=rng.randint(2, 12))) for _ in range(200)]
    return b"".join(rng.choices(words, k=length // 2))[:length]


@functools.cache
def pool():
    """Noise and text for sources(), made once: text takes a tenth of a second."""
    rng = random_for("pool")
    return rng.randbytes(256 * K), text_like(rng, 256 * K)


def turned(rng, content):
    at = rng.randrange(len(content))
    return content[at:] + content[:at]


def sources(directory, rng):
    """Files with content to write: noise, text, and both mixed with zeros."""
    noise, text = (turned(rng, content) for content in pool())
    mixed = b"".join(rng.choice((noise, text, bytes(4096)))[:4096] for _ in range(64))
    return [write_file(directory / f"source{i}", content)
            for i, content in enumerate((noise, text, mixed))]


def piece(rng, size, unit, most):
    """A random offset and length inside the disk, multiples of unit."""
    n = max(1, size // unit)
    first = rng.randrange(n)
    return first * unit, rng.randint(1, max(1, min(n - first, most // unit))) * unit


def command(rng, kind, size, cluster, files):
    if kind == "compressed":
        off, _ = piece(rng, size, cluster, cluster)
        return f"write -c -s {rng.choice(files)} {off} {min(cluster, size - off)}"
    unit = rng.choice((SECTOR, cluster, cluster))
    off, length = piece(rng, size, min(unit, size), max(4 * cluster, 32 * K))
    arguments = {"write": f"write -s {rng.choice(files)}", "zero": "write -z",
                 "pattern": f"write -P {rng.randint(1, 255)}", "unmap": "write -z -u",
                 "discard": "discard"}
    return f"{arguments[kind]} {off} {length}"


def paint(image, size, cluster, kinds=ALL, n=32):
    """Changes the disk n times at random."""
    rng = random_for(image.name + str(size))
    files = sources(image.parent, rng)
    commands = [command(rng, rng.choice(kinds), size, cluster, files) for _ in range(n)]
    qemu_io(image, *commands, options=("-d", "unmap"))


def create(image, size, options="", *more):
    options = ("-o", options) if options else ()
    qemu_img("create", "-q", "-f", "qcow2", *options, *more, image, str(size))
    return image


def create_in_place(image, size, options="", *more):
    """Creates an image; file names in the options are relative to its directory."""
    options = ("-o", options) if options else ()
    size = () if size is None else (str(size),)
    qemu_img("create", "-q", "-f", "qcow2", *options, *more, image.name, *size, cwd=image.parent)
    return image


def painted(image, size, cluster, options="", kinds=ALL, n=32):
    options = ",".join(filter(None, (f"cluster_size={cluster}", options)))
    create(image, size, options)
    paint(image, size, cluster, kinds, n)
    return image


def size_for(cluster):
    """A size that has several L2 tables if clusters are small, several clusters if they are large, and
    an odd end."""
    return max(300 * K, 5 * cluster) + 3 * SECTOR


def disk_content(rng, size):
    """Content for a disk: runs of zeros, noise and text."""
    out = b""
    while len(out) < size:
        length = rng.randrange(1, 90000)
        out += rng.choice((bytes, rng.randbytes, lambda n: text_like(rng, n)))(length)
    return out[:size]


def layer(directory, i, form, size, options, below):
    path = directory / f"layer{i}.{form}"
    if form == "raw":
        content = disk_content(random_for(i), size)
        return write_file(path, content)
    backing = ("-b", below.name, "-F", below.suffix[1:]) if below else ()
    create_in_place(path, size, options, *backing)
    if size:
        paint(path, size, 64 * K if "cluster" not in options else 4 * K,
              MOST if "cluster_size" in options else ALL, n=10)
    return path
