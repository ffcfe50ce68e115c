# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 snapshots`, and the snapshots that `qcow2 info` lists."""
import json
import struct
import unicodedata

from conform import K, qcow2, qcow2_json, qcow2_ok, qemu_info, refused, run
from info_text import V3, assert_info, assert_warned

LISTED = """\
snapshot 1 first disk_size=64k date_sec=86400 date_nsec=5 vm_clock=3723004000001
active
snapshot twelve12 "a name" extra=24 icount=77 vm_state_large=5000000000 vm_clock=0 date_sec=0xffffffff
active
"""


def test_list(build, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    image = build(V3 + LISTED)
    table = (
        "ID    DATE                VM CLOCK         VM STATE         DISK  NAME\n"
        "1     1970-01-02 00:00:00 01:02:03.004            0        65536  first\n"
        "twelve12 2106-02-07 06:28:15 00:00:00.000   5000000000        65536  a name\n")
    assert qcow2_ok("snapshots", image).decode() == table
    assert_info(image, "snapshots:", table[:-1])
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


def test_no_such_snapshot(build):
    image = build('size 64k\nsnapshot 1 first\nactive\nsnapshot 2 "the second"\nactive\n')
    assert [s["name"] for s in qcow2_json("snapshots", image)] == ["first", "the second"]
    refused(qcow2("cat", "--snapshot", "third", image), "snapshot")


def test_snapshots_past_the_end(build):
    image = build(V3 + "snapshot 1 one\nactive\nlayout\nput64 64 0x7000000\n")
    listed = qcow2("snapshots", image)
    refused(listed, "the snapshot table at file offset 117440512 is past the end of the file")
    message = listed.err.split(f"qcow2: {image}: ")[1]
    info = assert_warned(image, f"cannot list the snapshots: {message}")
    assert "snapshots" not in info and info["header"]["snapshots"] == 1


def test_snapshot_table_of_64_MiB(build):
    """As in QEMU, a snapshot table has at most 64 MiB, which limits the memory for names."""
    image = build("size 64k\n")
    entry = bytes(12) + b"\xff\xff\xff\xff" + bytes(24)
    step = (40 + 2 * 65535 + 7) // 8 * 8
    with open(image, "r+b") as file:
        file.seek(60)
        file.write((600).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big"))
        for i in range(600):
            file.seek((1 << 20) + i * step)
            file.write(entry)
        file.truncate((1 << 20) + 600 * step)
    refused(qcow2("snapshots", image), "snapshot table is larger than 64 MiB")
    assert b"too big" in run("qemu-img", "info", image).err.encode()
    assert len(qcow2_ok("cat", image)) == 64 * K


# Format characters that came with Unicode 15, for a Python that knows only 14.
NEW_FORMAT = range(0x13430, 0x13440)


def ignored_by_default(c):
    """Other_Default_Ignorable_Code_Point, and what is reserved for such characters."""
    return (c in (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0) or
            any(first <= c <= last for first, last in (
                (0x180B, 0x180F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))))


def must_be_escaped(c):
    return (unicodedata.category(chr(c)) in ("Cc", "Cf", "Zl", "Zp") or ignored_by_default(c) or
            c in NEW_FORMAT or c & 0xFFFE == 0xFFFE or 0xFDD0 <= c <= 0xFDEF)


def named(names):
    """Snapshots with these names, for an image that build() made."""
    table = b""
    for name in names:
        entry = struct.pack(">QIHHIIQII", 1 << 16, 1, 1, len(name), 0, 0, 0, 0, 0) + b"1" + name
        table += entry.ljust(-(-len(entry) // 8) * 8, b"\0")
    return table


def test_names_of_all_characters(build):
    """Text has each character as it is or escaped, by its properties. JSON has the exact name."""
    shown = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    names = ["".join(map(chr, shown[i:i + 16000])).encode() for i in range(0, len(shown), 16000)]
    image = build("size 64k\n")
    with open(image, "r+b") as file:
        at = file.seek(0, 2) + 65535 & ~65535
        file.seek(at)
        file.write(named(names))
        file.seek(60)
        file.write(struct.pack(">IQ", len(names), at))
    lines = qcow2_ok("snapshots", image).decode().split("\n")[1:-1]
    assert len(lines) == len(names)
    for name, line in zip(names, lines):
        want = "".join("".join(f"\\x{b:02x}" for b in c.encode()) if must_be_escaped(ord(c)) else c
                       for c in name.decode())
        assert line.endswith("  " + want)
    assert [s["name"].encode() for s in qcow2_json("snapshots", image)] == names
    assert_clean(qcow2_ok("snapshots", "--json", image))


def assert_clean(text):
    assert not any(must_be_escaped(ord(c)) and c != "\n" for c in text.decode())
