# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 check` finds what `qemu-img check` does: the same numbers, lines and exit status. The tests of
images that QEMU made compare this as well (conform.py, assert_same). Damage that only one of the two
finds is listed in src/README.md, P23 to P26."""
import json

import pytest

from conform import (K, M, assert_same_check, check_answer, create_luks, make, qcow2, qcow2_ok, qemu_check,
                     qemu_img, qemu_io, refused, run, succeed)
from qemu_made import painted

PLAIN = "version 3\ncluster_bits 12\nsize 64k\nl2 0-3 data\nl2 5 zero_alloc\nl2 7 compressed\n"


@pytest.fixture
def damaged(image):
    """A function that makes an image of QEMU and changes it: (where, what) pairs, or a function."""
    def make(*changes, options="", snapshots=1, size=256 * K, cluster=4 * K):
        painted(image, size, cluster, options, n=12)
        qemu_io(image, f"write 0 {3 * cluster}")
        for i in range(snapshots):
            qemu_img("snapshot", "-c", f"s{i}", image)
            qemu_io(image, f"write 0 {cluster}")
        data = bytearray(image.read_bytes())
        for change in changes:
            change(Tables(data))
        image.write_bytes(data)
        return image
    return make


class Tables:
    """The tables of an image, and where their entries are."""

    def __init__(self, data):
        self.data = data
        self.cluster = 1 << data[23]
        self.l1, self.blocks = self.get(40), self.get(48)
        self.snapshots = self.get(64)

    def get(self, pos, n=8):
        return int.from_bytes(self.data[pos:pos + n], "big")

    def put(self, pos, value, n=8):
        self.data[pos:pos + n] = value.to_bytes(n, "big")

    def l2(self, i=0):
        return self.get(self.l1) % (1 << 56) // 512 * 512 + i

    def entry(self, test=lambda entry: entry >> 62 != 1 and entry >> 9 & 0xffff):
        """The position of the first L2 entry of this kind."""
        return next(pos for pos in range(self.l2(), self.l2() + self.cluster, 8)
                    if test(self.get(pos)))

    def free(self):
        return self.entry(lambda entry: entry == 0)

    def refcount(self, cluster):
        return self.get(self.blocks) + 2 * cluster


DAMAGE = {
    "refcount 0": lambda t: t.put(t.refcount(t.get(t.entry()) % (1 << 56) >> 12), 0, 2),
    "refcount 3": lambda t: t.put(t.refcount(t.get(t.entry()) % (1 << 56) >> 12), 3, 2),
    "flag of data": lambda t: t.put(t.entry(), t.get(t.entry()) ^ 1 << 63),
    "flag of a table": lambda t: t.put(t.l1, t.get(t.l1) ^ 1 << 63),
    "reserved bit of L1": lambda t: t.put(t.l1, t.get(t.l1) | 1 << 57),
    "reserved bit of L2": lambda t: t.put(t.entry(), t.get(t.entry()) | 1 << 60),
    "table between clusters": lambda t: t.put(t.l1, t.get(t.l1) + 512),
    "data between clusters": lambda t: t.put(t.entry(), t.get(t.entry()) + 512),
    "zeros between clusters": lambda t: t.put(t.entry(), t.get(t.entry()) + 513),
    "data past the end": lambda t: t.put(t.entry(), 1 << 63 | 1 << 40),
    "compressed and copied": lambda t: t.put(t.free(), 3 << 62 | 0x5000),
    "data in the header": lambda t: t.put(t.free(), 1 << 63 | t.blocks),
    "L1 entry with a flag alone": lambda t: t.put(t.l1, 1 << 63),
    "two tables in one": lambda t: t.put(t.l1, t.l1),
    "block with reserved bits": lambda t: t.put(t.blocks, t.get(t.blocks) + 1),
    "block between clusters": lambda t: t.put(t.blocks, t.get(t.blocks) + 512),
    "block past the end": lambda t: t.put(t.blocks, 1 << 40),
    "the same block twice": lambda t: t.put(t.blocks + 8, t.get(t.blocks)),
    "snapshot between clusters": lambda t: t.put(t.snapshots, t.get(t.snapshots) + 512),
    "snapshot past the end": lambda t: t.put(t.snapshots, 1 << 40),
    "snapshot with too many entries": lambda t: t.put(t.snapshots + 8, 1 << 30, 4),
    "half of a cluster less": lambda t: t.data.__delitem__(slice(-2000, None)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage(name, damaged):
    code, _, _ = assert_same_check(damaged(DAMAGE[name]))
    assert code != 0 or name.startswith("half")


@pytest.mark.parametrize("bits", (1, 2, 4, 8, 32, 64))
def test_references_that_a_refcount_cannot_count(bits, damaged):
    """More references than a refcount of few bits can say, and than our first counters can."""
    def share(t):
        for pos in range(t.l2(), t.l2() + t.cluster, 8):
            t.put(pos, 1 << 63 | t.l1)
    code, _, lines = assert_same_check(damaged(share, options=f"refcount_bits={bits}", snapshots=0))
    assert code == 2 and any("overflow" in line for line in lines) == (bits < 16)


@pytest.mark.parametrize("name, change", {
    "both": lambda t: t.put(t.l2(8), 1 << 32 | 1),
    "nowhere": lambda t: t.put(t.l2(24), 1) if t.get(t.l2(16)) == 0 else t.put(t.l2(16), 0),
    "compressed": lambda t: t.put(t.l2(0), 1 << 62 | 0x8000),
}.items())
def test_damaged_subclusters(name, change, image):
    qemu_img("create", "-q", "-f", "qcow2", "-o", "extended_l2=on,cluster_size=16k", image, "1M")
    qemu_io(image, "write 0 1k")
    data = bytearray(image.read_bytes())
    change(Tables(data))
    image.write_bytes(data)
    assert assert_same_check(image)[0] == 2


def test_bitmaps(image):
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    qemu_img("bitmap", "--add", image, "a")
    qemu_io(image, "write 0 64k")
    assert_same_check(image)
    data = bytearray(image.read_bytes())
    data[95] = 0  # autoclear
    image.write_bytes(data)
    # QEMU warns without a newline, so the first line that it found is part of the warning.
    theirs, ours = check_answer(qemu_check(image)), check_answer(qcow2("check", "--json", image))
    assert theirs[:2] == ours[:2] and ours[0] == 3


def bitmap_directory(t):
    extension = next(pos for pos in range(104, t.cluster, 8) if t.get(pos, 4) == 0x23852875)
    return t.get(extension + 24)


def owners_of(t):
    """Where an image of QEMU with a snapshot, a bitmap and all kinds of clusters has its parts."""
    directory = bitmap_directory(t)
    table, compressed = t.get(directory), t.entry(lambda entry: entry >> 62 == 1)
    return {
        "the header": 0, "the L1 table": t.l1, "an L2 table": t.l2(), "data": t.get(t.entry()),
        "compressed data": t.get(compressed) & (1 << 54) - 1, "the refcount table": t.blocks,
        "a refcount block": t.get(t.blocks), "the L1 table of a snapshot": t.get(t.snapshots),
        "the snapshot table": t.snapshots, "the bitmap directory": directory,
        "a bitmap table": table, "a bitmap": t.get(table),
    }


def test_owners(image):
    """An entry that points to a part of the image, whose owner is named."""
    painted(image, 256 * K, 4 * K, "", n=12)
    qemu_img("bitmap", "--add", image, "a")
    qemu_io(image, "write 0 12k", "write -c 128k 4k")
    qemu_img("snapshot", "-c", "s", image)
    whole = bytes(image.read_bytes())
    for owner, place in owners_of(Tables(bytearray(whole))).items():
        t = Tables(bytearray(whole))
        cluster = place % (1 << 56) // t.cluster
        entry = t.free()
        t.put(entry, 1 << 63 | cluster * t.cluster)
        image.write_bytes(t.data)
        found = qcow2("check", image)
        assert found.code == 2, (owner, found)
        assert f"cluster {cluster} is used by {owner} (at file offset " in found.err, (owner, found)
        assert f"cluster {cluster} is used by data (at file offset {entry})" in found.err, found


def test_owner_of_the_encryption_header(image):
    make("cluster_bits 12\nsize 64k\nencrypt luks password=abc\nl2 0 data\nlayout\nput64 $l1+0 "
         "1<<63|$luks\n", image)
    found = qcow2("check", image)
    assert " is used by the encryption header (at file offset " in found.err, found


def test_lines_that_qemu_does_not_have(image):
    """A reader refuses such a cluster of a bitmap, and compressed data past the end of the file."""
    painted(image, 256 * K, 4 * K, "", n=12)
    qemu_img("bitmap", "--add", image, "a")
    qemu_io(image, "write 0 12k")
    t = Tables(bytearray(image.read_bytes()))
    table = t.get(bitmap_directory(t))
    t.put(table, t.get(table) | 1 << 2)
    t.put(t.free(), 1 << 62 | len(t.data))
    image.write_bytes(t.data)
    found = qcow2("check", image)
    assert found.code == 2, found
    assert f"ERROR invalid bitmap table entry: {t.get(table):x}\n" in found.err, found
    assert (f"ERROR coffset=0x{len(t.data):x}: compressed data begins past the end of the file\n"
            in found.err), found


def test_luks_needs_no_key(image):
    create_luks(image, "1M")
    assert qcow2_ok("check", image).startswith(b"No errors were found on the image.\n")


def test_text(damaged):
    """The text is that of qemu-img, line by line."""
    for changes in ((), (DAMAGE["refcount 3"], DAMAGE["refcount 0"])):
        image = damaged(*changes)
        theirs = qemu_check(image).code, qemu_img_text(image)
        ours = qcow2("check", image)
        assert (ours.code, ours.out.decode()) == theirs


def qemu_img_text(image):
    return run("qemu-img", "check", "-U", "-f", "qcow2", image).out.decode()


# ---- What is found here only ----

def notes(result):
    return [line for line in result.err.splitlines() if line.startswith("note: ")]


def only_ours(image):
    """The lines that QEMU does not have. It has no others, and they are what the numbers differ by."""
    theirs, ours = check_answer(qemu_check(image)), check_answer(qcow2("check", "--json", image))
    more = [line for line in ours[2] if line not in theirs[2]]
    assert [line for line in ours[2] if line not in more] == theirs[2]
    assert ours[0] == 2 and (ours[1]["corruptions"] - theirs[1].get("corruptions", 0)) == len(more)
    return more


def test_table_that_the_file_does_not_have_wholly(damaged):
    def cut(t):
        t.data += bytes(2000)
        t.put(t.l1, 1 << 63 | len(t.data) // t.cluster * t.cluster)
    assert ["the file ends inside the table" in line for line in only_ours(damaged(cut))] == [True]


def test_compressed_data_behind_the_end(build):
    image = build(PLAIN)
    data = bytearray(image.read_bytes())
    tables = Tables(data)
    tables.put(tables.free(), 1 << 62 | len(data))
    image.write_bytes(data)
    assert ["begins past the end" in line for line in only_ours(image)] == [True]


BEYOND = {
    "zeros in version 2": ("version 2\ncluster_bits 12\nsize 64k\nl2 0 data\nl2 6 raw 1\n",
                           "which version 2 does not have"),
    "reserved bit 0": ("version 3\ncluster_bits 14\nsize 256k\nextended_l2\nl2 0 data\nl2 3 raw 1\n",
                       "reserved bits set"),
    "data elsewhere": ('version 3\ncluster_bits 12\nsize 64k\ndata_file "disk.raw"\nl2 0 data\n'
                       "l2 3 raw 1<<63|0x5000\n", "not at its offset"),
    "snapshot too short": (PLAIN + "snapshot 1 one disk_size=1<<40\nactive\n", "too short"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_found_here_only(name, build):
    recipe, words = BEYOND[name]
    assert [words in line for line in only_ours(build(recipe))] == [True]


def test_marked(build):
    result = qcow2("check", build(PLAIN + "header.incompatible_features 3\n"))
    assert result.code == 0 and len(notes(result)) == 2


def test_owners(damaged):
    image = damaged(DAMAGE["data in the header"], snapshots=0)
    result = qcow2("check", image)
    assert [line.split(" (")[0] for line in notes(result)] == [
        "note: cluster 1 is used by data", "note: cluster 1 is used by the refcount table"]


def test_many_owners(damaged):
    def share(t):
        for pos in range(t.l2(), t.l2() + t.cluster, 8):
            t.put(pos, 1 << 63 | t.l1)
    result = qcow2("check", damaged(share, snapshots=0))
    assert len(notes(result)) == 101 and "more notes" in notes(result)[-1]


def test_deep(build):
    image = build(PLAIN + "l2 9 packed 07070707\nl2 10 raw 1<<63|513\n")
    assert "compressed data" not in qcow2("check", image).err
    result = qcow2("check", "--deep", "--json", image)
    assert result.code == 2 and "ERROR compressed data is corrupt" in result.err
    assert json.loads(result.out)["corruptions"] == 1 + json.loads(
        qcow2("check", "--json", image).out)["corruptions"]
    assert qcow2_ok("check", "--deep", build(PLAIN)).startswith(b"No errors")


def cut(path, n):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - n)


def deep_finds(count, *args):
    """The tables are sound; this many parts of the data are lost."""
    assert qcow2("check", "--json", *args).code == 0
    result = qcow2("check", "--deep", "--json", *args)
    assert result.code == 2 and result.err.count("ERROR ") == count, result
    assert json.loads(result.out)["corruptions"] == count


def test_deep_finds_what_the_file_does_not_have(image):
    """The tables do not show that the file ends inside the last compressed cluster."""
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    qemu_io(image, "write -P 7 0 64k")
    packed = image.with_suffix(".packed")
    qemu_img("convert", "-c", "-O", "qcow2", image, packed)
    data = packed.read_bytes()
    tables = Tables(bytearray(data))
    cut(packed, len(data) - tables.get(tables.l2()) % (1 << 54) - 30)
    deep_finds(1, packed)


def test_deep_finds_what_a_data_file_does_not_have(image, tmp_path):
    data = tmp_path / "d.raw"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={data}", image, "4M")
    qemu_io(image, "write -P 7 0 4M")
    cut(data, 3 * M)
    assert qcow2("check", "--json", image).code == 0
    result = qcow2("check", "--deep", f"--data-file={data}", image)
    assert result.code == 2 and "ERROR " in result.err


def test_deep_finds_what_an_encrypted_image_does_not_have(image, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"pw")
    create_luks(image, "1M", "pw")
    succeed("qemu-io", "--object", "secret,id=s,data=pw", "-c", "write -P 7 0 1M", "--image-opts",
            f"driver=qcow2,file.filename={image},encrypt.key-secret=s")
    args = ("--deep", f"--key-file={key}", image)
    assert qcow2("check", *args).code == 0
    cut(image, 1000)
    assert qcow2("check", image).code == 0
    result = qcow2("check", *args)
    assert result.code == 2 and "ERROR " in result.err


def test_little_memory(damaged):
    """Several passes find the same as one."""
    image = damaged(*(DAMAGE[name] for name in ("refcount 3", "data past the end", "refcount 0")),
                    size=4 * M, cluster=512)
    whole = qcow2("check", "--json", image)
    parts = qcow2("check", "--json", "--memory=1", image)
    assert check_answer(whole) == check_answer(parts) and whole.code == 2


def test_limit_of_reads(build):
    """One for the L1 table, one for the L2 table, one for each 64 of the 512 entries of the refcount table,
    and two each to mark and to compare the refcounts."""
    image = build(PLAIN)
    reads = 1 + 1 + 512 // 64 + 2 + 2
    whole = qcow2("check", "--json", image)
    assert check_answer(qcow2("check", "--json", f"--max-reads={reads}", image)) == check_answer(whole)
    result = qcow2("check", "--json", f"--max-reads={reads - 1}", image)
    assert result.code == 1 and result.out == b""
    assert f"the tables need more than {reads - 1} reads" in result.err


def test_repair_is_refused(build):
    refused(qcow2("check", "-r", "all", build(PLAIN)), "only reads", "qemu-img check -r")


def test_exit_status_of_failures(build, tmp_path):
    assert qcow2("check", "--nonsense", "x").code == 1
    assert qcow2("check", tmp_path / "missing").code == 1
    raw = build(PLAIN)
    for args in (("--memory=0", raw), ("--memory=x", raw), ("--max-reads=0", raw),
                 ("--max-reads=4294967296", raw)):
        assert qcow2("check", *args).code == 1


def test_formats_without_refcounts(build, image):
    """QEMU has an exit status of its own for them."""
    raw = build(PLAIN)
    result = qcow2("check", "--format=raw", raw)
    assert result.code == 63 and "a raw image has nothing to check" in result.err
    qemu_img("create", "-q", "-f", "qcow", image, "1M")
    result = qcow2("check", image)
    assert result.code == 63 and "version 1" in result.err
    assert run("qemu-img", "check", "-f", "qcow", image).code == 63


def test_quiet_and_progress(build):
    image = build(PLAIN)
    assert qcow2("check", "-q", image).out == b""
    assert "100 %" in qcow2("check", "-p", image).err
