# SPDX-License-Identifier: MIT
"""`qcow2 snapshots`, and the snapshots that `qcow2 info` lists."""
import json

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
