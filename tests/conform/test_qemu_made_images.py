# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Single images made by QEMU: content, map and info must be the same as those of qemu-img."""
import pytest

from conform import (K, M, assert_same, assert_same_bytes, assert_same_content, assert_same_info,
                     assert_same_map, cat_spans, core_cat, qcow2_json, qcow2_ok, qemu_img, qemu_io,
                     qemu_spans, write_file)
from qemu_made import (ALL, MOST, SECTOR, create, create_in_place, disk_content, paint, painted,
                       random_for, size_for)

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
    for decoders in ("small", "fast"):
        assert_same_bytes(content, core_cat(decoders, image), decoders)


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


# Not with clusters of 512 bytes, because qemu 7.2 itself damages such an image here.
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
