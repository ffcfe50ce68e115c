# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 compare`: the same answers as qemu-img compare, and what only we have."""
import json
import random
import re

import pytest

from conform import (BROKEN, K, M, PLAIN, make, make_chain, qcow2, qcow2_json, qcow2_ok, qemu_img,
                     qemu_io, run, write_file)

EQUAL = "The disks are equal.\n"
SECTOR = 512


def theirs(a, b, *options):
    """What qemu-img compare says: the exit status, and the offset of the first sector that differs."""
    done = run("qemu-img", "compare", "-U", *options, a, b, cwd=a.parent)
    offset = re.search(rb"Content mismatch at offset (\d+)!", done.out)
    return done.code, int(offset[1]) if offset else None


def ours(a, b, *options):
    """The same of our command, which prints the offset of the byte."""
    done = qcow2("compare", *options, a, b)
    offset = re.fullmatch(rb"The disks differ at offset (\d+)\.\n", done.out)
    assert done.code != 0 or done.out.decode() == EQUAL, done
    return done.code, int(offset[1]) if offset else None


def assert_same_answer(a, b, our_options=("--follow=any",), their_options=()):
    code, offset = ours(a, b, *our_options)
    sector = None if offset is None else offset // SECTOR * SECTOR
    assert (code, sector) == theirs(a, b, *their_options), (a, b)
    return code


def raw(path, content):
    return write_file(path, content)


# ---- Many images, against qemu-img ----

def some_writes(rng, size, cluster, n):
    """Commands of qemu-io that put data, zeros and compressed clusters on a disk."""
    for _ in range(n):
        at = rng.randrange(size // SECTOR) * SECTOR
        n_bytes = min(rng.choice((1, 3, 8, 64, 300)) * SECTOR, size - at)
        kind = rng.randrange(5)
        if kind == 0:
            yield f"write -z {at} {n_bytes}"
        elif kind == 1:
            yield f"write -P 0 {at} {n_bytes}"
        elif kind == 2 and at // cluster * cluster + cluster <= size:
            yield f"write -c -P {rng.randrange(256)} {at // cluster * cluster} {cluster}"
        else:
            yield f"write -P {rng.randrange(1, 256)} {at} {n_bytes}"


def twin(rng, image, directory):
    """Another image with the same disk: raw, compressed, preallocated, with other clusters."""
    how = rng.randrange(4)
    path = directory / ("twin.raw" if how == 0 else "twin.qcow2")
    options = (("-O", "raw"), ("-O", "qcow2", "-c", "-o", "cluster_size=4k"),
               ("-O", "qcow2", "-o", "cluster_size=2M"),
               ("-O", "qcow2", "-S", "0", "-o", "cluster_size=512,preallocation=metadata"))[how]
    qemu_img("convert", "-f", "qcow2", *options, image, path)
    return path, "raw" if how == 0 else "qcow2"


@pytest.mark.parametrize("seed", range(12))
def test_like_qemu_img(seed, tmp_path):
    rng = random.Random(seed)
    size, cluster = rng.choice((192 * K, M, 3 * M + SECTOR)), rng.choice((512, 4096, 65536))
    a, base = tmp_path / "a.qcow2", tmp_path / "base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", base, str(size))
    qemu_io(base, *some_writes(rng, size, 65536, 4))
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"cluster_size={cluster}", "-b", base, "-F", "qcow2",
             a, str(size))
    qemu_io(a, *some_writes(rng, size, cluster, 12))
    b, form = twin(rng, a, tmp_path)
    ask = ("--follow=any", "-F", form), ("-f", "qcow2", "-F", form)
    assert assert_same_answer(a, b, *ask) == 0
    change = f"write -P {rng.randrange(256)} {rng.randrange(size // SECTOR) * SECTOR} {SECTOR}"
    run("qemu-io", "-f", form, "-c", change, b)
    assert_same_answer(a, b, *ask)
    assert_same_answer(base, b, *ask)
    swapped = ("--follow=any", "-f", form), ("-f", form, "-F", "qcow2")
    assert_same_answer(b, a, *swapped)


@pytest.mark.parametrize("at", (0, 511, 512, 4095, 65536, 128 * K - 1, 128 * K, 300 * K - 1))
def test_offset_is_that_of_the_byte(at, tmp_path):
    content = bytes(range(1, 251)) * (300 * K // 250 + 1)
    a = raw(tmp_path / "a", content[:300 * K])
    b = raw(tmp_path / "b", content[:at] + b"\0" + content[at + 1:300 * K])
    assert ours(a, b, "-f", "raw", "-F", "raw") == (1, at)
    for option in ("--json", "--output=json"):
        info = qcow2("compare", option, "-fraw", "-Fraw", a, b)
        assert json.loads(info.out) == {"equal": False, "offset": at, "size": 300 * K,
                                        "size-b": 300 * K}


def test_kinds_of_zeros(tmp_path):
    """Unallocated, zero clusters, written zeros, a hole and nothing at all are the same content."""
    recipes = ("", "l2 0-9 zero\n", "l2 3 zero_alloc\n")
    images = [make(f"size 1M\n{recipe}", tmp_path / f"{i}") for i, recipe in enumerate(recipes)]
    zeros = raw(tmp_path / "zeros", bytes(M))
    for image in images:
        assert qcow2_ok("compare", image, "-F", "raw", zeros).decode() == EQUAL
        assert qcow2_ok("compare", image, images[1]).decode() == EQUAL


# ---- Sizes ----

@pytest.mark.parametrize("tail, code, offset", (
    (b"", 0, None), (bytes(70 * K), 0, None), (bytes(70 * K) + b"x", 1, 170 * K)),
                         ids=("none", "zeros", "data"))
def test_sizes(tail, code, offset, tmp_path):
    """The rest of the longer disk must be zeros; --strict asks for the same size as well."""
    short = raw(tmp_path / "short", b"y" * 100 * K)
    long = raw(tmp_path / "long", b"y" * 100 * K + tail + bytes(-len(tail) % SECTOR))
    differs = len(tail) > 0
    for a, b in ((short, long), (long, short)):
        done = qcow2("compare", "-f", "raw", "-F", "raw", a, b)
        assert (done.code, done.out != b"") == (code, True)
        assert done.err.count("\n") == differs and done.err.count("warning: the disk has") == differs
        assert ours(a, b, "-f", "raw", "-F", "raw") == (code, offset)
        assert theirs(a, b, "-f", "raw", "-F", "raw") == (code, offset)
        strict = qcow2("compare", "-s", "-f", "raw", "-F", "raw", a, b)
        assert strict.code == (1 if differs else 0) and strict.err == "", strict
        if differs:
            assert strict.out.decode() == ("The disks differ in size: "
                                           f"{a.stat().st_size} and {b.stat().st_size} bytes.\n")
        assert theirs(a, b, "-s", "-f", "raw", "-F", "raw")[0] == strict.code


def test_quiet(tmp_path):
    a, b = raw(tmp_path / "a", bytes(1000)), raw(tmp_path / "b", bytes(2000) + b"x")
    for one, code in ((a, 0), (b, 1)):
        done = qcow2("compare", "-q", "-f", "raw", "-F", "raw", a, one)
        assert (done.code, done.out, done.err) == (code, b"", "")


def test_empty_disks(tmp_path):
    a, b = raw(tmp_path / "a", b""), make("size 0\n", tmp_path / "b")
    assert qcow2_json("compare", "-f", "raw", a, b) == {"equal": True, "size": 0, "size-b": 0}


# ---- The options for each side ----

def test_snapshots(tmp_path):
    image = make("cluster_bits 12\nsize 64k\nl2 0 data\nsnapshot 1 one\nl2 0 share\nl2 2 zero\nsnapshot 2 two\nl2 0 data\nl2 3 data\n"
                 "active\n", tmp_path / "disk")
    assert qcow2_ok("compare", "--snapshot", "one", image, image).decode() == EQUAL
    assert ours(image, image, "--snapshot-b", "two")[0] == 1
    assert ours(image, image, "--snapshot", "2", "--snapshot-b", "2") == (0, None)
    assert qcow2("compare", "--snapshot-b", "no", image, image).code == 2


def test_chains_and_given_files(tmp_path):
    top = make_chain(tmp_path, 3)
    base = tmp_path / "000"
    assert qcow2("compare", top, base).code == 2
    assert qcow2_ok("compare", "--follow", top, base).decode() == EQUAL
    assert qcow2_ok("compare", base, "--backing-b", tmp_path / "001", "--backing-b", base,
                    top).decode() == EQUAL
    assert qcow2_ok("compare", "--backing", tmp_path / "001", "--backing", base, top,
                    base).decode() == EQUAL
    assert ours(top, base, "--layer-only")[0] == 1


def test_data_files(build, tmp_path):
    a = build('size 64k\ndata_file "a.raw"\nraw\nl2 0 data\n', "a.qcow2")
    content = a.with_suffix(".raw")
    assert ours(content, a, "-f", "raw", "--data-file-b", content) == (0, None)
    assert ours(a, content, "-F", "raw", "--data-file", content) == (0, None)


def test_standard_input(tmp_path):
    a = raw(tmp_path / "a", b"abc" * 1000)
    with open(a, "rb") as stdin:
        done = qcow2("compare", "-f", "raw", "-F", "raw", "-", a, stdin=stdin)
    assert done.code == 0 and done.out.decode() == EQUAL


def test_inside_other_files(build, tmp_path):
    one, two = build(PLAIN, "one"), build(PLAIN.replace("data", "zero"), "two")
    both = raw(tmp_path / "both", bytes(1536) + one.read_bytes() + two.read_bytes())
    first, second = f"1536,{one.stat().st_size}", str(1536 + one.stat().st_size)
    assert ours(both, one, "--image-at", first) == (0, None)
    assert ours(one, both, "--image-at-b", first) == (0, None)
    assert ours(both, both, "--image-at", first, "--image-at-b", second)[0] == 1
    assert ours(both, two, "--image-at", second) == (0, None)


# ---- Trouble ----

@pytest.mark.parametrize("args", ((), ("x",), ("x", "y", "z"), ("-f", "vmdk", "x", "y"),
                                  ("missing", "missing"), ("--nonsense", "x", "y")))
def test_trouble_is_exit_status_2(args, tmp_path):
    done = qcow2("compare", *args, cwd=tmp_path)
    assert done.code == 2 and done.out == b"" and done.err, done


def test_lost_answer(tmp_path):
    """If the answer cannot be written, the exit status does not look like one."""
    a, b = raw(tmp_path / "a", b"a"), raw(tmp_path / "b", b"b")
    for other in (a, b):
        with open("/dev/full", "wb") as full:
            assert qcow2("compare", "-f", "raw", "-F", "raw", a, other, stdout=full).code == 2


def test_damage(tmp_path):
    """A difference before the damage is the answer; otherwise the damage is. The message names the
    image that is damaged."""
    good = make(BROKEN.replace("raw 1<<63|513", "data"), tmp_path / "good")
    bad = make(BROKEN, tmp_path / "bad")
    other = make(BROKEN.replace("0-3", "1-3"), tmp_path / "other")
    for a, b in ((good, bad), (bad, good), (bad, bad)):
        done = qcow2("compare", a, b)
        assert done.code == 2 and done.out == b"", done
        assert done.err.startswith(f"qcow2: {bad}: ") and done.err.count("\n") == 1, done
        assert "(at file offset " in done.err and ", disk offset " in done.err, done
        assert theirs(a, b)[0] > 1
    for a, b in ((other, bad), (bad, other)):
        assert ours(a, b) == (1, 0) == theirs(a, b)


def test_damaged_table(tmp_path):
    """The map of one disk ends: data of the other one before that place is compared first."""
    recipe = "cluster_bits 12\nsize 4M\nl2 0 data\nl2 513 data\n"
    bad = make(recipe + "l1 1 1<<63|513\n", tmp_path / "bad")
    good = make(recipe, tmp_path / "good")
    other = make(recipe.replace("l2 513", "l2 7 data\nl2 513"), tmp_path / "other")
    for a, b in ((good, bad), (bad, good)):
        assert qcow2("compare", a, b).code == 2 and theirs(a, b)[0] > 1
    for a, b in ((other, bad), (bad, other)):
        assert ours(a, b) == (1, 7 * 4096) == theirs(a, b)


def test_compressed_by_several_threads(tmp_path):
    """The lowest offset is reported, whichever thread finds it: here all of 60 clusters differ."""
    a, b = tmp_path / "a", tmp_path / "b"
    size = 60 * 64 * K
    for path, letters in ((a, b"\1\2"), (b, b"\3\4")):
        raw(tmp_path / "raw", bytes(64 * K * 3) + letters * ((size - 64 * K * 3) // 2))
        qemu_img("convert", "-c", "-O", "qcow2", tmp_path / "raw", path)
    for _ in range(3):
        assert ours(a, b) == (1, 3 * 64 * K)
    qemu_img("convert", "-O", "qcow2", "-o", "cluster_size=2M", a, b)
    assert ours(a, b) == (0, None)


def test_progress(tmp_path):
    a = make(PLAIN, tmp_path / "a")
    done = qcow2("compare", "-p", a, a)
    assert done.code == 0 and "100 %" in done.err


def test_zeros_are_not_read(tmp_path):
    """Two disks of 1 PiB without data, and two sparse raw files, are compared at once."""
    a = make("size 1P\ncluster_bits 21\n", tmp_path / "a")
    assert qcow2_ok("compare", a, a).decode() == EQUAL
    for name in ("c", "d"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(1 << 42)
    assert qcow2_ok("compare", "-f", "raw", "-F", "raw", tmp_path / "c", tmp_path / "d").decode() == EQUAL
