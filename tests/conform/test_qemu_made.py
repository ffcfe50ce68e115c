# SPDX-License-Identifier: MIT
"""Images made by qemu-img and qemu-io: content, map and info must be what qemu-img says.

The content is random with a fixed seed for each test: writes, compressed writes, zero writes and
discards of any offset and length.
"""
import json
import random
import zlib

import pytest

from conform import (K, M, assert_same, assert_same_bytes, assert_same_content, assert_same_info,
                     assert_same_map, assert_subset, cat_spans, qcow2_json, qcow2_ok, qemu_img,
                     qemu_info, qemu_io, qemu_raw, qemu_spans, refused, qcow2, write_file)

SECTOR = 512
MOST = ("write", "pattern", "zero", "unmap", "discard")
ALL = MOST + ("compressed",)


# ---- Making images ----

def random_for(name):
    return random.Random(zlib.crc32(str(name).encode()))


def text_like(rng, length):
    """Bytes that compress, but not to nothing."""
    words = [bytes(rng.choices(b"etaoin shrdlu", k=rng.randint(2, 12))) for _ in range(200)]
    return b"".join(rng.choices(words, k=length // 2))[:length]


def sources(directory, rng):
    """Files with content to be written: noise, text, and both mixed with zeros."""
    noise, text = rng.randbytes(256 * K), text_like(rng, 256 * K)
    mixed = b"".join(rng.choice((noise, text, bytes(4096)))[:4096] for _ in range(64))
    return [write_file(directory / f"source{i}", content)
            for i, content in enumerate((noise, text, mixed))]


def piece(rng, size, unit, most):
    """An offset and a length: multiples of unit inside the disk."""
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
    rng = random_for(image.name + str(size))
    files = sources(image.parent, rng)
    commands = [command(rng, rng.choice(kinds), size, cluster, files) for _ in range(n)]
    qemu_io(image, *commands, options=("-d", "unmap"))


def create(image, size, options="", *more):
    options = ("-o", options) if options else ()
    qemu_img("create", "-q", "-f", "qcow2", *options, *more, image, str(size))
    return image


def painted(image, size, cluster, options="", kinds=ALL, n=32):
    options = ",".join(filter(None, (f"cluster_size={cluster}", options)))
    create(image, size, options)
    paint(image, size, cluster, kinds, n)
    return image


def size_for(cluster):
    """Several L2 tables for small clusters, several clusters for large ones, and an odd end."""
    return max(300 * K, 5 * cluster) + 3 * SECTOR


# ---- One image ----

FORMATS = {"v2": ("compat=0.10", 9), "v3": ("compat=1.1", 9),
           "zstd": ("compression_type=zstd", 9), "extended": ("extended_l2=on", 14),
           "extended-zstd": ("extended_l2=on,compression_type=zstd", 14)}
GEOMETRY = [(name, bits) for name, (_, least) in FORMATS.items() for bits in range(least, 22)]


@pytest.mark.parametrize("name, bits", GEOMETRY)
def test_geometry(name, bits, image):
    painted(image, size_for(1 << bits), 1 << bits, FORMATS[name][0])
    assert_same(image, image.parent)


OPTIONS = ["lazy_refcounts=on", "lazy_refcounts=on,compression_type=zstd"]
OPTIONS += [f"refcount_bits={1 << order}" for order in range(7)]
OPTIONS += [f"preallocation={how}" for how in ("off", "metadata", "falloc", "full")]
OPTIONS += [f"compat=0.10,preallocation={how}" for how in ("metadata", "falloc", "full")]
OPTIONS += ["extended_l2=on,preallocation=metadata"]


@pytest.mark.parametrize("kinds", [MOST, ALL, ()], ids=["plain", "compressed", "empty"])
@pytest.mark.parametrize("options", OPTIONS)
def test_options(options, kinds, image):
    cluster = 16 * K if "extended" in options else 4 * K
    painted(image, 700 * K, cluster, options, kinds, n=32 if kinds else 0)
    assert_same(image, image.parent)


SIZES = [0, 512, 1024, 65536 - 512, 65536, 65536 + 512, 3 * 65536 + 1536, 123456789 // 512 * 512]


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size, compat, image):
    create(image, size, f"compat={compat}")
    if size:
        paint(image, size, 64 * K, n=12)
    assert_same(image, image.parent)


DATA_FILE = [(f"data_file_raw={raw}{more}", bits)
             for raw in ("on", "off")
             for more in ("", ",preallocation=metadata", ",preallocation=full", ",extended_l2=on")
             for bits in (9, 12, 16, 21) if bits >= 14 or "extended" not in more]


@pytest.mark.parametrize("options, bits", DATA_FILE)
def test_data_file(options, bits, image):
    data = image.with_name("data.bin")
    options = f"data_file={data.name},{options}"
    create_in_place(image, size_for(1 << bits), f"cluster_size={1 << bits},{options}")
    paint(image, size_for(1 << bits), 1 << bits, MOST)
    assert_same(image, image.parent, "--follow")
    assert_same_content(image, image.parent, "--data-file", data)


def create_in_place(image, size, options="", *more):
    """With names relative to the directory of the image."""
    options = ("-o", options) if options else ()
    size = () if size is None else (str(size),)
    qemu_img("create", "-q", "-f", "qcow2", *options, *more, image.name, *size, cwd=image.parent)
    return image


def disk_content(rng, size):
    """Runs of zeros, noise and text."""
    out = b""
    while len(out) < size:
        length = rng.randrange(1, 90000)
        out += rng.choice((bytes, rng.randbytes, lambda n: text_like(rng, n)))(length)
    return out[:size]


@pytest.mark.parametrize("kind", ["zlib", "zstd"])
@pytest.mark.parametrize("bits", range(9, 22))
def test_convert_compressed(bits, kind, image):
    size = size_for(1 << bits)
    content = disk_content(random_for(bits), size)
    raw = write_file(image.with_name("source.raw"), content)
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o",
             f"cluster_size={1 << bits},compression_type={kind}", raw, image)
    assert_same(image, image.parent)
    assert_same_bytes(content, qcow2_ok("cat", image), "source")


@pytest.mark.parametrize("bits", (9, 12, 16, 21))
def test_many_workers_leave_clusters_out_of_order(bits, image):
    content = disk_content(random_for(bits), 2 * size_for(1 << bits))
    raw = write_file(image.with_name("source.raw"), content)
    qemu_img("convert", "-W", "-m", "8", "-f", "raw", "-O", "qcow2", "-o",
             f"cluster_size={1 << bits}", raw, image)
    assert_same(image, image.parent)


RESIZES = {"grow": (100 * K, ["777K"]), "shrink": (900 * K, ["--shrink", "130K"]),
           "grow-and-shrink": (300 * K, ["2M", "--shrink", "200K"]),
           "shrink-and-grow": (300 * K, ["--shrink", "70K", "1M"]),
           "grow-preallocated": (100 * K, ["--preallocation=metadata", "500K"]),
           "grow-full": (100 * K, ["--preallocation=full", "500K"])}


# Not with clusters of 512 bytes: qemu 7.2 itself damages such an image when it shrinks and grows it.
@pytest.mark.parametrize("bits", (12, 14, 16))
@pytest.mark.parametrize("name", RESIZES)
def test_resized(name, bits, image):
    size, steps = RESIZES[name]
    painted(image, size, 1 << bits)
    words = []
    for word in steps:
        words.append(word)
        if not word.startswith("--"):
            flags = [w for w in words if w.startswith("--")]
            qemu_img("resize", "-q", "-f", "qcow2", *flags, image, word)
            words = []
    paint(image, qcow2_json("info", image)["virtual-size"], 1 << bits, n=8)
    assert_same(image, image.parent)


AMENDS = [("compat=1.1", "compat=0.10"), ("compat=0.10", "compat=1.1"),
          ("lazy_refcounts=on", "lazy_refcounts=off"), ("refcount_bits=16", "refcount_bits=1"),
          ("compat=0.10", "compat=1.1,lazy_refcounts=on")]


@pytest.mark.parametrize("before, after", AMENDS)
def test_amended(before, after, image):
    painted(image, 400 * K, 4 * K, before)
    qemu_img("amend", "-q", "-f", "qcow2", "-o", after, image)
    assert_same(image, image.parent)


BITMAPS = {"one": ["--add -g 64K one"], "odd-name": ["--add -g 512 'b\\\"\u00e4\u20ac'"],
           "several": ["--add a", "--add -g 2M b", "--add c", "--disable b"],
           "removed": ["--add a", "--add b", "--remove a"], "all-removed": ["--add a", "--remove a"]}


@pytest.mark.parametrize("name", BITMAPS)
def test_bitmaps(name, image):
    create(image, 1 * M)
    for words in BITMAPS[name]:
        *flags, bitmap = words.split(" ")
        qemu_img("bitmap", *flags, image, bitmap.strip("'"))
    paint(image, 1 * M, 64 * K, n=8)
    assert_same(image, image.parent)


HUGE = ["1T", "64T", "2P"]


@pytest.mark.parametrize("size", HUGE)
def test_huge_disk_by_pieces(size, image):
    create(image, size, "cluster_size=2M")
    info = qcow2_json("info", image)
    rng = random_for(size)
    spans = [(rng.randrange(info["virtual-size"] // SECTOR - 8) * SECTOR, 2048) for _ in range(8)]
    spans.append((info["virtual-size"] - 512, 512))
    qemu_io(image, *(f"write -P {i + 1} {off} {n}" for i, (off, n) in enumerate(spans)))
    around = [(max(0, off - 512), n + 512) for off, n in spans]
    assert qemu_spans(image, around) == cat_spans(image, around, directory=image.parent)
    assert_same_map(image)
    assert_same_info(image)


# ---- Chains ----

# From the bottom: (format, size, options of create).
CHAINS = {
    "over-raw": [("raw", 300 * K, ""), ("qcow2", 300 * K, "")],
    "over-shorter-raw": [("raw", 100000 // 512 * 512, ""), ("qcow2", 300 * K, "")],
    "over-longer-raw": [("raw", 500 * K, ""), ("qcow2", 99 * K, "")],
    "over-qcow2": [("qcow2", 300 * K, ""), ("qcow2", 300 * K, "")],
    "depth-3": [("raw", 300 * K, ""), ("qcow2", 300 * K, ""), ("qcow2", 300 * K, "")],
    "depth-4": [("raw", 300 * K, ""), ("qcow2", 310 * K, "cluster_size=512"),
                ("qcow2", 290 * K, "cluster_size=4K"), ("qcow2", 400 * K, "")],
    "depth-5": [("qcow2", 300 * K, "compat=0.10"), ("qcow2", 300 * K, "compression_type=zstd"),
                ("qcow2", 300 * K, "extended_l2=on"), ("qcow2", 300 * K, "cluster_size=512"),
                ("qcow2", 300 * K, "")],
    "shorter-middle": [("raw", 400 * K, ""), ("qcow2", 123 * K, ""), ("qcow2", 400 * K, "")],
    "shorter-middle-odd": [("qcow2", 400 * K, ""), ("qcow2", 99 * K + 512, "cluster_size=4K"),
                           ("qcow2", 400 * K, "extended_l2=on,cluster_size=16K")],
    "longer-middle": [("raw", 100 * K, ""), ("qcow2", 500 * K, ""), ("qcow2", 200 * K, "")],
    "empty-middle": [("raw", 300 * K, ""), ("qcow2", 0, ""), ("qcow2", 300 * K, "")],
    "large-over-small-clusters": [("qcow2", 400 * K, "cluster_size=512"),
                                  ("qcow2", 400 * K, "cluster_size=2M")],
    "small-over-large-clusters": [("qcow2", 400 * K, "cluster_size=2M"),
                                  ("qcow2", 400 * K, "cluster_size=512")],
    "extended-over-extended": [("qcow2", 400 * K, "extended_l2=on"),
                               ("qcow2", 300 * K, "extended_l2=on,cluster_size=16K"),
                               ("qcow2", 350 * K, "extended_l2=on,cluster_size=128K")],
    "preallocated": [("raw", 300 * K, ""), ("qcow2", 300 * K, "extended_l2=on,preallocation=metadata")],
}


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


def chain(directory, layers):
    """Builds the files of a chain and returns them, the top one last."""
    paths = []
    for i, (form, size, options) in enumerate(layers):
        paths.append(layer(directory, i, form, size, options, paths[-1] if paths else None))
    return paths


def given(paths):
    """The options that attach a chain by hand."""
    return [f"--backing={path},{path.suffix[1:]}" for path in reversed(paths[:-1])]


@pytest.mark.parametrize("name", CHAINS)
def test_chain(name, tmp_path):
    paths = chain(tmp_path, CHAINS[name])
    assert_same(paths[-1], tmp_path, "--follow")
    assert_same_map(paths[-1], *given(paths))
    assert_same_content(paths[-1], tmp_path, *given(paths))


@pytest.mark.parametrize("name", ["over-raw", "depth-4", "depth-5"])
def test_chain_alone(name, tmp_path):
    """--layer-only is the top image with its backing file's name taken away."""
    top = chain(tmp_path, CHAINS[name])[-1]
    ours = qcow2_ok("cat", "--layer-only", top)
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", "", top)
    assert_same_bytes(qemu_raw(top, tmp_path), ours, "layer")
    assert_same(top, tmp_path)


@pytest.mark.parametrize("how", [(), ("-u",)], ids=["safe", "unsafe"])
def test_rebased(how, tmp_path):
    _, middle, top = chain(tmp_path, CHAINS["depth-3"])
    other = layer(tmp_path, 7, "qcow2", 256 * K, "cluster_size=4K", None)
    qemu_img("rebase", *how, "-f", "qcow2", "-b", other.name, "-F", "qcow2", top.name, cwd=tmp_path)
    middle.unlink()
    assert_same(top, tmp_path, "--follow")


@pytest.mark.parametrize("more", [("-d",), ()], ids=["kept", "emptied"])
def test_committed(more, tmp_path):
    paths = chain(tmp_path, CHAINS["depth-3"])
    qemu_img("commit", "-q", "-f", "qcow2", *more, paths[-1].name, cwd=tmp_path)
    for path in paths[1:]:
        assert_same(path, tmp_path, "--follow")


# ---- Snapshots ----

def snapshotted(image, options="", *more, cluster=64 * K):
    """Three snapshots between random changes."""
    create_in_place(image, 400 * K, options, *more)
    for name in ("first", "2", "with blank"):
        paint(image, 400 * K, cluster, n=6)
        qemu_img("snapshot", "-c", name, image)
        image = image.rename(image)
    paint(image, 399 * K, cluster, n=6)
    return image


def assert_same_snapshot(image, select, which, *options):
    """P9: ours has the size of the snapshot, QEMU's that of the disk."""
    theirs = qemu_raw(image, image.parent, "-f", "qcow2", "-l", select)
    ours = qcow2_ok("cat", "--snapshot", which, *options, image)
    same = min(len(theirs), len(ours))
    assert_same_bytes(theirs[:same], ours[:same], which)
    out = image.with_name("ours.raw")
    qcow2_ok("convert", "--snapshot", which, *options, image, out)
    assert_same_bytes(ours, out.read_bytes(), "convert")
    return len(theirs), len(ours)


def assert_same_snapshots(image, *options):
    listed = json.loads(qemu_info(image).out)["snapshots"]
    assert_subset(listed, qcow2_json("snapshots", image))
    for snapshot in listed:
        sizes = assert_same_snapshot(image, f"snapshot.id={snapshot['id']}", snapshot["id"], *options)
        assert sizes[0] == sizes[1]
        if not snapshot["name"].isdigit():
            assert_same_snapshot(image, f"snapshot.name={snapshot['name']}", snapshot["name"], *options)


SNAPSHOTS = ["", "compat=0.10", "cluster_size=512", "cluster_size=2M", "extended_l2=on",
             "compression_type=zstd", "refcount_bits=64"]


@pytest.mark.parametrize("options", SNAPSHOTS)
def test_snapshots(options, image):
    cluster = {"cluster_size=512": 512, "cluster_size=2M": 2 * M}.get(options, 64 * K)
    snapshotted(image, options, cluster=cluster)
    assert_same(image, image.parent)
    assert_same_snapshots(image)


def test_snapshot_id_goes_before_name(image):
    """The second snapshot, id 2, is called "2"; a third called "1" must not hide the first."""
    snapshotted(image)
    qemu_img("snapshot", "-c", "1", image)
    assert_same_snapshots(image)
    assert qcow2_ok("cat", "--snapshot", "1", image) == qcow2_ok("cat", "--snapshot", "first", image)


def test_snapshot_deleted_and_applied(image):
    snapshotted(image)
    qemu_img("snapshot", "-d", "2", image)
    qemu_img("snapshot", "-a", "first", image)
    assert_same(image, image.parent)
    assert_same_snapshots(image)
    refused(qcow2("cat", "--snapshot", "2", image), "snapshot")


def test_snapshots_over_backing(tmp_path):
    base = layer(tmp_path, 0, "raw", 300 * K, "", None)
    image = snapshotted(tmp_path / "disk.qcow2", "", "-b", base.name, "-F", "raw")
    assert_same(image, tmp_path, "--follow")
    assert_same_snapshots(image, "--follow")


def test_overlay_over_image_with_snapshots(tmp_path):
    base = snapshotted(tmp_path / "base.qcow2")
    top = create_in_place(tmp_path / "top.qcow2", 500 * K, "", "-b", base.name, "-F", "qcow2")
    paint(top, 500 * K, 64 * K, n=6)
    assert_same(top, tmp_path, "--follow")


def test_p9_snapshot_has_its_own_size(image):
    """P9: QEMU reads a snapshot with the size of the active disk."""
    snapshotted(image)
    before = qcow2_ok("cat", "--snapshot", "1", image)
    qemu_img("resize", "-q", "-f", "qcow2", image, "1M")
    assert assert_same_snapshot(image, "first", "first") == (1 * M, 400 * K)
    qemu_img("resize", "-q", "-f", "qcow2", "--shrink", image, "200K")
    assert assert_same_snapshot(image, "first", "first") == (200 * K, 400 * K)
    assert qcow2_ok("cat", "--snapshot", "1", image) == before
    assert_same(image, image.parent)
