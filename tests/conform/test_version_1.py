# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Version 1 of the format, qcow: images that qemu-img makes, and images from the writer below."""
import json
import struct
import zlib

import pytest

from conform import (K, M, assert_same_bytes, assert_subset, qcow2, qcow2_json, qcow2_ok, qemu_img, qemu_raw,
                     refused, run, succeed)
from qemu_made import create_in_place, disk_content, paint, random_for


class Writer:
    """Writes an image of version 1. Tables and data are wherever the caller puts them."""

    def __init__(self, bits, l2_bits, size, l1=48, crypt=0, backing=b""):
        self.bits, self.l2_bits, self.size = bits, l2_bits, size
        self.l1 = l1
        self.bytes = bytearray()
        self.tables = {}
        self.put(0, struct.pack(">IIQIIQBBHIQ", 0x514649FB, 1, 1200 if backing else 0, len(backing), 7,
                                size, bits, l2_bits, 0xEEEE, crypt, l1))
        if backing:
            self.put(1200, backing)
        self.put(l1, bytes(8 * -(-size // (1 << bits + l2_bits))))

    def put(self, at, content):
        self.bytes.extend(bytes(max(0, at + len(content) - len(self.bytes))))
        self.bytes[at:at + len(content)] = content

    def end(self, align=1, odd=0):
        return -(-len(self.bytes) // align) * align + odd

    def entry(self, cluster, value, odd=0):
        """Sets an L2 entry; makes the table `odd` bytes behind a multiple of 8 if there is none."""
        index, within = divmod(cluster, 1 << self.l2_bits)
        if index not in self.tables:
            self.tables[index] = self.end(8, odd)
            self.put(self.tables[index], bytes(8 << self.l2_bits))
            self.put(self.l1 + 8 * index, struct.pack(">Q", self.tables[index]))
        self.put(self.tables[index] + 8 * within, struct.pack(">Q", value))

    def data(self, cluster, content, odd=0):
        self.entry(cluster, 0, odd)
        at = self.end(512)
        self.put(at, content.ljust(1 << self.bits, b"\0"))
        self.entry(cluster, at)

    def packed(self, cluster, content, odd=0):
        self.entry(cluster, 0, odd)
        packer = zlib.compressobj(9, zlib.DEFLATED, -12)
        raw = packer.compress(content.ljust(1 << self.bits, b"\0")) + packer.flush()
        at = self.end()
        self.put(at, raw)
        self.entry(cluster, 1 << 63 | len(raw) << 63 - self.bits | at)

    def save(self, path):
        path.write_bytes(self.bytes)
        return path


def qemu_info(image):
    return json.loads(qemu_img("info", "--output=json", "-f", "qcow", image))


def assert_same_info(image):
    theirs = qemu_info(image)
    ours = qcow2_json("info", image)
    assert ours["format"] == "qcow" and ours["header"]["version"] == 1
    assert_subset(theirs, ours)
    assert "format: qcow\n" in qcow2_ok("info", image).decode()


def assert_same(image, *options):
    assert_same_info(image)
    content = qemu_raw(image, image.parent, "-f", "qcow")
    assert_same_bytes(content, qcow2_ok("cat", *options, image), "cat")
    qcow2_ok("convert", *options, image, image.with_name("ours.raw"))
    assert_same_bytes(content, image.with_name("ours.raw").read_bytes(), "convert")
    theirs = json.loads(qemu_img("map", "--output=json", "-f", "qcow", image))
    ours = qcow2_json("map", *(options or ("--layer-only",)), image)
    assert total(theirs) == total(ours)


def total(entries):
    """The bytes of each depth that are data or not. QEMU does not merge what the entries of this format
    map, and does not know compressed clusters of it."""
    sums = {}
    for e in entries:
        key = (e["depth"], e["data"]) if e["data"] else None
        sums[key] = sums.get(key, 0) + e["length"]
    return sums


@pytest.mark.parametrize("options", ["plain", "compressed", "painted"])
def test_qemu_made(options, tmp_path):
    rng = random_for(options)
    image = tmp_path / "disk.qcow"
    if options == "painted":
        qemu_img("create", "-q", "-f", "qcow", image, "3M")
        with open(tmp_path / "raw", "wb") as file:
            file.write(disk_content(rng, 3 * M))
        for i in range(24):
            off = rng.randrange(0, 3 * M // 512) * 512
            length = min(rng.choice([512, 4096, 9 * K, 100 * K]), 3 * M - off)
            succeed("qemu-io", "-f", "qcow", "-c", f"write -q -P {i + 1} {off} {length}", image)
    else:
        (tmp_path / "raw").write_bytes(disk_content(rng, 3 * M))
        # With -c, qemu-img 7.2 exits with status 1 at the end, without a message.
        done = run("qemu-img", "convert", "-O", "qcow", *(["-c"] if options == "compressed" else []),
                   "-f", "raw", tmp_path / "raw", image)
        assert not done.err, done
        assert_same_bytes((tmp_path / "raw").read_bytes(), qcow2_ok("cat", image), options)
    assert_same(image)


def filled(rng, bits, l2_bits, odd, size, backing=b"", n=40):
    w = Writer(bits, l2_bits, size, l1=48 if odd == 0 else 48 + odd if not backing else 3000 + odd,
               backing=backing)
    clusters = -(-size // (1 << bits))
    for i in range(n):
        cluster = rng.choice([i, rng.randrange(clusters), clusters - 1])
        cluster = min(cluster, clusters - 1)
        content = bytes([rng.randrange(1, 256)]) * rng.randrange(1, 1 << bits) + b"tail"
        content = content[:1 << bits]
        (w.packed if rng.random() < 0.3 and len(content) > 99 else w.data)(cluster, content, odd)
    return w


@pytest.mark.parametrize("l2_bits", [6, 13])
@pytest.mark.parametrize("bits", range(9, 17))
def test_crafted(bits, l2_bits, tmp_path):
    """All cluster sizes; tables at positions that are multiples of 8, and others."""
    rng = random_for(f"{bits} {l2_bits}")
    for odd in (0, 5):
        image = filled(rng, bits, l2_bits, odd, 130 << bits).save(tmp_path / f"disk{odd}.qcow")
        assert_same(image)


def test_chains(tmp_path):
    rng = random_for("chains")
    (tmp_path / "base.raw").write_bytes(disk_content(rng, 300 * K))
    middle = filled(rng, 9, 12, 3, 400 * K, backing=b"base.raw").save(tmp_path / "middle.qcow")
    assert_same(middle, "--follow", "--backing-format=raw")
    top = create_in_place(tmp_path / "top.qcow2", 500 * K, "", "-b", "middle.qcow", "-F", "qcow")
    paint(top, 500 * K, 64 * K, n=6)
    given = ("--backing=" + str(middle), "--backing", f"{tmp_path / 'base.raw'},raw")
    theirs = qemu_raw(top, tmp_path)
    assert_same_bytes(theirs, qcow2_ok("cat", *given, top), "given")
    assert_same_bytes(theirs, qcow2_ok("cat", "--follow", "--backing-format=raw", top), "followed")
    over = tmp_path / "over.qcow"
    qemu_img("create", "-q", "-f", "qcow", "-b", "top.qcow2", "-F", "qcow2", over)
    assert_same_bytes(theirs, qcow2_ok("cat", "--follow", "--backing", f"{top},qcow2", *given[0:1],
                                       *given[1:], over), "over")
    refused(qcow2("cat", "--follow", over), "no format given for the backing file 'top.qcow2'")
    refused(qcow2("cat", "--backing", f"{middle},qcow2", top), "its format is qcow, not qcow2")


def test_sizes_are_exact(tmp_path):
    """P1: QEMU rounds the size down to a multiple of 512."""
    w = Writer(12, 9, 9700)
    w.data(2, b"x" * 4096)
    image = w.save(tmp_path / "disk.qcow")
    assert qcow2_ok("cat", image) == bytes(8192) + b"x" * 1508
    assert qcow2_json("info", image)["virtual-size"] == 9700
    assert qemu_info(image)["virtual-size"] == 9216


BROKEN = {  # field, format, value, our words, QEMU's words
    "no disk": (24, ">Q", 1, "invalid header field", "at least 2 bytes"),
    "small clusters": (32, ">B", 8, "cluster size 2^8", "Cluster size must be"),
    "large clusters": (32, ">B", 17, "cluster size 2^17", "Cluster size must be"),
    "small tables": (33, ">B", 5, "invalid header field", "L2 table size must be"),
    "large tables": (33, ">B", 14, "invalid header field", "L2 table size must be"),
    "large disk": (24, ">Q", 1 << 62, f"exceeds the limits of QEMU: {1 << 62} (at file offset 24)",
                   "Image too large"),
    "cipher": (36, ">I", 2, "the image is encrypted", "invalid encryption method"),
    "long name": (8, ">QI", (4096, 1024), "invalid header field", "Backing file name too long"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refused(case, tmp_path):
    at, form, value, words, theirs = BROKEN[case]
    w = Writer(12, 9, 1 * M)
    w.data(0, b"x")
    w.put(at, struct.pack(form, *(value if isinstance(value, tuple) else (value,))))
    image = w.save(tmp_path / "disk.qcow")
    refused(qcow2("cat", image), words)
    qemu = run("qemu-img", "info", "-f", "qcow", image)
    assert qemu.code == 1 and theirs in qemu.err, qemu


SECRET = ("--object", "secret,id=s,data=abc")


def aes_opts(image, backing=""):
    return f"driver=qcow,file.filename={image.name},encrypt.key-secret=s{backing}"


def assert_same_aes(image, backing="", *options):
    """The disk is the one that QEMU decrypts with the same password."""
    (image.parent / "key").write_bytes(b"abc")
    qemu_img("convert", *SECRET, "--image-opts", "-O", "raw", aes_opts(image, backing), "theirs.raw",
             cwd=image.parent)
    theirs = image.with_name("theirs.raw").read_bytes()
    given = ("--key-file", image.parent / "key", *options)
    assert_same_bytes(theirs, qcow2_ok("cat", *given, image), "cat")
    qcow2_ok("convert", *given, image, image.with_name("ours.raw"))
    assert_same_bytes(theirs, image.with_name("ours.raw").read_bytes(), "convert")
    assert qcow2_ok("cat", *given, "-s", "700", "-n", "5000", image) == theirs[700:5700]
    return theirs


@pytest.mark.parametrize("backing", ["", "base.raw"])
def test_aes_made_by_qemu(backing, tmp_path):
    """Clusters of 4 KiB; with a backing file, of 512 bytes."""
    image = tmp_path / "disk.qcow"
    (tmp_path / "base.raw").write_bytes(disk_content(random_for("aes"), 300 * K))
    qemu_img("create", "-q", *SECRET, "-f", "qcow", "-o", "encrypt.format=aes,encrypt.key-secret=s",
             *(["-b", backing, "-F", "raw"] if backing else []), image, "1M")
    below = ",backing.driver=raw,backing.file.filename=base.raw" if backing else ""
    succeed("qemu-io", *SECRET, "--image-opts", "-c", "write -q -P 7 1000 5000", "-c", "write -q -P 8 600k 100k",
            aes_opts(image, below), cwd=tmp_path)
    disk = assert_same_aes(image, below, *(["--follow", "--backing-format=raw"] if backing else []))
    assert disk[1000:6000] == bytes([7]) * 5000
    assert disk[600 * K:700 * K] == bytes([8]) * 100 * K
    assert disk[:1000] == ((tmp_path / backing).read_bytes()[:1000] if backing else bytes(1000))
    assert bytes([8]) * 16 not in image.read_bytes()
    assert qemu_info(image)["encrypted"] and qcow2_json("info", image)["encrypted"]
    assert "encrypted: aes\ncipher: aes-128, cbc, plain64\n" in qcow2_ok("info", image).decode()


@pytest.mark.parametrize("bits", range(9, 17))
def test_aes_crafted(bits, tmp_path):
    """Noise decrypts to the same noise. Compressed clusters are not encrypted, and tables are not."""
    rng = random_for(f"aes {bits}")
    w = Writer(bits, 6, 100 << bits, l1=53, crypt=1)
    for cluster in (0, 1, 3, 64, 70, 99):
        w.data(cluster, rng.randbytes(1 << bits), odd=5)
    w.packed(2, b"plain" * 40)
    w.packed(98, b"text" * 50)
    disk = assert_same_aes(w.save(tmp_path / "disk.qcow"))
    assert disk[2 << bits:][:5] == b"plain"


def test_aes_without_the_key(tmp_path):
    w = Writer(12, 9, 64 * K, crypt=1)
    w.data(3, b"x")
    w.packed(5, b"y" * 200)
    image = w.save(tmp_path / "disk.qcow")
    refused(qcow2("cat", image), "the image is encrypted (aes)")
    data = [e for e in qcow2_json("map", image) if e["data"]]
    assert [e["start"] for e in data] == [12 * K, 20 * K]
    assert not any("offset" in e for e in data)


def test_damage(tmp_path):
    """P2: past the end of the file QEMU reads zeros. --salvage keeps what is good."""
    w = Writer(12, 9, 64 * K)
    for i in range(16):
        w.data(i, bytes([i + 1]) * 4096)
    good = b"".join(bytes([i + 1]) * 4096 for i in range(16))
    w.entry(3, w.end(4096) + 4096)
    w.entry(5, w.end(4096) - 256)
    image = w.save(tmp_path / "disk.qcow")
    refused(qcow2("cat", "-s", "12K", image), "points to data", "disk offset 12288")
    refused(qcow2("cat", "-s", "20K", image), "invalid L1 or L2 table entry", "disk offset 20480")
    salvaged = qcow2("cat", "--salvage", image)
    zeros = bytes(4096)
    assert salvaged.code == 3
    assert salvaged.out == good[:12 * K] + zeros + good[16 * K:20 * K] + zeros + good[24 * K:]
    cut = qcow2_ok("cat", "--allow-truncated", "-n", "20K", image)
    assert cut == good[:12 * K] + zeros + good[16 * K:20 * K]
    image.write_bytes(image.read_bytes()[:4000])
    refused(qcow2("cat", image), "points to an L2 table")


def test_commands_that_it_cannot_have(tmp_path):
    image = Writer(12, 9, 1 * M).save(tmp_path / "disk.qcow")
    assert qcow2_json("snapshots", image) == []
    refused(qcow2("cat", "--snapshot=1", image), "has no snapshot '1'")
    assert "format-specific" not in qcow2_json("info", image)
    refused(qcow2("cat", "-f", "qcow2", image), "its format is qcow, not qcow2")
    assert qcow2_ok("cat", "-f", "qcow", image) == bytes(M)
