# SPDX-License-Identifier: MIT
"""What `info` and `snapshots` tell: to the byte for people, and for programs as qemu-img has it."""
import json
import struct

import pytest

from conform import (K, M, assert_same_info, assert_subset, qcow2, qcow2_json, qcow2_ok, qemu_img,
                     qemu_info, refused)

V3 = "version 3\ncluster_bits 12\nsize 64k\nl2 0 data\n"


def human(n):
    """As GNU's -h, with three digits."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while n >= 999.5:
        n, units = n / 1024, units[1:]
    return "%.3g %s" % (n, units[0])


def told(image, *more, size=64 * K, cluster=4096, version=3, compression="zlib", refcounts=16):
    """What info prints for people: what each image has, and the lines for what this one has."""
    stat = image.stat()
    lines = [f"image: {image}",
             f"format: qcow2 version {version} (compat {'1.1' if version == 3 else '0.10'})"]
    for what, n in (("virtual size", size), ("file size", stat.st_size),
                    ("disk usage", stat.st_blocks * 512)):
        lines.append(f"{what}: {human(n)} ({n} bytes)")
    lines += [f"cluster size: {cluster}", f"compression: {compression}",
              f"refcount bits: {refcounts}", *more]
    return "".join(line + "\n" for line in lines)


def assert_told(image, *more, **frame):
    assert qcow2_ok("info", image).decode() == told(image, *more, **frame)


# ---- One image ----

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
    assert_told(image, **frame)
    assert_same_info(image)


def test_header(build):
    """What qemu-img does not tell."""
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


FEATURES = {
    "lazy refcounts": ("header.compatible_features 1\n", ["feature: lazy refcounts"]),
    "dirty and corrupt": ("header.incompatible_features 3\n",
                          ["feature: refcounts may be out of date (dirty)",
                           "feature: marked corrupt"]),
    "data file": ('data_file "disk.raw"\n', ["data file: disk.raw"]),
    "raw data file": ('data_file "disk.raw"\nraw\n', [
        "data file: disk.raw", "feature: the data file is a raw disk by itself"]),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features(name, build):
    recipe, lines = FEATURES[name]
    image = build(V3.replace("l2", recipe + "l2") if "data_file" in recipe else V3 + recipe,
                  "disk.qcow2")
    assert_told(image, *lines)
    assert_same_info(image)


def test_extended_l2(build):
    image = build("cluster_bits 14\nsize 64k\nextended_l2\nl2 0 data\n")
    assert_told(image, "feature: extended L2 entries (subclusters)", cluster=16 * K)
    assert_same_info(image)


def luks_header():
    """Of LUKS 1, without a key. qemu-img itself, when it makes one, measures the processor, which
    fails on a busy machine."""
    slots = b"".join(struct.pack(">II32xII", 0xdead, 0, 8 + 504 * i, 4000) for i in range(8))
    return struct.pack(">6sH32s32s32sII20x32xI40s", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64",
                       b"sha256", 4040, 64, 1000, b"06716cb3-57ee-4488-9505-7b185592ed11") + slots


def with_luks(build, _):
    return build(V3 + "ext crypto 00*16\nheader.crypt_method 2\nalloc c 1\nl2 1 data\nlayout\n"
                 f"put64 $ext+8 $c\nput64 $ext+16 {4040 * 512}\nput $c {luks_header().hex()}\n")


def with_aes(_, image):
    qemu_img("create", "-q", "--object", "secret,id=key,data=x", "-f", "qcow2", "-o",
             "cluster_size=4K,encrypt.key-secret=key,encrypt.format=aes", image, "64k")
    return image


@pytest.mark.parametrize("kind, make", (("luks", with_luks), ("aes", with_aes)))
def test_encrypted(kind, make, build, image):
    """Is shown, though nothing else can be done with it."""
    image = make(build, image)
    assert_told(image, f"encrypted: {kind}")
    theirs = json.loads(qemu_info(image).out)
    assert theirs["encrypted"] is True
    encrypt = theirs["format-specific"]["data"]["encrypt"]
    assert encrypt["format"] == kind
    encrypt.clear()  # what else is there is in the LUKS header, which we do not read
    encrypt["format"] = kind
    assert_subset(theirs, qcow2_json("info", image))
    for command in ("cat", "map"):
        refused(qcow2(command, image), f"encrypted images ({kind})")


# ---- Bitmaps ----

def bitmap_entry(name, flags=2, granularity=16, extra=0, extra_len=None, name_len=None):
    """One of the bitmap directory, padded."""
    name = name.encode()
    entry = bytes(12) + flags.to_bytes(4, "big") + bytes([1, granularity])
    entry += (len(name) if name_len is None else name_len).to_bytes(2, "big")
    entry += (extra if extra_len is None else extra_len).to_bytes(4, "big")
    entry += bytes(extra) + name
    return entry + bytes(-len(entry) % 8)


def with_directory(build, entries, n=None, length=None, at="$d", autoclear=1):
    """An image with such a bitmap directory, and what its extension says of it."""
    n = len(entries) if n is None else n
    directory = b"".join(entries)
    length = len(directory) if length is None else length
    return build(V3 + f"ext bitmaps 00*24\nheader.autoclear_features {autoclear}\nalloc d 1\n"
                 f"l2 1 data\nlayout\nput32 $ext+8 {n}\nput64 $ext+16 {length}\n"
                 f"put64 $ext+24 {at}\nput $d {directory.hex()}\n")


def test_bitmaps(image):
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    for words in ("--add -g 64K one", "--add -g 2M two", "--disable two", "--add in-use"):
        *flags, name = words.split()
        qemu_img("bitmap", *flags, image, name)
    content = bytearray(image.read_bytes())
    content[content.index(b"in-use") - 24 + 15] |= 1  # as after a crash
    image.write_bytes(content)
    assert_told(image, "bitmap: one (granularity 65536, auto)", "bitmap: two (granularity 2097152)",
                "bitmap: in-use (granularity 65536, auto, in use)", size=M, cluster=64 * K)
    assert_same_info(image)
    assert qcow2_json("info", image)["format-specific"]["data"]["bitmaps"] == [
        {"flags": ["auto"], "name": "one", "granularity": 64 * K},
        {"flags": [], "name": "two", "granularity": 2 * M},
        {"flags": ["in-use", "auto"], "name": "in-use", "granularity": 64 * K}]


def test_bitmaps_with_extra_data(build):
    """Lengths that are no multiples of 8, and what is between an entry's head and its name."""
    image = with_directory(build, [bitmap_entry("a", extra=7), bitmap_entry("b" * 9, extra=8),
                                   bitmap_entry("", flags=0, granularity=63)])
    assert_told(image, "bitmap: a (granularity 65536, auto)",
                "bitmap: bbbbbbbbb (granularity 65536, auto)",
                f"bitmap:  (granularity {1 << 63})")


def test_last_bitmap_without_padding(build):
    entry = bitmap_entry("abc")
    image = with_directory(build, [entry], length=len(entry) - 5)
    assert_told(image, "bitmap: abc (granularity 65536, auto)")


GOOD = bitmap_entry("good")
DAMAGED = {
    "too many": {"entries": [GOOD], "n": 65536},
    "one more than there are": {"entries": [GOOD], "n": 2},
    "head cut short": {"entries": [GOOD, GOOD], "length": 2 * len(GOOD) - 9},
    "name cut short": {"entries": [GOOD], "length": len(GOOD) - 5},
    "no more after one without padding": {"entries": [bitmap_entry("abc")], "n": 2, "length": 27},
    "longer than entries can be": {"entries": [GOOD], "length": 1025},
    "longer than the file": {"entries": [GOOD], "n": 1000, "length": 1000 * K},
    "past the end": {"entries": [GOOD], "at": "$end+1"},
    "across the end": {"entries": [GOOD], "at": "$end-8"},
    "wrapping around": {"entries": [GOOD], "at": "0-8"},
    "granularity of 2^64": {"entries": [bitmap_entry("a", granularity=64)]},
    "name longer than all": {"entries": [bitmap_entry("a", name_len=9)]},
    "extra data longer than all": {"entries": [bitmap_entry("a", extra_len=9)]},
    "extra data of 4 GiB": {"entries": [bitmap_entry("a", extra_len=0xffffffff)]},
}


def assert_warned(image, warning, *more):
    """The warning, and all that can be told without what it is about."""
    for options in ((), ("--json",)):
        result = qcow2("info", *options, image)
        assert result.code == 0 and result.err == f"qcow2: {image}: warning: {warning}\n", result
    assert qcow2("info", image).out.decode() == told(image, *more)
    return json.loads(qcow2("info", "--json", image).out)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_bitmap_directory(name, build):
    image = with_directory(build, **DAMAGED[name])
    info = assert_warned(image, "the bitmap directory is damaged")
    assert "bitmaps" not in info["format-specific"]["data"]


def test_bitmap_extension_of_another_length(build):
    image = build(V3 + "ext bitmaps 00*32\nheader.autoclear_features 1\n")
    assert_warned(image, "the bitmap directory is damaged")


def test_bitmaps_of_the_past(build):
    """Without its autoclear bit the extension is what a writer that does not know it has left."""
    assert_told(with_directory(build, [GOOD], n=9, autoclear=0))


# ---- Names and chains ----

BACKING = {"base": "base", "sub/base": "sub/base", "/dev/zero": None, "nbd://host/disk": None,
           "nbd:unix:/socket": None, "a/b:c": "a/b:c", "": None}


@pytest.mark.parametrize("name", BACKING)
def test_backing_file(name, build):
    image = build(V3 + f'backing "{name}" raw\n')
    beside = BACKING[name] and f"{image.parent}/{name}"
    lines = [f"backing file: {name}", beside and f"backing file path: {beside}",
             "backing file format: raw"] if name else [None, None, "backing file format: raw"]
    assert_told(image, *filter(None, lines))
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
             f"chain 1: {mid} (qcow2, 32768 bytes)", f"chain 2: {low} (raw, 1000 bytes)"]
    return top, mid, low, shown


def test_chain(chain):
    top, mid, low, shown = chain
    given = (f"--backing={mid},qcow2", f"--backing={low},raw")
    theirs = json.loads(qemu_img("info", "--backing-chain", "--output=json", top))
    theirs[2]["virtual-size"] = 1000  # P1: no sectors
    for options in (("--follow",), given):
        assert qcow2_ok("info", *options, top).decode() == told(top, *shown)
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
    """What was asked for and cannot be had is an error, not a shorter answer."""
    top, _, low, _ = chain
    low.unlink()
    refused(qcow2("info", "--follow", top), "low", "No such file")
    assert_told(top, *chain[3][:3])


# ---- Damage ----

def test_cut_short(build):
    image = build(V3 + "layout\nput64 40 0x7000000\n")
    message = qcow2("cat", image).err.split(f"qcow2: {image}: ")[1].split("; --allow")[0]
    assert "truncated" in message
    assert_warned(image, message)


def test_name_past_the_end(build):
    """The header says where the name is, and the file ends before it does."""
    image = build(V3.replace("l2 0 data\n", "") + 'backing_at 1000 "base.raw"\nlayout\n'
                  "truncate 1004\n")
    result = qcow2("info", image)
    assert result.code == 0 and result.err.count("\n") == 2, result
    assert result.err.endswith(f"qcow2: {image}: warning: a name in the header cannot be read\n")
    assert result.out.decode() == told(image)


def test_snapshots_past_the_end(build):
    image = build(V3 + "snapshot 1 one\nactive\nlayout\nput64 64 0x7000000\n")
    listed = qcow2("snapshots", image)
    refused(listed, "truncated", "at file offset")
    message = listed.err.split(f"qcow2: {image}: ")[1].split("; --allow")[0]
    info = assert_warned(image, message)
    assert "snapshots" not in info and info["header"]["snapshots"] == 1


# ---- Snapshots ----

LISTED = """\
snapshot 1 first disk_size=64k date_sec=86400 date_nsec=5 vm_clock=3723004000001
active
snapshot twelve12 "a name" extra=24 icount=77 vm_state_large=5000000000 vm_clock=0 date_sec=0xffffffff
active
"""


def test_snapshots(build, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    image = build(V3 + LISTED)
    table = (
        "ID    DATE                VM CLOCK         VM STATE         DISK  NAME\n"
        "1     1970-01-02 00:00:00 01:02:03.004            0        65536  first\n"
        "twelve12 2106-02-07 06:28:15 00:00:00.000   5000000000        65536  a name\n")
    assert qcow2_ok("snapshots", image).decode() == table
    assert_told(image, "snapshots:", table[:-1])
    theirs = json.loads(qemu_info(image).out)["snapshots"]
    ours = qcow2_json("snapshots", image)
    assert [s.get("icount") for s in theirs] == [None, 77]
    assert theirs == [{k: s[k] for k in s if k != "disk-size"} for s in ours]
    assert [s["disk-size"] for s in ours] == [64 * K, 64 * K]
    assert qcow2_json("info", image)["snapshots"] == ours


def test_no_snapshots(build):
    image = build(V3)
    assert qcow2_ok("snapshots", image).decode().split() == [
        "ID", "DATE", "VM", "CLOCK", "VM", "STATE", "DISK", "NAME"]
    assert qcow2_json("snapshots", image) == [] and "snapshots" not in qcow2_json("info", image)
