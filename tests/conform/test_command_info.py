# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 info`: the exact text for people, and JSON with the keys of qemu-img for programs."""
import json
import struct

import pytest

from conform import (K, M, assert_same_info, assert_subset, qcow2, qcow2_json, qcow2_ok,
                     qemu_img, qemu_info, refused)
from info_text import V3, assert_info, assert_warned, expected_info

FRAMES = {
    "plain": ("", {}), "v2": ("compat=0.10", {"version": 2}),
    "zstd": ("compression_type=zstd", {"compression": "zstd"}),
    "refcounts of 1 bit": ("refcount_bits=1", {"refcounts": 1}),
    "small clusters": ("cluster_size=512", {"cluster": 512}),
    "large disk": ("cluster_size=2M", {"cluster": 2 * M, "size": 3 << 40}),
    "disk of 999 and a half": ("", {"size": 1023488}), "hardly less": ("", {"size": 1022976}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame(name, image):
    options, frame = FRAMES[name]
    frame = {"size": 64 * K, "cluster": 64 * K, **frame}
    options = ("-o", options) if options else ()
    qemu_img("create", "-q", "-f", "qcow2", *options, image, str(frame["size"]))
    assert_info(image, **frame)
    assert_same_info(image)


def test_header(build):
    """The fields of the header, which qemu-img does not print."""
    image = build(V3 + "snapshot 1 one\nactive\nheader.compatible_features 0x8000000000000001\n"
                  "header.autoclear_features 1<<40\nlayout\nprint $l1 $snapshots $refcounts\n")
    content = image.read_bytes()
    field = lambda at, n: int.from_bytes(content[at:at + n], "big")
    assert qcow2_json("info", image)["header"] == {
        "version": 3, "length": 112, "incompatible-features": 0,
        "compatible-features": 0x8000000000000001, "autoclear-features": 1 << 40,
        "crypt-method": 0, "l1-entries": field(36, 4), "l1-offset": field(40, 8),
        "refcount-table-offset": field(48, 8), "refcount-table-clusters": field(56, 4),
        "snapshots": 1, "snapshots-offset": field(64, 8), "file-size": len(content)}


NO_BACKING = "partitions: unknown without the backing file"
NO_DATA_FILE = "partitions: unknown without the data file"
FEATURES = {
    "lazy refcounts": ("header.compatible_features 1\n", (), ["lazy refcounts"]),
    "dirty and corrupt": ("header.incompatible_features 3\n", (), ["dirty", "corrupt"]),
    "data file": ('data_file "disk.raw"\n', ["data file: disk.raw", "data file is raw: no",
                                             NO_DATA_FILE], ()),
    "empty name of a data file": ('data_file ""\next data_file\n', [
        "data file: ", "data file is raw: no", NO_DATA_FILE], ()),
    "data file without a name": ('data_file ""\n', ["data file is raw: no", NO_DATA_FILE], ()),
    "raw data file": ('data_file "disk.raw"\nraw\n', [
        "data file: disk.raw", "data file is raw: yes", NO_DATA_FILE], ()),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features(name, build):
    recipe, lines, flags = FEATURES[name]
    image = build(V3.replace("l2", recipe + "l2") if "data_file" in recipe else V3 + recipe,
                  "disk.qcow2")
    assert_info(image, *lines, flags=flags)
    assert_same_info(image)


def test_extended_l2(build):
    image = build("cluster_bits 14\nsize 64k\nextended_l2\nl2 0 data\n")
    assert_info(image, flags=["extended L2 entries"], cluster=16 * K)
    assert_same_info(image)


def luks_header():
    """A header of LUKS 1 without a key. qemu-img measures the processor to make one, which fails on a
    busy machine."""
    slots = b"".join(struct.pack(">II32xII", 0xdead, 0, 8 + 504 * i, 4000) for i in range(8))
    return struct.pack(">6sH32s32s32sII20x32xI40s", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64",
                       b"sha256", 4040, 64, 1000, b"06716cb3-57ee-4488-9505-7b185592ed11") + slots


def with_luks(build, _):
    return build(V3 + "ext crypto 00*16\nheader.crypt_method 2\nalloc c 1\nl2 0 data\nlayout\n"
                 f"put64 $ext+8 $c\nput64 $ext+16 {4040 * 512}\nput $c {luks_header().hex()}\n")


def with_aes(_, image):
    qemu_img("create", "-q", "--object", "secret,id=key,data=x", "-f", "qcow2", "-o",
             "cluster_size=4K,encrypt.key-secret=key,encrypt.format=aes", image, "64k")
    return image


@pytest.mark.parametrize("kind, make, lines", (
    ("luks", with_luks, ["cipher: aes-256, xts, plain64",
                         "LUKS uuid: 06716cb3-57ee-4488-9505-7b185592ed11",
                         "key hash: sha256, 1000 iterations", "partitions: unknown without the key"]),
    ("aes", with_aes, ["cipher: aes-128, cbc, plain64"])))
def test_encrypted(kind, make, lines, build, image):
    """Without a key, `info` shows an encrypted image, and `map` its map; `cat` refuses it."""
    image = make(build, image)
    assert_info(image, f"encrypted: {kind}", *lines)
    theirs = json.loads(qemu_info(image).out)
    assert theirs["encrypted"] is True
    assert_subset(theirs, qcow2_json("info", image))
    refused(qcow2("cat", image), f"the image is encrypted ({kind})", "--key-file")
    qcow2_ok("map", image)  # tables are not encrypted


def test_every_key(image):
    """An image with nearly everything that qemu-img shows in one."""
    image.with_name("base").write_bytes(bytes(1 << 20))
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "-o",
             "compression_type=zstd,lazy_refcounts=on,extended_l2=on,refcount_bits=8", image, "1M")
    qemu_img("snapshot", "-c", "one", image)
    qemu_img("bitmap", "--add", image, "dirty")
    theirs = json.loads(qemu_info(image).out)
    theirs.pop("children", None)
    assert_subset(theirs, qcow2_json("info", image))
    assert set(theirs) == {
        "backing-filename", "backing-filename-format", "full-backing-filename", "snapshots",
        "virtual-size", "filename", "cluster-size", "format", "actual-size", "format-specific",
        "dirty-flag"}
    assert set(theirs["format-specific"]["data"]) == {
        "compat", "compression-type", "lazy-refcounts", "refcount-bits", "bitmaps", "corrupt",
        "extended-l2"}


# ---- Names and chains ----

BACKING = {"base": "base", "sub/base": "sub/base", "/dev/zero": None, "nbd://host/disk": None,
           "nbd:unix:/socket": None, "a/b:c": "a/b:c", "": None}


@pytest.mark.parametrize("name", BACKING)
def test_backing_file(name, build):
    image = build(V3 + f'backing "{name}" raw\n')
    beside = BACKING[name] and f"{image.parent}/{name}"
    lines = [f"backing file: {name}", beside and f"backing file path: {beside}",
             "backing file format: raw", NO_BACKING] if name else ["backing file format: raw"]
    assert_info(image, *filter(None, lines))
    assert_same_info(image)
    info = qcow2_json("info", image)
    assert info.get("full-backing-filename") == (beside or name or None)
    assert "chain" not in info
    assert b"backing file path" not in qcow2_ok("info", image.name, cwd=image.parent)


NAMES = {b"\t\n\r\x01": "\t\n\r\x01", b"\"\\/": "\"\\/", "\u00e4\u20ac\U0001f600".encode(): None,
         b"\xff\xc3a\x80": "\ufffd\ufffda\ufffd", b"\xe2\x80\xae\x7f": "\u202e\x7f"}


@pytest.mark.parametrize("name", NAMES)
def test_names_in_json(name, build):
    image = build(V3 + 'backing "%s" raw\n' % "".join(f"\\x{c:02x}" for c in name))
    want = NAMES[name] or name.decode()
    text = qcow2_ok("info", "--json", image)
    assert json.loads(text)["backing-filename"] == want
    assert not any(c < 0x20 and c != 0x0a or c == 0x7f for c in text)
    assert text.count(b"\n") == json.dumps(json.loads(text), indent=4).count("\n") + 1
    assert_same_info(image)


@pytest.fixture
def chain(build):
    """Three files, the top one first, and what `info` prints of the two below."""
    top = build(V3 + 'backing "mid" qcow2\n', "top")
    mid = build("size 32k\nbacking \"low\" raw\n", "mid")
    low = top.with_name("low")
    low.write_bytes(bytes(1000))
    shown = ["backing file: mid", f"backing file path: {mid}", "backing file format: qcow2",
             f"chain 1: {mid} (qcow2, 32 KiB, 32768 bytes)", f"chain 2: {low} (raw, 0.977 KiB, 1000 bytes)"]
    return top, mid, low, shown


def test_chain(chain):
    top, mid, low, shown = chain
    given = (f"--backing={mid},qcow2", f"--backing={low},raw")
    theirs = json.loads(qemu_img("info", "--backing-chain", "--output=json", top))
    theirs[2]["virtual-size"] = 1000  # P1: not rounded down to sectors
    for options in (("--follow",), given):
        assert qcow2_ok("info", *options, top).decode() == expected_info(top, *shown)
        info = qcow2_json("info", *options, top)
        assert info["chain"] == [
            {key: layer[key] for key in ("filename", "format", "virtual-size")} for layer in theirs]
        assert_subset(theirs[0], info)


def test_chain_below_standard_input(chain):
    top, mid, low, _ = chain
    with open(top, "rb") as stdin:
        info = json.loads(qcow2_ok("info", "--json", f"--backing={mid},qcow2",
                                   f"--backing={low},raw", "-", stdin=stdin))
    assert info["filename"] == "-" and [layer.get("filename") for layer in info["chain"]] == [
        None, str(mid), str(low)]


def test_chain_that_is_not_whole(chain):
    """If a file of the chain is missing, --follow is an error and not a shorter list."""
    top, _, low, _ = chain
    low.unlink()
    refused(qcow2("info", "--follow", top), "low", "No such file")
    assert_info(top, *chain[3][:3], NO_BACKING)


# ---- Damage ----

def test_cut_short(build):
    """The advice is given only where it helps: the refcounts of a cut file count what is missing."""
    image = build(V3 + "layout\ntruncate $l1\n")
    message, advice = qcow2("cat", image).err.split(f"qcow2: {image}: ")[1].split("; use ")
    assert message.startswith("image is truncated: the L1 table at file offset ")
    assert advice.startswith("--allow-truncated")
    assert_warned(image, message)


def test_bad_position_of_the_l1_table(build):
    """The file is whole, so reading zeros would not help."""
    image = build(V3 + "layout\nput64 40 0x7000000\n")
    message = qcow2("cat", image).err.split(f"qcow2: {image}: ")[1]
    assert message == (f"the L1 table at file offset {0x7000000} is past the end of the file "
                       f"({image.stat().st_size} bytes)\n")
    assert_warned(image, message)


@pytest.mark.parametrize("length", (71, 103))
def test_cut_header(length, build):
    """Without its header, an image cannot be opened at all, so there is no advice."""
    image = build(V3 + f"layout\ntruncate {length}\n")
    for command in ("info", "cat", "map", "snapshots"):
        result = qcow2(command, image)
        refused(result, "image is truncated: the header is cut off at the end of the file")
        assert "; use" not in result.err


def test_nothing_is_invented(build):
    """Tables past the end of a cut file are not shown as zeros, and there is one message."""
    recipe = V3 + "".join(f"snapshot {i} name{i}\nactive\n" for i in range(3)) + "layout\n"
    for cut in ("512", "$snapshots", "$snapshots+60", "$snapshots+100"):
        image = build(recipe + f"truncate {cut}\n")
        result = qcow2("info", image)
        assert result.code == 0 and result.err.count("\n") <= 1, result
        assert "cut off at" in result.err or "past the end" in result.err
        assert b"\\x00" not in result.out
        info = json.loads(qcow2("info", "--json", image).out)
        assert len(info.get("snapshots", ())) <= 1
        assert info["header"]["snapshots"] == 3
    # All entries of the table are there, but not the whole name of the last one.
    image = build(recipe + "put64 40 0x100000\ntruncate $snapshots+188\n")
    info = json.loads(qcow2("info", "--json", image).out)
    assert [entry["name"] for entry in info["snapshots"]] == ["name0", "name1"]


def test_name_past_the_end(build):
    """The file ends inside the name of the backing file."""
    image = build(V3.replace("l2 0 data\n", "") + 'backing_at 1000 "base.raw"\nlayout\n'
                  "truncate 1004\n")
    assert_warned(image, "image is truncated: the L1 table at file offset ")
    image = build('cluster_bits 12\nsize 0\nbacking_at 1000 "base.raw"\nlayout\ntruncate 1004\n')
    refused(qcow2("cat", image), "image is truncated: the name of the backing file at file offset 1000 "
            "is cut off at the end of the file (1004 bytes)")


# ---- How full an image is, and several images ----

def test_usage(build):
    """Counts what this image holds: data, compressed data and zeros, but not its backing file."""
    image = build('cluster_bits 12\nsize 64k\nbacking "base" raw\nl2 0-3 data\nl2 5 compressed\n'
                  "l2 7-8 zero\n")
    image.with_name("base").write_bytes(bytes(range(1, 251)) * 300)
    usage = {"scanned": 64 * K, "data": 5 * 4096, "compressed": 4096, "zero": 2 * 4096}
    for options in ((), ("--follow",), ("--scan",), ("--layer-only",)):
        assert qcow2_json("info", *options, image)["usage"] == usage
    text = qcow2_ok("info", image).decode()
    assert "\nallocated: 20 KiB (20480 bytes), 31.2 % of the disk\n" in text
    assert "\nallocated compressed: 4 KiB (4096 bytes)\nzero clusters: 8 KiB (8192 bytes)\n" in text


def test_usage_of_a_damaged_table(build):
    """What cannot be told is counted apart, and there is one warning."""
    image = build(V3 + "l2 1 raw 1<<63|513\nl2 3 data\nl2 4 raw 1<<63|513\n")
    result = qcow2("info", "--json", image)
    assert result.code == 0 and result.err.count("\n") == 1, result
    assert "warning: cannot count all that is allocated: " in result.err, result
    assert "disk offset 4096)" in result.err, result
    assert json.loads(result.out)["usage"] == {"scanned": 64 * K, "data": 8192, "compressed": 0,
                                               "zero": 0, "damaged": 8192}
    assert b"\ndamaged: 8 KiB (8192 bytes)\n" in qcow2("info", image).out


def test_several_images(build):
    one, two = build(V3, "one"), build("size 1M\n", "two")
    top = build('size 64k\nbacking "one" qcow2\n', "top")
    text = qcow2_ok("info", one, two, top).decode()
    assert text == "\n".join(qcow2_ok("info", image).decode() for image in (one, two, top))
    assert qcow2_json("info", one, two, top) == [qcow2_json("info", image)
                                                 for image in (one, two, top)]
    assert qcow2_json("info", one)["filename"] == str(one)
    chains = qcow2_json("info", "--backing-chain", top, two)
    assert chains == [qcow2_json("info", "--backing-chain", image) for image in (top, two)]
    assert [len(chain) for chain in chains] == [2, 1]


def test_too_many_images():
    result = qcow2("info", *["disk"] * 257)
    assert result.code == 2, result
    assert "too many operands; expected IMAGE..., at most 256\n" in result.err, result


def test_several_images_one_of_them_bad(build):
    one, two = build(V3, "one"), build("size 1M\n", "two")
    missing = one.with_name("missing")
    result = qcow2("info", "--json", one, missing, two)
    assert result.code == 1 and result.err.count("\n") == 1 and str(missing) in result.err, result
    assert json.loads(result.out) == [qcow2_json("info", one), qcow2_json("info", two)]
