# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The habits of users of qemu-img: its options, and its commands that this program does not have."""
import json

import pytest

from conform import (assert_subset, make_chain, qcow2, qcow2_json, qcow2_ok, qemu_img, qemu_io,
                     refused, write_file)

SNAPSHOTS = "\n".join(["version 3", "cluster_bits 12", "size 8k", 'l2 0 data as one',
                       'snapshot 1 first', 'snapshot 7 1', 'active', ''])


@pytest.mark.parametrize("command", ("info", "map", "snapshots"))
def test_output(command, build):
    image = build(SNAPSHOTS)
    for option in ("--output=json", "--output json"):
        assert qcow2_ok(command, *option.split(), image) == qcow2_ok(command, "--json", image)
    assert qcow2_ok(command, "--json", "--output=human", image) == qcow2_ok(command, image)
    result = qcow2(command, "--output=xml", image)
    assert result.code == 2 and "--output: xml; expected json or human\n" in result.err


@pytest.mark.parametrize("command", ("info", "map", "cat", "snapshots"))
def test_options_that_change_nothing(command, build):
    image = build(SNAPSHOTS)
    for options in (("-f", "qcow2"), ("-U",), ("--force-share", "--format=qcow2")):
        assert qcow2_ok(command, *options, image) == qcow2_ok(command, image)
    result = qcow2(command, "-f", "vmdk", image)
    assert result.code == 2 and "-f: vmdk; expected raw, qcow2 or qcow" in result.err


def test_raw_image(tmp_path):
    """-f raw reads the file as the disk, even if it begins like an image."""
    image = write_file(tmp_path / "image", b"QFI\xfb\0\0\0\3" + bytes(8184) + b"x" * 4096 + bytes(4096))
    assert qcow2_ok("cat", "-f", "raw", image) == image.read_bytes()
    theirs = json.loads(qemu_img("map", "-f", "raw", "--output=json", image))
    assert_subset(theirs, qcow2_json("map", "-f", "raw", image))
    theirs = json.loads(qemu_img("info", "-f", "raw", "--output=json", image))
    assert_subset({key: theirs[key] for key in theirs if key not in ("children", "format-specific")},
                  qcow2_json("info", "-f", "raw", image))
    assert b"\nformat: raw\nvirtual size: 16 KiB (16384 bytes)\n" in qcow2_ok("info", "-f", "raw", image)
    out = tmp_path / "out"
    qcow2_ok("convert", "-f", "raw", "-O", "raw", image, out)
    assert out.read_bytes() == image.read_bytes()
    assert qcow2_json("snapshots", "-f", "raw", image) == []


def test_convert_as_with_qemu_img(build, tmp_path):
    image, out, expected = build(SNAPSHOTS), tmp_path / "out", tmp_path / "expected"
    command = ("convert", "-f", "qcow2", "-O", "raw", "-U", "-q")
    qcow2_ok(*command, image, out)
    qemu_img(*command, image, expected)
    assert out.read_bytes() == expected.read_bytes()
    result = qcow2("convert", "-O", "vmdk", image, out)
    assert result.code == 2 and "-O: vmdk; expected raw, the only format that is written" in result.err


def test_offset_is_skip(build):
    image = build(SNAPSHOTS)
    assert qcow2_ok("cat", "--offset=1k", image) == qcow2_ok("cat", "--skip=1k", image)


@pytest.mark.parametrize("wanted", ("1", "first", "7", "snapshot.id=1", "snapshot.name=1",
                                    "snapshot.id=7,snapshot.name=1", "snapshot.name=first"))
def test_snapshot_by_id_and_name(wanted, tmp_path):
    """A name that is also the id of another snapshot; qemu-img finds the same snapshots."""
    image = tmp_path / "disk"
    qemu_img("create", "-f", "qcow2", image, "64k")
    for i, name in enumerate(("first", "1", "a,b")):
        qemu_io(image, f"write -P {i + 1} 0 64k")
        qemu_img("snapshot", "-c", name, image)
    ids = {s["name"]: s["id"] for s in qcow2_json("snapshots", image)}
    wanted = wanted.replace("7", ids["1"])
    qemu_img("convert", "-O", "raw", "-l", wanted, image, tmp_path / "expected")
    assert qcow2_ok("cat", "-l", wanted, image) == (tmp_path / "expected").read_bytes()
    assert qcow2_ok("cat", "-l", "snapshot.name=a,,b", image) == b"\x03" * 65536
    for missing in ("snapshot.id=first", "snapshot.id=1,snapshot.name=1", "snapshot.name="):
        refused(qcow2("cat", "-l", missing, image), "the image has no snapshot with this id or name")
    for wrong in ("snapshot.", "snapshot.id", "snapshot.id=1,", "snapshot.id=1,name=first"):
        result = qcow2("cat", "-l", wrong, image)
        assert result.code == 2 and f"-l: {wrong}; expected an id, a name, " in result.err


def chain_of_qemu(tmp_path):
    """A raw file, an image with a snapshot above it in a folder, and one on top; "top" is returned."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below/base").write_bytes(bytes(65536) + b"x" * 65536)
    for name, below, form in (("below/middle", "base", "raw"), ("top", "below/middle", "qcow2")):
        qemu_img("create", "-f", "qcow2", "-b", below, "-F", form, tmp_path / name)
    qemu_img("snapshot", "-c", "saved", tmp_path / "below/middle")
    return tmp_path / "top"


@pytest.mark.parametrize("place", ("top", "./top", "absolute"))
def test_backing_chain(place, tmp_path):
    top = chain_of_qemu(tmp_path)
    path = top if place == "absolute" else place
    ours = json.loads(qcow2_ok("info", "--backing-chain", "--output=json", path, cwd=tmp_path))
    theirs = json.loads(qemu_img("info", "--backing-chain", "--output=json", path, cwd=tmp_path))
    assert [layer["format"] for layer in ours] == ["qcow2", "qcow2", "raw"]
    assert_subset(theirs, ours)
    text = qcow2_ok("info", "--backing-chain", path, cwd=tmp_path).decode().split("\n\n")
    assert [part.split("\n")[0] for part in text] == [f"image: {one['filename']}" for one in theirs]


def test_backing_chain_opens_what_may_be_opened(tmp_path, build):
    top = chain_of_qemu(tmp_path)
    alone = json.loads(qcow2_ok("info", "--backing-chain", "--json", "--layer-only", top))
    assert [layer["filename"] for layer in alone] == [str(top)]
    given = json.loads(qcow2_ok("info", "--backing-chain", "--json", top, "--backing",
                                f"{tmp_path}/below/middle,qcow2"))
    assert len(given) == 3
    outside = tmp_path / "below/overlay"
    qemu_img("create", "-f", "qcow2", "-u", "-b", "../top", "-F", "qcow2", outside, "64k")
    refused(qcow2("info", "--backing-chain", outside), "use --follow=any")
    assert len(json.loads(qcow2_ok("info", "--backing-chain", "--json", "--follow=any", outside))) == 4


def test_long_backing_chain(tmp_path):
    top = make_chain(tmp_path, 256)
    assert len(json.loads(qcow2_ok("info", "--json", "--backing-chain", top))) == 256


@pytest.mark.parametrize("command", "amend bench bitmap commit create dd measure rebase resize "
                         "snapshot".split())
def test_commands_of_qemu_img(command):
    result = qcow2(command, "disk")
    assert result.code == 2 and result.out == b"" and result.err.count("\n") == 1, result
    assert result.err.startswith(f"qcow2: {command}: this program only reads images; '")


def test_every_command_of_qemu_img():
    """Each is here, or a message says what comes nearest."""
    lines = qemu_img("--help").decode().split("Command syntax:")[1].split("Command parameters:")[0]
    commands = {line.split()[0] for line in lines.splitlines() if line.startswith("  ")}
    assert len(commands) > 10, commands
    unknown = {name for name in commands if "unknown command" in qcow2(name, "--help").err}
    assert unknown == set()


@pytest.mark.parametrize("args, options", [
    (("cat", "--fo", "x"), "--force, --format, --force-share, --follow"),
    (("map", "--back=x", "x"), "--backing, --backing-format")])
def test_ambiguous_abbreviation(args, options):
    result = qcow2(*args)
    assert result.code == 2 and f"ambiguous option: {args[1]}; it may be {options}\n" in result.err


def test_abbreviation(build):
    image = build(SNAPSHOTS)
    assert qcow2_ok("cat", "--le=1", image) == qcow2_ok("cat", "--length=1", image)
    assert qcow2_ok("info", "--backing-ch", image) == qcow2_ok("info", image)
