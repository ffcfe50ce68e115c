# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The rows of the benchmark: the image, the readers and our goal of each.

Each workload is a generator. It makes its images and yields its rows; when the caller asks for the
next row, the workload may remove or replace the images of the row before."""
import os
import random
from dataclasses import dataclass, field

import images
import servers
from images import BLOCK, CLUSTER, GIB, KIB, MIB, TIB

BUFFER = 256 * KIB  # for reading in order, unless the row names another size


@dataclass
class Reader:
    """A command that does the work `times` times; its cost is divided by that."""
    name: str
    command: list
    times: float = 1
    piped: bool = False  # True: write into a pipe that another process empties
    makes: str = ""      # a file that must not exist before the run


@dataclass
class Served(Reader):
    """A client of a server, which starts anew for each run. The cost is the CPU time of the server
    alone, without its start and its end."""
    server: servers.Server = None
    shown: str = ""      # the file that has the content, while the server runs
    copies: list = None  # the command that makes this file; None: the server does


@dataclass
class Sum(Reader):
    """The cost is the sum of the costs of these readers."""
    parts: list = field(default_factory=list)


@dataclass
class Row:
    name: str
    ours: Reader
    raw: Reader                 # the yardstick
    peers: list = field(default_factory=list)
    limit: float = 0            # the goal: the highest ratio or count that meets it; 0 for no goal
    against: str = "raw"        # the reader by whose cost ours is divided; "" for a count
    yardstick: str = "pread"    # the name of the reader `raw` in the table
    wall: bool = False          # True: compare the time that passes instead of CPU time (threads)
    counts: int = 0             # the bytes read, to compare system calls for each GiB; or 0
    is_reader: bool = True      # True: the row has a peak of memory
    content: str = ""           # a raw file of the same content, to check the readers

    def what(self):
        """The name of the cost that the row compares."""
        return "wall" if self.wall else "cpu"


class Bench:
    """The paths of programs and images, and the sizes of images."""

    def __init__(self, build, directory, quick):
        self.build = build
        self.dir = directory
        self.quick = quick

    def path(self, name):
        return os.path.join(self.dir, name)

    def size(self, full, quick):
        return quick if self.quick else full

    def program(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def command(self, *args):
        return [os.path.join(self.build, "qcow2"), *map(str, args)]

    def driver(self, which, *args):
        return [self.program("driver-" + which), *map(str, args)]


# ---- Readers ----

def in_order(b, image, raw, size, buffer=BUFFER, libqcow=True, times=0):
    """Our reader, the yardstick and all peers, which read the whole disk in order and discard it."""
    times = times or max(1, GIB // size)
    ours = Reader("ours", b.driver("qcow2", "seq", image, buffer, times), times)
    yard = Reader("raw", b.driver("raw", "seq", raw, buffer, times), times)
    null = f"driver=null-co,size={size}"
    peers = [
        Reader("qemu-img convert", ["qemu-img", "convert", "-n", "-S", "0", "-W", "-f", "qcow2",
                                    "--target-image-opts", image, null]),
        Reader("qemu-img bench", ["qemu-img", "bench", "-f", "qcow2", "-c",
                                  str(size * times // (2 * MIB)), "-s", "2M", "-d", "1", image],
               times),
        Reader("nbdcopy", ["nbdcopy", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", image, "]",
                           "null:"]),
    ]
    if libqcow:
        # libqcow is fastest with 64 KiB
        peers.append(Reader("libqcow", b.driver("libqcow", "seq", image, 64 * KIB)))
    return ours, yard, peers


def calls_row(b, name, image, size, limit):
    """The system calls on the image for each GiB, reading with a buffer of 2 MiB."""
    return Row(name, Reader("ours", b.driver("qcow2", "seq", image, 2 * MIB)),
               Reader("raw", b.driver("raw", "seq", image, 2 * MIB)),
               [Reader("libqcow", b.driver("libqcow", "seq", image, 2 * MIB)),
                Reader("qemu-img bench", ["qemu-img", "bench", "-f", "qcow2", "-c",
                                          str(size // (2 * MIB)), "-s", "2M", "-d", "1", image]),
                seven_zip(image)], limit, "", counts=size)


def seven_zip(image):
    return Reader("7zz", ["7zz", "e", "-so", image])


def at_random(b, image, raw, places, libqcow=True):
    ours = Reader("ours", b.driver("qcow2", "rand", image, places, BLOCK))
    yard = Reader("raw", b.driver("raw", "rand", raw, places, BLOCK))
    script = f"exec qemu-io -r -f qcow2 '{image}' <'{places}.qemu'"
    peers = [Reader("qemu-io", ["sh", "-c", script])]
    if libqcow:
        peers.append(Reader("libqcow", b.driver("libqcow", "rand", image, places, BLOCK)))
    return ours, yard, peers


def map_row(b, name, image, limit):
    """Has no yardstick. Reading all tables would be one, but most images have tiny tables."""
    qemu = Reader("qemu-img map", ["qemu-img", "map", "--output=json", "-f", "qcow2", image])
    ours = Reader("ours", b.command("map", "--json", image))
    return Row(name, ours, None, [qemu], limit, "qemu-img map", "-")


# ---- Workloads ----

def w1(b):
    image = b.path("w1.qcow2")
    size = b.size(512 * MIB, 192 * MIB)
    images.full(image, size, CLUSTER)
    ours, raw, peers = in_order(b, image, image, size)
    yield Row("w1 in order, 64 KiB clusters", ours, raw, peers + [seven_zip(image)], 1.02)
    ours, raw, _ = in_order(b, image, image, size, 2 * MIB)
    yield Row("w1 the same, 2 MiB buffer", ours, raw, [], 1.02)
    yield calls_row(b, "w1 system calls for each GiB", image, size, 900)
    out = b.path("out")
    yield Row("w1 convert to a file",
              Reader("ours", b.command("convert", image, out), makes=out),
              Reader("raw", ["cp", "--reflink=never", image, out], makes=out),
              [Reader("qemu-img convert", ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image,
                                           out], makes=out),
               Reader("7zz", ["sh", "-c", f"exec 7zz e -so '{image}' >'{out}'"], makes=out)],
              1.0, yardstick="cp")
    yield Row("w1 cat to a pipe",
              Reader("ours", b.command("cat", image), piped=True),
              Reader("raw", ["cat", image], piped=True),
              [Reader("7zz", ["7zz", "e", "-so", image], piped=True),
               Reader("nbdcopy", ["nbdcopy", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", image, "]",
                                  "-"], piped=True)],
              0.5, yardstick="cat")


def w2(b):
    for text, cluster, size, limit in (
            ("512 B", 512, b.size(96 * MIB, 48 * MIB), 1.20),
            ("4 KiB", 4 * KIB, b.size(384 * MIB, 128 * MIB), 1.02),
            ("2 MiB", 2 * MIB, b.size(512 * MIB, 192 * MIB), 1.03)):
        image = b.path("w2.qcow2")
        images.full(image, size, cluster)
        ours, raw, peers = in_order(b, image, image, size)
        yield Row(f"w2 in order, {text} clusters", ours, raw, peers + [seven_zip(image)], limit)
        if cluster == 512:
            ours, raw, _ = in_order(b, image, image, size, 2 * MIB)
            yield Row("w2 the same, 2 MiB buffer", ours, raw, [], limit)
            yield calls_row(b, "w2 system calls for each GiB, 512 B", image, size, 70000)


def w3(b):
    image = b.path("w3.qcow2")
    size = b.size(512 * MIB, 192 * MIB)
    images.shuffled(image, size)
    ours, raw, peers = in_order(b, image, image, size)
    yield Row("w3 in order, shuffled clusters", ours, raw, peers + [seven_zip(image)], 1.22)


def w4(b):
    image, raw_image, places = b.path("w4.qcow2"), b.path("w4.raw"), b.path("w4.places")
    size = b.size(2 * GIB, GIB)
    n = size // CLUSTER
    images.scattered(image, size, sorted(random.Random(4).sample(range(n), n // 4)), raw_image)
    images.places_on_disk(places, size, b.size(100000, 50000))
    ours, raw, peers = at_random(b, image, raw_image, places)
    yield Row(f"w4 random 4 KiB, {size >> 30} GiB, 1/4 allocated", ours, raw, peers, 0.55)
    yield map_row(b, "w4 map", image, 0)
    yield Row("w10 w4 by two threads on one handle",
              Reader("ours", b.driver("qcow2", "rand", image, places, BLOCK, 2)),
              Reader("raw", b.driver("raw", "rand", raw_image, places, BLOCK, 2)),
              [Reader("libqcow", b.driver("libqcow", "rand", image, places, BLOCK, 2)),
               Reader("one thread", b.driver("qcow2", "rand", image, places, BLOCK, 1))],
              1.05, "one thread")


def w4t(b):
    image, raw_image, places = b.path("w4t.qcow2"), b.path("w4t.raw"), b.path("w4t.places")
    rng = random.Random(5)
    clusters = sorted(table * 8192 + k for table in range(2048)
                      for k in rng.sample(range(8192), b.size(2, 1)))
    images.scattered(image, TIB, clusters, raw_image)
    images.places_in_clusters(places, clusters, b.size(50000, 25000))
    ours, raw, peers = at_random(b, image, raw_image, places)
    yield Row("w4t random 4 KiB, 1 TiB, 2048 tables", ours, raw, peers, 1.45)
    yield map_row(b, "w4t map", image, 0.06)


def _two_threads(b, w, kind, image, peers, limit):
    """Compares the time that passes, for readers that use both processors."""
    out = b.path("out")
    several = [p for p in peers if p.name in ("qemu-img convert", "nbdcopy")]
    yield Row(f"{w} in order, {kind}, two threads: wall",
              Reader("ours", b.driver("qcow2", "par", image, BUFFER, 2)), None, several, limit,
              "qemu-img convert", "-", wall=True)
    yield Row(f"{w} convert to a file, {kind}: wall",
              Reader("ours", b.command("convert", image, out), makes=out), None,
              [Reader("qemu-img convert", ["qemu-img", "convert", "-W", "-f", "qcow2", "-O", "raw",
                                           image, out], makes=out)],
              limit, "qemu-img convert", "-", wall=True)


def _compressed(b, w, kind, limits):
    image, raw_image, places = b.path("w5.qcow2"), b.path("w5.raw"), b.path("w5.places")
    size = b.size(128 * MIB, 64 * MIB)
    libqcow = kind == "zlib"
    images.compressed(image, size, kind, raw_image)
    images.places_on_disk(places, size, b.size(4000, 2000))
    ours, raw, peers = in_order(b, image, raw_image, size, libqcow=libqcow, times=1)
    if libqcow:
        peers.append(seven_zip(image))
    yield Row(f"{w} in order, {kind}", ours, raw, peers, limits[0], "qemu-img convert",
              content=raw_image)
    yield from _two_threads(b, w, kind, image, peers, limits[3])
    ours, raw, peers = at_random(b, image, raw_image, places, libqcow)
    yield Row(f"{w} random 4 KiB, {kind}", ours, raw, peers, limits[1], "qemu-io")
    some = b.size(16 * MIB, 8 * MIB)
    peers = [Reader("qemu-img bench", ["qemu-img", "bench", "-f", "qcow2", "-c", str(some // BLOCK),
                                       "-s", str(BLOCK), "-d", "1", image])]
    if libqcow:
        peers.append(Reader("libqcow", b.driver("libqcow", "seq", image, BLOCK, 1, some)))
    yield Row(f"{w} 4 KiB in order, {kind}",
              Reader("ours", b.driver("qcow2", "seq", image, BLOCK, 4, some), 4),
              Reader("raw", b.driver("raw", "seq", raw_image, BLOCK, 4, some), 4), peers,
              limits[2], "qemu-img bench")
    if libqcow:
        for name, limit in (("fast", 0.67), ("small", 5.0)):
            yield Row(f"{w} the built-in inflate alone, {name}",
                      Reader("ours", [b.program("inflate"), image, name, "4"], 4), None,
                      [Reader(name, [b.program("inflate"), image, name, "4"], 4)
                       for name in ("zlib", "libdeflate")], limit, "zlib", "-", is_reader=False)
    else:
        yield Row(f"{w} the built-in zstd alone, fast",
                  Reader("ours", [b.program("inflate"), image, "zstd-fast", "4"], 4), None,
                  [Reader("libzstd", [b.program("inflate"), image, "libzstd", "4"], 4)], 1.6,
                  "libzstd", "-", is_reader=False)


def w5(b):
    yield from _compressed(b, "w5", "zlib", (0.42, 0.42, 0.03, 0.30))


def w6(b):
    yield from _compressed(b, "w6", "zstd", (0.75, 0.50, 0.05, 0.45))


def w7(b):
    image, raw_image, out = b.path("w7.qcow2"), b.path("w7.raw"), b.path("out")
    clusters = sorted(random.Random(7).sample(range(TIB // CLUSTER), 64))
    images.scattered(image, TIB, clusters, raw_image)
    yield map_row(b, "w7 map, 1 TiB, 64 clusters", image, 0.10)
    yield Row("w7 convert, 1 TiB, 64 clusters",
              Reader("ours", b.command("convert", image, out), makes=out),
              Reader("raw", ["cp", "--sparse=auto", raw_image, out], makes=out),
              [Reader("qemu-img convert", ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image,
                                           out], makes=out)], 1.5, yardstick="cp of the raw file")
    empty = b.path("empty.qcow2")
    size = b.size(8 * GIB, 4 * GIB)
    images.create(empty, size)
    ours, _, peers = in_order(b, empty, empty, size)
    fill = Reader("raw", b.driver("raw", "fill", size, BUFFER))
    yield Row(f"w7 in order, {size >> 30} GiB of nothing", ours, fill, peers + [seven_zip(empty)],
              1.05, yardstick="memset")


def w8(b):
    size = b.size(128 * MIB, 64 * MIB)
    paths = [b.path(f"w8-{i}.qcow2") for i in range(17)]
    places, raw_image = b.path("w8.places"), b.path("w8.raw")
    images.chain(paths, size)
    images.places_on_disk(places, size, b.size(50000, 20000))
    for depth, limits in ((1, (1.10, 1.10)), (4, (1.15, 1.20)), (16, (1.25, 1.50))):
        image = paths[depth]
        images.convert(image, raw_image, "-f", "qcow2", "-O", "raw", "-S", "0")
        ours, raw, peers = in_order(b, image, raw_image, size)
        yield Row(f"w8 in order, chain of {depth + 1}", ours, raw, peers, limits[0],
                  content=raw_image)
        ours, raw, peers = at_random(b, image, raw_image, places)
        yield Row(f"w8 random 4 KiB, chain of {depth + 1}", ours, raw, peers, limits[1])


def w9(b):
    raw_image = b.path("w9.raw")
    images.noise(raw_image, 64 * MIB)
    times = b.size(20000, 5000)
    for text, size, slower in (("64 MiB", 64 * MIB, 10), ("64 TiB", 64 * TIB, 100)):
        image = b.path("w9.qcow2")
        images.create(image, size)
        images.write_clusters(image, [size // 2 // CLUSTER])
        yield Row(f"w9 open, read 4 KiB, close, {text}",
                  Reader("ours", b.driver("qcow2", "open", image, times), times),
                  Reader("raw", b.driver("raw", "open", raw_image, times), times),
                  [Reader("libqcow", b.driver("libqcow", "open", image, times // slower),
                          times // slower)], 1.4)


def w11(b):
    image, raw_image = b.path("w11.qcow2"), b.path("w11.raw")
    size = b.size(512 * MIB, 128 * MIB)
    images.encrypted(image, size, raw_image)
    opts = f"driver=qcow2,file.filename={image},encrypt.key-secret=key"
    times = GIB // size
    yield Row("w11 in order, aes-256-xts",
              Reader("ours", b.driver("qcow2", "seq", image, BUFFER, times), times),
              Reader("raw", b.driver("xts", "seq", raw_image, BUFFER, times), times),
              [Reader("qemu-img convert",
                      ["qemu-img", "convert", *images.secret(), "-n", "-S", "0", "-W", "--image-opts",
                       "--target-image-opts", opts, f"driver=null-co,size={size}"])],
              1.3, yardstick="pread and libgcrypt", content=raw_image)


def w12(b):
    image, size = b.path("w12.qcow2"), b.size(TIB, 64 * GIB)
    images.create(image, size, "-o", "preallocation=metadata")
    yield Row(f"w12 check, {size >> 30} GiB, all allocated",
              Reader("ours", b.command("check", image)), None,
              [Reader("qemu-img check", ["qemu-img", "check", "-f", "qcow2", image]),
               Reader("ours in 1 MiB", b.command("check", "--memory", "1M", image))],
              0.5, "qemu-img check", "-", is_reader=False)


def w13(b):
    """NBD. The client is the same with each server, and its cost does not count."""
    plugin = os.path.join(b.build, "nbdkit/nbdkit-qcow2-plugin.so")
    image, raw_image = b.path("w13.qcow2"), b.path("w13.raw")
    place, copy = b.path("w13.sock"), b.path("w13.copy")
    uri = f"nbd+unix:///?socket={place}"

    def by(name, *server):
        return Served(name, ["nbdcopy", uri, "null:"], server=servers.Server(list(server), place),
                      shown=copy, copies=["nbdcopy", uri, copy])

    def nbdkit(name, *arguments):
        return by(name, "nbdkit", "-f", "-r", "-U", place, *arguments)

    def row(text, raw, peers, limit, against, yardstick):
        return Row(f"w13 nbdkit, {text}", nbdkit("ours", plugin, image), raw, peers, limit, against,
                   yardstick, is_reader=False, content=raw_image)

    file = nbdkit("raw", "file", raw_image)
    peers = [by("qemu-nbd", "qemu-nbd", "-r", "-t", "-e", "16", "-f", "qcow2", "-k", place, image)]
    size = b.size(GIB, 256 * MIB)
    n = size // CLUSTER
    images.scattered(image, size, sorted(random.Random(13).sample(range(n), n // 4)), raw_image)
    yield row("1/4 allocated", file, peers, 1.0, "raw", "nbdkit file")
    images.compressed(image, b.size(256 * MIB, 64 * MIB), "zlib", raw_image)
    yield row("zlib", file, peers, 0.5, "qemu-nbd", "nbdkit file")
    decoder = Reader("libdeflate", [b.program("inflate"), image, "libdeflate", "4"], 4)
    yield row("zlib, against its parts", Sum("raw", [], parts=[file, decoder]), [], 1.0, "raw",
              "nbdkit file + libdeflate")


def w14(b):
    """Mounts. Each run has a new mount, of which the kernel keeps no pages yet."""
    image, raw_image = b.path("w14.qcow2"), b.path("files/w14.raw")
    place, place_of_file = b.path("shown"), b.path("shown-file")
    os.makedirs(b.path("files"))

    def by(name, shown, *server, on_file=False):
        return Served(name, b.driver("raw", "seq", shown, BUFFER),
                      server=servers.Server(list(server), shown if on_file else place, mounts=True,
                                            on_file=on_file), shown=shown)

    ours = by("ours", os.path.join(place, "disk"), *b.command("mount", "-f", image, place))
    raw = by("raw", os.path.join(place, "w14.raw"), "bindfs", "-f", "-r", "-o", "kernel_cache",
             b.path("files"), place)
    peer = by("qemu-storage-daemon", place_of_file, "qemu-storage-daemon",
              "--blockdev", f"driver=file,filename={image},node-name=file,read-only=on",
              "--blockdev", "driver=qcow2,file=file,node-name=disk,read-only=on",
              "--export", f"type=fuse,id=disk,node-name=disk,mountpoint={place_of_file}",
              on_file=True)

    def row(text, peers, limit, against):
        return Row(f"w14 mount, in order, {text}", ours, raw, peers, limit, against, "bindfs",
                   is_reader=False, content=raw_image)

    images.full(image, b.size(512 * MIB, 128 * MIB), CLUSTER)
    images.convert(image, raw_image, "-f", "qcow2", "-O", "raw", "-S", "0")
    yield row("64 KiB clusters", [peer], 0.5, peer.name)
    yield row("against the raw file", [], 1.2, "raw")
    for kind in ("zlib", "zstd"):
        images.compressed(image, b.size(256 * MIB, 64 * MIB), kind, raw_image)
        yield row(kind, [peer], 0.5, peer.name)


ALL = {f.__name__: f for f in (w1, w2, w3, w4, w4t, w5, w6, w7, w8, w9, w11, w12, w13, w14)}
