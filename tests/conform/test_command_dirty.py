# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`map`, `cat` and `convert` with --bitmap, against qemu-nbd, which exports bitmaps; `bitmaps`."""
import json

import pytest

from conform import K, M, QCOW2, qcow2, qcow2_json, qcow2_ok, qemu_img, qemu_io, refused, run, start, succeed
from test_command_bitmaps import bitmap_entry, with_directory

G = 1 << 30


def joined(ranges):
    """Joins ranges (start, length, dirty) that continue each other."""
    result = []
    for start_at, length, dirty in ranges:
        if result and result[-1][2] == dirty:
            result[-1] = (result[-1][0], result[-1][1] + length, dirty)
        else:
            result.append((start_at, length, dirty))
    return result


def qemu_dirty(image, name):
    """The ranges that qemu-nbd exports for a bitmap."""
    out = succeed("nbdinfo", "--json", f"--map=qemu:dirty-bitmap:{name}", "--", "[", "qemu-nbd", "-r",
                  "-f", "qcow2", "-B", name, image, "]", cwd=image.parent)
    return joined((e["offset"], e["length"], e["type"] == 1) for e in json.loads(out))


def our_dirty(image, *names, options=()):
    bitmaps = [f"--bitmap={name}" for name in names]
    return joined((e["start"], e["length"], e["dirty"])
                  for e in qcow2_json("map", *bitmaps, *options, image))


def dirty_bytes(image, *names):
    return sum(length for _, length, dirty in our_dirty(image, *names) if dirty)


def create(image, size, *bitmaps, cluster=64 * K, options=()):
    """bitmaps: (granularity, name)."""
    qemu_img("create", "-q", "-f", "qcow2", "-o", ",".join((f"cluster_size={cluster}", *options)), image,
             str(size))
    for granularity, name in bitmaps:
        qemu_img("bitmap", "--add", "-g", str(granularity), image, name)


CASES = [  # cluster size, granularity, size of the disk
    (512, 512, 5 * M + 1536), (4 * K, 512, M + 512), (4 * K, 64 * K, 700 * M), (64 * K, 512, 300 * M),
    (64 * K, 2 * M, 10 * M + 7 * 512), (64 * K, 2 * G, 20 * G),
    (2 * M, 32 * K, 5 * G + 512), (2 * M, 2 * G, 3 * M), (512, 16 * M, 30 * M),
]


@pytest.mark.parametrize("cluster, granularity, size", CASES)
def test_as_qemu(cluster, granularity, size, image):
    """Writes, zeros and discards at the ends of the disk and of what a table entry stands for."""
    create(image, size, (granularity, "b"), cluster=cluster)
    assert our_dirty(image, "b") == qemu_dirty(image, "b") == [(0, size, False)]
    unit = granularity * cluster * 8
    places = {0, size - 512, size // 3 // 512 * 512, *range(unit - 512, size, unit), *range(unit, size, unit)}
    commands = [f"{('write -P 1', 'write -z', 'discard')[i % 3]} {at} 512"
                for i, at in enumerate(sorted(places)[:9])]
    qemu_io(image, *commands, f"write -z {size // 2 // 512 * 512} {min(size // 4, 64 * M) // 512 * 512}")
    ours = our_dirty(image, "b")
    assert ours == qemu_dirty(image, "b") and any(dirty for _, _, dirty in ours)


@pytest.mark.parametrize("option", ("data_file=data", "extended_l2=on"))
def test_features(option, image):
    create(image, 40 * M, (4 * K, "b"), options=(option,))
    qemu_io(image, "write 1M 70k", "write -z 30M 5k", "discard 5M 1M")
    follow = ("--follow",) if "data" in option else ()
    assert our_dirty(image, "b", options=follow) == qemu_dirty(image, "b")


def test_all_ones(build):
    """An entry that says that all bits are 1, which QEMU reads but does not write."""
    image = build(BITS + "put64 $t 1\n")
    assert our_dirty(image, "bits") == qemu_dirty(image, "bits") == [(0, M, True)]


def test_resized(image):
    """The bitmap keeps its marks, and the table grows and shrinks."""
    create(image, 5 * M, (512, "b"), cluster=512)
    qemu_io(image, "write 4M 1M")
    for size in (13 * M, 4 * M + 512):
        qemu_img("resize", "-q", "--shrink", image, str(size))
        assert our_dirty(image, "b") == qemu_dirty(image, "b")


def test_union(image):
    """Several bitmaps together are what `qemu-img bitmap --merge` makes of them."""
    create(image, 90 * M, (64 * K, "large"), (512, "small"))
    qemu_io(image, *(f"write {at}k 1k" for at in range(0, 2000, 190)))
    qemu_img("bitmap", "--disable", image, "large")
    qemu_io(image, *(f"write {at}M 3M" for at in range(3, 88, 13)))
    qemu_img("bitmap", "--add", "-g", "4K", image, "between")
    qemu_io(image, "write 70M 5k", "write 1100k 9k")
    qemu_img("bitmap", "--disable", image, "small")
    qemu_img("bitmap", "--disable", image, "between")
    names = ("large", "small", "between")
    for some in (names[:2], names[1::-1], names):
        qemu_img("bitmap", "--add", "--disable", "-g", "512", image, "merged")
        for name in some:
            qemu_img("bitmap", "--merge", name, image, "merged")
        assert our_dirty(image, *some) == qemu_dirty(image, "merged")
        qemu_img("bitmap", "--remove", image, "merged")
    assert our_dirty(image, "small", "small") == our_dirty(image, "small")


def test_map(image):
    """Text, a summary and JSON; the rest of each line is as without --bitmap."""
    create(image, 10 * M, (64 * K, "b"))
    qemu_io(image, "write 512k 128k", "write -z 5M 64k")
    text = qcow2_ok("map", "--bitmap", "b", image).decode().splitlines()
    assert text[0].split() == ["START", "LENGTH", "KIND", "DEPTH", "BITMAP", "FILE", "OFFSET"]
    assert {tuple(line.split()[2:5:2]) for line in text[1:-1]} == {
        ("absent", "clean"), ("data", "dirty"), ("zero", "dirty")}
    assert text[-1].endswith("  131072 data, 65536 zero, 10289152 absent; 196608 dirty")
    assert b"; 192 KiB dirty\n" in qcow2_ok("map", "--human", "--bitmap=b", image)
    assert qcow2_ok("map", "--summary", "--bitmap=b", image).decode().splitlines()[-1].split() == [
        "dirty", "196608", "1.9", "%"]
    assert qcow2_json("map", "--summary", "--bitmap=b", image)["dirty"] == 192 * K
    plain, dirty = qcow2_json("map", image), qcow2_json("map", "--bitmap=b", image)
    assert [{key: e[key] for key in e if key != "dirty"} for e in dirty] == plain


# ---- cat and convert ----

def changed(image):
    """An image, its content before the bitmap was made, and its content now."""
    create(image, 8 * M + 1536, cluster=4 * K)
    qemu_io(image, "write -P 1 0 3M", "write -P 2 5M 2M")
    before = qcow2_ok("cat", image)
    qemu_img("bitmap", "--add", "-g", "16K", image, "b")
    qemu_io(image, "write -P 3 1M 100k", "write -z 5M 60k", "write -P 4 8M 1536", "discard 2M 1k",
            "write -P 5 4M 16k")
    return before, qcow2_ok("cat", image)


def test_cat(image):
    """The dirty ranges, one after the other."""
    _, now = changed(image)
    dirty = [(at, length) for at, length, is_dirty in our_dirty(image, "b") if is_dirty]
    assert len(dirty) == 5
    assert qcow2_ok("cat", "--bitmap=b", image) == b"".join(now[at:at + n] for at, n in dirty)
    assert qcow2_ok("cat", "--bitmap=b", "-s", str(M + 5), "-n", str(3 * M), image) == b"".join(
        now[max(at, M + 5):min(at + n, 4 * M + 5)] for at, n in dirty)


def test_increment(image, tmp_path):
    """convert -n writes the dirty ranges into an old copy, which then is the disk."""
    before, now = changed(image)
    assert before != now
    copy = tmp_path / "copy"
    copy.write_bytes(before + b"behind")
    qcow2_ok("convert", "-n", "--bitmap=b", image, copy)
    assert copy.read_bytes() == now + b"behind"


@pytest.mark.parametrize("options", ((), ("--sparse=never",)))
def test_convert(options, image, tmp_path):
    """A new file is as long as the disk, and has nothing but the dirty ranges."""
    _, now = changed(image)
    out = tmp_path / "out"
    qcow2_ok("convert", *options, "--bitmap=b", image, out)
    want = bytearray(len(now))
    for at, length, dirty in our_dirty(image, "b"):
        if dirty:
            want[at:at + length] = now[at:at + length]
    assert out.read_bytes() == want
    if not options:
        assert out.stat().st_blocks * 512 < M


def test_convert_keeps_a_copy(image, tmp_path):
    """A copy of the disk is not exchanged for one that has only the changes."""
    create(image, M, (64 * K, "b"))
    out = tmp_path / "out"
    out.write_bytes(b"copy")
    for options, words in (((), "exists; with --bitmap, use -n to bring it up to date"),
                           (("--in-place",), "--bitmap and --in-place cannot be combined; -n brings"),
                           (("-n", "--target-is-zero"), "--bitmap and --target-is-zero cannot be combined")):
        done = qcow2("convert", *options, "--bitmap=b", image, out)
        assert done.code in (1, 2) and words in done.err and out.read_bytes() == b"copy", done


def test_progress(image):
    """What is clean counts as done."""
    create(image, M, (64 * K, "b"))
    done = run(QCOW2, "cat", "-p", "--bitmap=b", image)
    assert done.code == 0 and done.out == b"" and "100 %" in done.err, done


def test_convert_to_a_pipe(image):
    create(image, M, (64 * K, "b"))
    with start("cat", stdin=-1, stdout=-1) as reader:
        done = run(QCOW2, "convert", "--bitmap=b", image, "-", stdout=reader.stdin)
        reader.communicate()
    refused(done, "standard output: --bitmap needs a file or a device; 'qcow2 cat --bitmap' writes to pipes")


def test_compressed(image):
    create(image, 4 * M, (4 * K, "b"))
    qemu_io(image, "write -c -P 7 0 64k", "write -c -P 8 1M 64k")
    assert qcow2_ok("cat", "--bitmap=b", image) == b"\7" * 64 * K + b"\10" * 64 * K


# ---- Which bitmap ----

def test_in_use(image):
    """A writer that was killed leaves the bitmap in use."""
    create(image, 4 * M, (64 * K, "b"), (64 * K, "idle"))
    qemu_io(image, "write 0 64k")
    run("qemu-io", "-f", "qcow2", image, stdin=b"write 1M 64k\nsigraise 9\n")
    flags = {e["name"]: e["flags"] for e in qcow2_json("bitmaps", image)}
    assert flags["b"] == ["in-use", "auto"]
    for command in (("map",), ("cat",), ("convert", "-q")):
        out = [image.with_name("out")] if command[0] == "convert" else []
        refused(qcow2(*command, "--bitmap=b", image, *out), "bitmap 'b': it is in use, so it may lack changes",
                "; use --inconsistent to use it anyway\n")
    assert our_dirty(image, "b", options=("--inconsistent",)) == [(0, 64 * K, True), (64 * K, 4032 * K, False)]


def test_out_of_date(build):
    """A program that does not know bitmaps has written to the image."""
    image = build(BITS.replace("autoclear_features 1", "autoclear_features 0"))
    assert qcow2_json("bitmaps", image)[0]["flags"] == ["in-use"]
    refused(qcow2("map", "--bitmap=bits", image), "it is in use")
    assert our_dirty(image, "bits", options=("--inconsistent",)) == [(0, M, False)]


def test_not_of_the_backing_file(image):
    """QEMU finds the bitmap of the backing file, which has no marks for what is in the overlay."""
    create(image, M, (64 * K, "b"))
    overlay = image.with_name("overlay")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, overlay)
    refused(qcow2("map", "--follow", "--bitmap=b", overlay), "the image has no bitmap 'b'")


def test_not_of_a_snapshot(image):
    create(image, M, (64 * K, "b"))
    qemu_img("snapshot", "-c", "s", image)
    refused(qcow2("map", "--snapshot=s", "--bitmap=b", image), "a snapshot has no bitmaps")


@pytest.mark.parametrize("args, words", [
    (("map", "--bitmap=b", "--picture", "x"), "--bitmap and --picture cannot be combined"),
    (("map", "--bitmap=b", "--svg=s", "x"), "--bitmap and --svg cannot be combined"),
    (("cat", "--bitmap=b", "--salvage", "x"), "--bitmap and --salvage cannot be combined"),
    (("cat", "--inconsistent", "x"), "--inconsistent needs --bitmap"),
    (("info", "--bitmap=b", "x"), "option does not apply to this command: --bitmap=b")])
def test_usage(args, words):
    done = qcow2(*args)
    assert done.code == 2 and words in done.err


# ---- Damage ----

# A bitmap without marks. $t is its table, and $e its entry in the directory. 1 MiB, 4 KiB clusters.
ENTRY = bitmap_entry("bits", flags=0, granularity=9)
BITS = ("version 3\ncluster_bits 12\nsize 1M\next bitmaps 00*24\nheader.autoclear_features 1\nalloc e 1\nalloc t 1\nalloc b 1\nl2 1 data\n"
             f"layout\nput32 $ext+8 1\nput64 $ext+16 {len(ENTRY)}\nput64 $ext+24 $e\nput $e {ENTRY.hex()}\n"
             "put64 $e $t\nput32 $e+8 1\n")
INVALID = "bitmap 'bits': its entry or its table is invalid (at file offset "
CUT = "bitmap 'bits': the file ends before its bits do (at file offset "
DAMAGE = {
    "type": ("put8 $e+16 2", INVALID), "granularity of 256": ("put8 $e+17 8", INVALID),
    "granularity of 4 GiB": ("put8 $e+17 32", INVALID), "flag": ("put32 $e+12 8", INVALID),
    "extra data that is compatible": ("put32 $e+12 4", INVALID), "no table": ("put64 $e 0", INVALID),
    "table not aligned": ("put64 $e $t+512", INVALID), "too many entries": ("put32 $e+8 2", INVALID),
    "no entries": ("put32 $e+8 0", INVALID), "reserved bit": ("put64 $t 2", INVALID),
    "offset with bit 0": ("put64 $t $b+1", INVALID), "bits not aligned": ("put64 $t $b+512", INVALID),
    "bit 56": ("put64 $t $b+0x100000000000000", INVALID),
    "table behind the file": ("put64 $e 1<<40", CUT), "bits behind the file": ("put64 $t 1<<40", CUT),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged(name, build):
    """The disk can be read; the bitmap cannot, also with --allow-truncated. QEMU opens such an image
    only if something is behind the file, and then says that nothing has changed (P22)."""
    change, words = DAMAGE[name]
    image = build(BITS + change + "\n")
    assert our_dirty(build(BITS, "good"), "bits") == [(0, M, False)]
    assert len(qcow2_ok("cat", image)) == M
    for options in ((), ("--allow-truncated",)):
        done = qcow2("map", *options, "--bitmap=bits", image)
        assert done.code == 1 and words in done.err
    theirs = run("nbdinfo", "--map=qemu:dirty-bitmap:bits", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", "-B",
                 "bits", image, "]")
    assert theirs.code == (words == INVALID) == ("Failed to blk_new_open" in theirs.err), theirs


def test_damaged_directory(build):
    image = with_directory(build, [ENTRY], n=2)
    refused(qcow2("bitmaps", image), "invalid bitmap directory (at file offset ")
    refused(qcow2("map", "--bitmap=b", image), "invalid bitmap directory (at file offset ")


def test_bits_behind_the_disk(build):
    """They count for nothing (P21): the last mark ends with the disk."""
    image = build(BITS.replace("size 1M", "size 1048063") + "put64 $t $b\nput $b ff*4096\n")
    size = qcow2_json("info", image)["virtual-size"]
    assert our_dirty(image, "bits") == [(0, size, True)]


def test_list(image):
    create(image, 10 * G, (64 * K, "one"), (512, "two"))
    qemu_img("bitmap", "--disable", image, "two")
    text = qcow2_ok("bitmaps", image).decode().splitlines()
    assert text[0].split() == ["GRANULARITY", "FLAGS", "TABLE", "OFFSET", "ENTRIES", "NAME"]
    assert [line.split()[:2] + line.split()[3:] for line in text[1:]] == [
        ["65536", "auto", "1", "one"], ["512", "-", "40", "two"]]
    listed = qcow2_json("bitmaps", image)
    assert qcow2_json("info", image)["format-specific"]["data"]["bitmaps"] == [
        {key: e[key] for key in ("flags", "name", "granularity")} for e in listed]
    assert [e["table-entries"] for e in listed] == [1, 40]
