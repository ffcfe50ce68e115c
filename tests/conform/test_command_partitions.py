# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The partition tables that `qcow2 info` shows: as sfdisk makes and reads them, and hostile ones."""
import json
import os
import random
import re
import struct
import uuid
import zlib

import pytest

from conform import M, assert_subset, qcow2, qcow2_json, qcow2_ok, qemu_img, succeed

EFI = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SECTOR = 512


UTF8 = dict(os.environ, LC_ALL="C.UTF-8")


def disk_of(path, script, size=100 * M):
    """A raw disk with a partition table that sfdisk makes."""
    with open(path, "wb") as file:
        file.truncate(size)
    succeed("sfdisk", "-q", "--no-tell-kernel", path, stdin=script.encode(), env=UTF8)
    return path


def image_of(disk, *options):
    """A qcow2 image with this disk."""
    image = disk.with_suffix(".qcow2")
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, disk, image)
    return image


def table_of(image):
    return qcow2_json("info", image).get("partition-table")


def text_of(image):
    """The lines about partitions in the text for people."""
    lines = qcow2_ok("info", image).decode().splitlines()
    first = [i for i, line in enumerate(lines) if line.startswith("partitions: ")]
    return lines[first[0]:] if first else []


def sfdisk_table(disk):
    """What sfdisk reads, in our terms."""
    table = json.loads(succeed("sfdisk", "--json", disk, env=UTF8))["partitiontable"]
    gpt = table["label"] == "gpt"
    unit = table.get("sectorsize", SECTOR)
    return {"type": "gpt" if gpt else "mbr", "sector-size": unit, "partitions": [
        {"number": int(re.search(r"\d+$", p["node"])[0]), "start": p["start"] * unit,
         "length": p["size"] * unit, "bootable": p.get("bootable", "Legacy" in p.get("attrs", "")),
         "type": p["type"].lower() if gpt else f"0x{int(p['type'], 16):02x}",
         **({"name": p["name"]} if "name" in p else {})} for p in table["partitions"]]}


SCRIPTS = {
    "MBR": "label: dos\nsize=10M,type=83,bootable\nsize=20M,type=c\nsize=1M,type=82\nsize=3M,type=7\n",
    "one MBR partition": "label: dos\nstart=1,type=8e\n",
    "logical": "label: dos\nsize=5M\nsize=60M,type=f\nsize=2M\n,4M,82\n,8M,fd\n,1M,83\n,2M\n,3M\n",
    "GPT": f"label: gpt\nsize=10M,type=U,name=\"EFI\"\nsize=20M,type=L,name=\"Größe\"\n"
           f"size=1M,type={uuid.UUID(int=7)}\nsize=2M,type=S,attrs=LegacyBIOSBootable\n",
    "gaps in GPT": "label: gpt\n3: size=1M,type=L\n90: size=4M,type=U\n128: size=1M\n",
    "many entries": "label: gpt\ntable-length: 200\n" + "size=16K\n" * 90,
    "empty GPT": "label: gpt\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_sfdisk(name, tmp_path):
    disk = disk_of(tmp_path / "disk", SCRIPTS[name])
    theirs = sfdisk_table(disk) if name != "empty GPT" else {"type": "gpt", "partitions": []}
    for options in ((), ("-c",), ("-o", "cluster_size=512")):
        ours = table_of(image_of(disk, *options))
        assert_subset(theirs, ours)
        assert "problem" not in ours


def test_text(tmp_path):
    disk = disk_of(tmp_path / "disk", SCRIPTS["GPT"])
    assert text_of(image_of(disk)) == [
        "partitions: GPT, sectors of 512 bytes",
        "NUMBER            START           LENGTH      SIZE  TYPE, NAME",
        "1               1048576         10485760    10 MiB  EFI system, EFI",
        "2              11534336         20971520    20 MiB  Linux, Größe",
        "3              32505856          1048576     1 MiB  00000000-0000-0000-0000-000000000007",
        "4              33554432          2097152     2 MiB  Linux swap (bootable)"]
    disk = disk_of(tmp_path / "disk", SCRIPTS["logical"])
    assert text_of(image_of(disk))[:4] == [
        "partitions: MBR, sectors of 512 bytes",
        "NUMBER            START           LENGTH      SIZE  TYPE, NAME",
        "1               1048576          5242880     5 MiB  Linux",
        "2               6291456         62914560    60 MiB  extended"]


def test_no_scan(tmp_path):
    image = image_of(disk_of(tmp_path / "disk", SCRIPTS["MBR"]))
    result = qcow2("info", "--scan", "--no-scan", image)
    assert result.code == 2 and "--scan and --no-scan cannot be combined" in result.err
    text = qcow2_ok("info", "--no-scan", image)
    assert b"partitions" not in text and b"allocated" not in text
    info = qcow2_json("info", "--no-scan", image)
    assert "partition-table" not in info and "usage" not in info


def test_backing_file(tmp_path):
    """The table may be in the backing file: it is not shown from half of the disk."""
    disk = disk_of(tmp_path / "disk", SCRIPTS["MBR"])
    top = tmp_path / "top"
    qemu_img("create", "-q", "-f", "qcow2", "-b", "disk", "-F", "raw", top, "100M")
    assert text_of(top) == ["partitions: unknown without the backing file"]
    assert qcow2_json("info", "--follow", top)["partition-table"] == table_of(image_of(disk))


def test_unreadable_table(tmp_path):
    """A warning, and everything else."""
    image = image_of(disk_of(tmp_path / "disk", SCRIPTS["MBR"]))
    content = bytearray(image.read_bytes())
    l1 = int.from_bytes(content[40:48], "big")
    l2 = int.from_bytes(content[l1:l1 + 8], "big") & (1 << 56) - 1
    content[l2:l2 + 8] = (1 << 63 | 513).to_bytes(8, "big")
    image.write_bytes(content)
    result = qcow2("info", image)
    assert result.code == 0 and b"virtual size: 100 MiB" in result.out, result
    assert "warning: cannot read the partition table: invalid" in result.err, result


# ---- Tables of our own making ----

def gpt(entries, size=M, sector=512, n=128, entry_len=128, **change):
    """A disk with a GPT. change: fields of the header, and list_crc, header_crc, backup=False."""
    disk = bytearray(size)
    last = size // sector - 1
    disk[446:462] = struct.pack("<8B2I", 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, min(last, 0xffffffff))
    disk[510:512] = b"\x55\xaa"
    table = b"".join(entries).ljust(n * entry_len, b"\0")
    list_sectors = -(-len(table) // sector)
    for lba, other, place in ((1, last, 2), (last, 1, last - list_sectors)):
        if lba == last and change.get("backup") is False:
            break
        fields = {"magic": b"EFI PART", "revision": 0x10000, "len": 92, "my": lba, "list": place,
                  "n": n, "entry_len": entry_len, **change}
        header = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", fields["magic"], fields["revision"],
                                       fields["len"], 0, 0, fields["my"], other, 34, last - 34,
                                       bytes(16), fields["list"], fields["n"], fields["entry_len"],
                                       change.get("list_crc", zlib.crc32(table))))
        header += bytes(min(fields["len"], sector) - len(header)) if fields["len"] > 92 else b""
        crc = change.get("header_crc", zlib.crc32(header[:fields["len"]]))
        header[16:20] = struct.pack("<I", crc)
        disk[lba * sector:lba * sector + len(header)] = header
        disk[place * sector:place * sector + len(table)] = table
    return disk


def entry(first=34, last=99, name="a", kind=LINUX, attributes=0):
    raw_name = name if isinstance(name, bytes) else name.encode("utf-16-le")
    return struct.pack("<16s16sQQQ72s", uuid.UUID(kind).bytes_le, bytes(16), first, last, attributes,
                       raw_name)


def info_of(tmp_path, disk):
    (tmp_path / "disk").write_bytes(disk)
    return table_of(image_of(tmp_path / "disk"))


@pytest.mark.parametrize("form", (
    {}, {"sector": 4096}, {"entry_len": 256}, {"entry_len": 4096, "n": 8}, {"len": 512},
    {"n": 1}, {"n": 300}), ids=str)
def test_gpt_forms(form, tmp_path):
    entry_len = form.get("entry_len", 128)
    table = info_of(tmp_path, gpt([entry().ljust(entry_len, b"\0")], **form))
    unit = form.get("sector", 512)
    assert table == {"type": "gpt", "sector-size": unit, "partitions": [
        {"number": 1, "start": 34 * unit, "length": 66 * unit, "type": LINUX, "type-name": "Linux",
         "name": "a", "bootable": False}]}


BACKUP = "the table is damaged; this is its backup"
BOTH = "the table and its backup are damaged"


@pytest.mark.parametrize("change", (
    {"list_crc": 1}, {"header_crc": 1}, {"magic": b"EFI PARD"}, {"len": 91}, {"len": 0},
    {"len": 513}, {"len": 0xffffffff}, {"my": 2}, {"n": 0xffffffff}, {"n": 4097}, {"entry_len": 0},
    {"entry_len": 64}, {"entry_len": 129}, {"entry_len": 8192}, {"entry_len": 0x80000000},
    {"list": 0xffffffffffffffff}, {"list": 2047}, {"list": 2049}), ids=str)
def test_damaged_gpt(change, tmp_path):
    if change.get("entry_len") == 8192:
        change = {**change, "n": 1}
    parts = {"n": 128, "entry_len": 128}
    disk = gpt([entry()], **{k: v for k, v in change.items() if k not in parts})
    for at, size in ((80, "n"), (84, "entry_len")):
        for lba in (1, 2047):
            if size in change:
                disk[lba * 512 + at:lba * 512 + at + 4] = struct.pack("<I", change[size])
    for lba in (1, 2047):
        if "header_crc" not in change and change.get("len", 92) == 92:
            header = disk[lba * 512:lba * 512 + 92]
            header[16:20] = bytes(4)
            disk[lba * 512 + 16:lba * 512 + 20] = struct.pack("<I", zlib.crc32(header))
    assert info_of(tmp_path, disk) == {"type": "gpt", "sector-size": 512, "problem": BOTH,
                                       "partitions": []}


def test_backup(tmp_path):
    disk = gpt([entry()])
    disk[1024] ^= 1
    table = info_of(tmp_path, disk)
    assert table["problem"] == BACKUP and len(table["partitions"]) == 1
    disk = gpt([entry()], sector=4096)
    disk[4096:8192] = bytes(4096)
    table = info_of(tmp_path, disk)
    assert table["problem"] == BACKUP and table["sector-size"] == 4096


def test_protected_twice(tmp_path):
    """Two entries of the MBR say that there is a GPT: its partitions are shown once."""
    disk = gpt([entry()])
    disk[462:478] = disk[446:462]
    assert [p["number"] for p in info_of(tmp_path, disk)["partitions"]] == [1]


@pytest.mark.parametrize("first, last, shown", (
    (0, 0, True), (5, 4, False), (0, (1 << 64) - 1, False), ((1 << 64) - 1, (1 << 64) - 1, False),
    (1, (1 << 55) - 2, True), (1, (1 << 55) - 1, False), (1 << 40, 1 << 41, True)))
def test_gpt_extremes(first, last, shown, tmp_path):
    table = info_of(tmp_path, gpt([entry(first, last), entry()]))
    assert len(table["partitions"]) == 1 + shown
    assert table.get("problem") == (None if shown else "an entry of the table is damaged")
    if shown:
        assert table["partitions"][0]["length"] == (last - first + 1) * 512
        lines = text_of(tmp_path / "disk.qcow2")
        assert ("(past the end of the disk)" in lines[2]) == (last >= 2048)


NAMES = {"x" * 36: None, "\U0001f600" * 18: None, "€" * 36: None, "é": None,
         b"\x3d\xd8a\0": "\ufffda", b"\0\xde\x3d\xd8": "\ufffd\ufffd",
         b"a\0" * 35 + b"\x3d\xd8": "a" * 35 + "\ufffd", "a\nb": None, "\u202e": None}


@pytest.mark.parametrize("name", NAMES)
def test_names(name, tmp_path):
    want = NAMES[name] or name
    assert info_of(tmp_path, gpt([entry(name=name)]))["partitions"][0]["name"] == want
    line = text_of(tmp_path / "disk.qcow2")[-1]
    assert "\n" not in line and "\u202e" not in line
    assert line.endswith("Linux, " + want.replace("\n", "\\x0a").replace("\u202e", "\\xe2\\x80\\xae"))


def test_too_many_partitions(tmp_path):
    table = info_of(tmp_path, gpt([entry()] * 300, n=300))
    assert len(table["partitions"]) == 256 and table["problem"] == "the table has too many partitions"


def mbr(*entries, size=M):
    disk = bytearray(size)
    put_table(disk, 0, entries)
    return disk


def put_table(disk, sector, entries):
    for i, (flag, kind, start, length) in enumerate(entries):
        at = sector * 512 + 446 + 16 * i
        disk[at:at + 16] = struct.pack("<B3sB3sII", flag, bytes(3), kind, bytes(3), start, length)
    disk[sector * 512 + 510:sector * 512 + 512] = b"\x55\xaa"


@pytest.mark.parametrize("disk", (
    bytes(M), mbr((0, 0, 0, 0)), mbr((1, 0x83, 1, 1)), mbr((0x80, 0x83, 0, 1)), mbr((0, 0x83, 1, 0)),
    mbr((0, 0x83, 1, 1))[:510] + bytes(M - 510)), ids=("zeros", "no entry", "flag", "start", "length",
                                                       "signature"))
def test_no_table(disk, tmp_path):
    assert info_of(tmp_path, disk) is None


@pytest.mark.parametrize("size", (0, 1, 511, 512, 513, 1024, 4096))
def test_tiny_disks(size, tmp_path):
    for disk in (mbr((0, 0x83, 1, 7)), mbr((0, 0xee, 1, 7)), mbr((0, 5, 1, 7))):
        (tmp_path / "disk").write_bytes(disk[:size])
        qcow2_ok("info", image_of(tmp_path / "disk"))


def test_mbr_extremes(tmp_path):
    table = info_of(tmp_path, mbr((0, 0x99, 0xffffffff, 0xffffffff)))
    assert table["partitions"] == [{"number": 1, "start": 0xffffffff * 512, "bootable": False,
                                    "length": 0xffffffff * 512, "type": "0x99"}]


LOGICAL = {
    "a loop": ({10: [(0, 0x83, 1, 1), (0, 5, 0, 1)]}, 1, "the list of logical partitions is a loop"),
    "outside": ({10: [(0, 0x83, 1, 1), (0, 5, 0xfffffff0, 1)]}, 1,
                "a logical partition is outside the disk"),
    "no signature": ({10: [(0, 0x83, 1, 1), (0, 5, 5, 1)]}, 1,
                     "the list of logical partitions is damaged"),
    "too many": ({10 + i: [(0, 0x83, 1, 1), (0, 5, i + 1, 1)] for i in range(200)}, 128,
                 "the table has too many logical partitions"),
}


@pytest.mark.parametrize("name", LOGICAL)
def test_logical(name, tmp_path):
    tables, n, problem = LOGICAL[name]
    disk = mbr((0, 0x0f, 10, 500))
    for sector, entries in tables.items():
        put_table(disk, sector, entries)
    table = info_of(tmp_path, disk)
    assert table["problem"] == problem and len(table["partitions"]) == n + 1


def test_gpt_without_a_header_is_mbr_or_gpt(tmp_path):
    """A protective MBR without a GPT is damage, not a disk with one partition."""
    table = info_of(tmp_path, mbr((0, 0xee, 1, 2047)))
    assert table == {"type": "gpt", "sector-size": 512, "problem": BOTH, "partitions": []}


def test_mutants(tmp_path):
    """Random changes of the tables: always JSON, never more than a warning."""
    rng = random.Random(1)
    seeds = [gpt([entry(), entry(200, 300)]), mbr((0, 5, 10, 99), (0x80, 0x83, 3, 4))]
    put_table(seeds[1], 10, [(0, 0x83, 1, 1), (0, 5, 5, 1)])
    put_table(seeds[1], 15, [(0, 0x83, 1, 1)])
    for i in range(16):
        disk = bytearray(seeds[i % 2])
        for _ in range(rng.randrange(1, 12)):
            place = rng.choice((446, 512, 1024, M - 512, 10 * 512 + 446, 15 * 512 + 446))
            disk[place + rng.randrange(64)] = rng.randrange(256)
        info_of(tmp_path, disk)
