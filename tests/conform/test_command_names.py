# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Files that an image names: which the command opens, with which options, and which it refuses."""
import ctypes
import json
import os
import sys

import pytest

from conform import K, make, make_chain, qcow2, qcow2_json, qcow2_ok, refused

COMMANDS = ("info", "map", "cat", "convert", "snapshots")


def overlay(build, backing, form="raw", name="top.qcow2"):
    return build(f'size 64k\nbacking "{backing}" {form}\n', name)


def test_needs_its_backing_file(build):
    image = overlay(build, "base.raw")
    for command in ("cat", "map"):
        refused(qcow2(command, image), "base.raw", "--follow", "--backing", "--layer-only")
    assert qcow2_ok("cat", "--layer-only", image) == bytes(64 * K)
    assert qcow2_json("info", image)["backing-filename"] == "base.raw"


def test_needs_its_data_file(build):
    image = build('cluster_bits 12\nsize 64k\ndata_file "disk.raw"\nl2 0-3 data\n')
    refused(qcow2("cat", image), "disk.raw", "--follow", "--data-file")
    assert qcow2_ok("cat", "--follow", image) == qcow2_ok(
        "cat", "--data-file", image.with_name("disk.raw"), image)


IN_OPEN = 0x20


class OpenWatch:
    """Reports which files in a directory are opened. Uses inotify(7)."""

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.fd >= 0, os.strerror(ctypes.get_errno())
        assert libc.inotify_add_watch(self.fd, os.fsencode(directory), IN_OPEN) >= 0

    def opened(self):
        names, events = set(), b""
        try:
            events = os.read(self.fd, 65536)
        except BlockingIOError:
            pass
        while events:
            length = int.from_bytes(events[12:16], sys.byteorder)
            names.add(os.fsdecode(events[16:16 + length].rstrip(b"\0")))
            events = events[16 + length:]
        return names


NAMING = {
    "backing file": 'size 64k\nbacking "named" qcow2\n',
    "raw backing file": 'size 64k\nbacking "named" raw\n',
    "backing file without format": 'size 64k\nbacking "named"\n',
    "data file": 'cluster_bits 12\nsize 64k\ndata_file "named"\nl2 0-3 data\n',
}


@pytest.mark.parametrize("what", NAMING)
def test_nothing_is_opened_unasked(what, build):
    image = build(NAMING[what], "top.qcow2")
    image.with_name("named").write_bytes(bytes(64 * K))
    watch = OpenWatch(image.parent)
    for command in COMMANDS:
        for options in ([], ["--layer-only"], ["--allow-truncated"], ["--backing-format=raw"]):
            more = [image.with_name("out")] if command == "convert" else []
            qcow2(command, *options, image, *more)
    opened = watch.opened()
    assert "top.qcow2" in opened and "named" not in opened, opened
    qcow2("cat", "--follow", "--backing-format=raw", image)
    assert "named" in watch.opened()


def test_fifo_as_backing_file(build):
    """The command does not wait for a writer, and the message names the FIFO."""
    image = overlay(build, "fifo")
    os.mkfifo(image.with_name("fifo"))
    refused(qcow2("cat", "--follow", image), "backing file", "fifo", "is a pipe")


@pytest.mark.parametrize("n", (256, 257))
def test_depth(n, tmp_path):
    """A chain may have 256 files and not more."""
    result = qcow2("cat", "--follow", make_chain(tmp_path, n))
    if n == 256:
        assert result.out == qcow2_ok("cat", tmp_path / "000"), result
    else:
        refused(result, "256")


FOLLOW = {"base": True, "sub/base": True, "./base": True, "../outside": False, "link": False,
          "sublink/base": False, "/etc/hostname": False, "nbd://localhost/x": False,
          "json:{}": False, "missing": False}


@pytest.mark.parametrize("name", FOLLOW)
def test_follow(name, build, tmp_path):
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    for place in (home / "base", home / "sub/base", tmp_path / "outside"):
        place.write_bytes(b"x" * 512)
    (home / "link").symlink_to("base")
    (home / "sublink").symlink_to("sub")
    image = make('size 64k\nbacking "%s" raw\n' % name.replace('"', '\\"'), home / "top.qcow2")
    result = qcow2("cat", "-n", "1", "--follow", image)
    assert (result.code == 0) == FOLLOW[name], result
    if FOLLOW[name]:
        assert result.out == b"x"
    else:
        refused(result, name.split("{")[0])


def test_follow_any_last_counts(build, tmp_path):
    (tmp_path / "outside").write_bytes(b"y" * 512)
    home = tmp_path / "home"
    home.mkdir()
    image = make('size 64k\nbacking "../outside" raw\n', home / "top.qcow2")
    assert qcow2_ok("cat", "-n", "1", "--follow", "--follow=any", image) == b"y"
    refused(qcow2("cat", "--follow=any", "--follow", image), "outside")


def test_format_is_never_guessed(build):
    image = build('size 64k\nbacking "base"\n', "top.qcow2")
    image.with_name("base").write_bytes(b"z" * 512)
    refused(qcow2("cat", "--follow", image), "format")
    assert qcow2_ok("cat", "-n", "1", "--follow", "--backing-format", "raw", image) == b"z"
    assert qcow2_ok("cat", "-n", "1", "--backing", f"{image.with_name('base')},raw", image) == b"z"


def test_loop(build):
    image = overlay(build, "top.qcow2", "qcow2")
    refused(qcow2("cat", "--follow", image), "backing chain")


def test_evil_names(build):
    image = build('size 64k\nbacking "a\\x1b[31m\\x07\\xff\\x0a\\"b" raw\n')
    shown = qcow2_ok("info", image)
    assert b"\x1b" not in shown and b"\x07" not in shown
    assert json.loads(qcow2_ok("info", "--json", image))["backing-filename-format"] == "raw"
    refused(qcow2("cat", image), "--follow")
