# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The state of a machine that was saved with a snapshot: --vm-state.

QEMU cannot read it from a file, so the images are crafted, and the expected bytes come from the
disk: the same clusters are at the beginning of the disk of a second snapshot.
tests/firmware/run-vm-state.sh has the states of real machines.
"""
import pytest

from conform import K, M, qcow2, qcow2_json, qcow2_ok, refused

# An L2 table maps 2 MiB. The state begins at the next one after the disk: at cluster 1024.
CLUSTERS = "data", "compressed", "zero", "absent", "data"


def stated(keys, first=1024, version=3, after="active\n"):
    """A recipe with a snapshot that has a state, and one whose disk has the same clusters."""
    clusters = "".join(f"l2 {first + i} {kind}\n" for i, kind in enumerate(CLUSTERS) if kind != "absent")
    return (f"version {version}\ncluster_bits 12\nsize 3M\nl2 0 data\n"
            f"snapshot 1 saved {keys}\nl1_entries 4\n{clusters}{after}")


def state_of(image, *options):
    return qcow2_ok("cat", "--snapshot", "saved", "--vm-state", *options, image)


@pytest.mark.parametrize("keys, size", [
    ("extra=0 vm_state_size=17000", 17000), ("extra=0 vm_state_size=20480", 20480),
    ("extra=16 disk_size=3M vm_state_size=1 vm_state_large=17000", 17000),
    ("extra=24 disk_size=2098176 vm_state_large=1", 1),
    ("extra=8 vm_state_large=2M", 2 * M)])
def test_state(keys, size, build):
    image = build(stated(keys, version=3))
    state = state_of(image)
    assert len(state) == size
    # The writer fills a cluster with a pattern of its offset, so a disk that is long enough shows it.
    grown = build(stated("extra=16 disk_size=6M"), "grown.qcow2")
    disk = qcow2_ok("cat", "--snapshot", "saved", grown)
    assert state == disk[4 * M:4 * M + size] and any(state)
    out = image.with_name("state")
    qcow2_ok("convert", "--snapshot", "saved", "--vm-state", image, out)
    assert out.read_bytes() == state
    out.write_bytes(state + bytes(1))
    compare = ("compare", "-l", "1", "--vm-state", "-F", "raw", image, out)
    assert qcow2(*compare).code == 0
    assert qcow2("compare", "-F", "qcow2", "--snapshot-b=1", "--vm-state-b", "-f", "raw", out, image).code == 0
    out.write_bytes(bytes([state[0] ^ 1]) + state[1:])
    assert qcow2(*compare).code == 1


def test_map(build):
    image = build(stated("disk_size=3M vm_state_large=20480"))
    mapped = qcow2_json("map", "--snapshot", "saved", "--vm-state", image)
    assert [(e["start"], e["length"], e["data"], e["compressed"], e["zero"]) for e in mapped] == [
        (0, 4 * K, True, False, False), (4 * K, 4 * K, True, True, False), (8 * K, 4 * K, False, False, True), (12 * K, 4 * K, False, False, True),
        (16 * K, 4 * K, True, False, False)]


def test_no_backing_file_is_needed(build):
    """The state was never in a backing file, so the image alone has all of it."""
    image = build(stated("disk_size=3M vm_state_large=17000").replace(
        "size 3M\n", 'size 3M\nbacking "missing" raw\n'))
    assert len(state_of(image)) == 17000
    refused(qcow2("cat", "--snapshot", "saved", image), "--backing")
    refused(qcow2("cat", "-l", "1", "--vm-state", "--backing=x,raw", image), "that no image needs")


def test_refused(build):
    refused(qcow2("cat", "-l", "1", "--vm-state", build(stated("vm_state_large=0"))),
            "the snapshot has no saved state of the machine")
    image = build(stated("disk_size=3M vm_state_large=0x400001"))
    refused(qcow2("cat", "-l", "1", "--vm-state", image),
            "too short for the 4194305 bytes of its saved state")
    refused(qcow2("cat", "-l", "snapshot.id=2", "--vm-state", image), "no snapshot with this id")
    assert qcow2("cat", "--vm-state", image).code == 2


def test_damage(build):
    """A bad entry loses its cluster, and --salvage writes the rest."""
    image = build(stated("disk_size=3M vm_state_large=20480", after="l2 1025 raw 0x10200\nactive\n"))
    result = qcow2("cat", "-l", "1", "--vm-state", image)
    refused(result, "disk offset 4096")
    good = state_of(build(stated("disk_size=3M vm_state_large=20480"), "good.qcow2"))
    saved = qcow2("cat", "-l", "1", "--vm-state", "--salvage", image)
    assert saved.code == 3 and saved.out == good[:4096] + bytes(4096) + good[8192:]
