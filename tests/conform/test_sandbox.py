# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The sandbox: what the command can still do once its files are open.

qcow2-wild (wild.c) is the command, which tries to do harm while it reads. It is not in the runs with
sanitizers, because these builds have no filter of system calls.
"""
import ctypes
import errno
import os
import platform
import re
from pathlib import Path

import pytest

from conform import QCOW2, make, qcow2_ok, run, start, succeed
from test_command_attach import kernel  # pylint: disable=unused-import

WILD = str(Path(QCOW2).resolve().parent / "tests/conform/qcow2-wild")
COMMANDS = {
    "cat": ("cat", "disk.qcow2"), "map": ("map", "disk.qcow2"), "info": ("info", "disk.qcow2"),
    "snapshots": ("snapshots", "disk.qcow2"), "info of two": ("info", "disk.qcow2", "disk.qcow2"),
    "compare": ("compare", "disk.qcow2", "disk.qcow2"), "convert": ("convert", "disk.qcow2", "out"),
    "convert over": ("convert", "disk.qcow2", "old"),
    "convert in place": ("convert", "--in-place", "disk.qcow2", "old"),
    "picture": ("map", "--picture", "disk.qcow2"),
    "picture to a file": ("map", "--svg", "new", "disk.qcow2"),
}
# Clusters of all kinds, a second L2 table and a snapshot, so that each command reads after it has
# opened the image; and compressed clusters, for which convert starts threads.
DISK = "cluster_bits 12\nsize 8M\nl2 0-3 data\nl2 600-1400 compressed\nsnapshot 1 first\nactive\n"
NAMES = ("rename", "unlink", "mkdir", "symlink")
# Without a sandbox these fail for another reason: no such program, an invalid size, no terminal, no
# device.
HARMLESS = {"execute": errno.ENOENT, "clone3": errno.EINVAL, "type": errno.ENOTTY,
            "zero": errno.ENOTTY}
SYSCALL_LANDLOCK_CREATE_RULESET = 444
LANDLOCK = ctypes.CDLL(None).syscall(SYSCALL_LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


only_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64",
                                 reason="the filter of system calls exists for x86-64 only")


@pytest.fixture
def place(image, tmp_path):
    """A directory with an image, an output file and files to do harm to. Changes to it."""
    make(DISK, image)
    (tmp_path / "old").write_bytes(b"old content")
    (tmp_path / "other").write_bytes(b"other content")
    (tmp_path / "elsewhere").mkdir()
    for name in ("file", "doomed"):
        (tmp_path / "elsewhere" / name).write_bytes(b"")
    return tmp_path


def attempts(place, *args):
    """Runs the command taken over. Returns a dict of the attempts for each thread that made some."""
    # No directory of the attempts is below that of the output: Landlock allows renames there.
    work = place / "work"
    if not work.exists():
        work.mkdir()
        for name in ("disk.qcow2", "old"):
            (place / name).rename(work / name)
        (work / "elsewhere").symlink_to("../elsewhere")
    done = run(WILD, *args, cwd=work, env=dict(os.environ, QCOW2_WILD=str(place / "other")))
    assert done.code == 0, done
    lines = [line for line in done.err.splitlines() if line.startswith("open ")]
    assert lines and len(lines) == len(done.err.splitlines()), done
    return [{name: int(error) for name, error in re.findall(r"([a-z ]+[3]?) (\d+);", line)}
            for line in lines]


@only_x86_64
@pytest.mark.parametrize("name", COMMANDS)
def test_refused(name, place):
    """In each thread, each attempt fails, and nothing outside the output has changed."""
    for got in attempts(place, *COMMANDS[name]):
        want = dict.fromkeys(got, errno.EPERM)
        want["clone3"] = errno.ENOSYS
        if name in ("convert", "convert over", "picture to a file"):  # it renames; Landlock limits where
            want["rename"] = want["unlink"] = errno.EACCES if LANDLOCK else 0
        assert got == want
    assert (place / "other").read_bytes() == b"other content"
    if LANDLOCK:
        assert sorted(os.listdir(place / "elsewhere")) == ["doomed", "file"]


@only_x86_64
def test_device(place):
    """It may zero ranges of the device that it writes to, but of nothing else."""
    device_file = place / "device"
    os.truncate(os.open(device_file, os.O_CREAT | os.O_RDWR), 8 << 20)
    device = succeed("losetup", "-f", "--show", device_file).decode().strip()
    try:
        for got in attempts(place, "convert", "disk.qcow2", device):
            assert got == dict.fromkeys(got, errno.EPERM) | {"clone3": errno.ENOSYS}
        with open(device, "rb") as file:
            assert file.read() == qcow2_ok("cat", place / "work/disk.qcow2")
    finally:
        succeed("losetup", "-d", device)


@only_x86_64
def test_helpers_are_inside(place):
    """The threads that convert starts make attempts as well. On a busy machine the first thread may be
    done before they begin, so the test repeats this."""
    least = min(os.cpu_count(), 2)
    for _ in range(1000):
        threads = attempts(place, *COMMANDS["convert"])
        if len(threads) >= least:
            break
    assert least <= len(threads) <= 4
    assert all(got["open"] == errno.EPERM for got in threads)


@pytest.mark.parametrize("name", COMMANDS)
def test_attempts(name, place):
    """Without a sandbox the attempts succeed: it is the sandbox that refuses them."""
    got = attempts(place, *COMMANDS[name], "--no-sandbox")[0]
    assert len(got) == 23
    assert got == dict.fromkeys(got, 0) | HARMLESS


def served_attempts(place, *options):
    """Like attempts(), of the server of a mount."""
    shown = place / "shown"
    shown.mkdir()
    with start(WILD, "mount", "-f", *options, "disk.qcow2", shown, cwd=place,
               env=dict(os.environ, QCOW2_WILD=str(place / "other"))) as process:
        while not os.path.ismount(shown):
            pass
        content = (shown / "disk").read_bytes()
        assert (shown / "snapshots/1/disk").read_bytes() == qcow2_ok("cat", "-l", "1", place / "disk.qcow2")
        qcow2_ok("umount", shown)
        _, err = process.communicate()
    assert process.returncode == 0 and content == qcow2_ok("cat", place / "disk.qcow2")
    return [{name: int(error) for name, error in re.findall(r"([a-z ]+[3]?) (\d+);", line)}
            for line in err.decode().splitlines()]


@only_x86_64
def test_server_of_a_mount(place):
    """It answers all requests, but each attempt fails. It may duplicate a descriptor by fcntl(2) only."""
    threads = served_attempts(place)
    assert threads
    for got in threads:
        assert got == dict.fromkeys(got, errno.EPERM) | {"clone3": errno.ENOSYS}
    assert (place / "other").read_bytes() == b"other content"


def test_server_without_sandbox(place):
    got = served_attempts(place, "--no-sandbox")[0]
    assert len(got) == 23 and got["open"] == got["write"] == got["rename"] == 0


def test_same_output(place):
    """The sandbox changes no output."""
    for args in (("cat",), ("map", "--json"), ("info", "--json"), ("snapshots", "--json")):
        image = place / "disk.qcow2"
        assert qcow2_ok(*args, image) == qcow2_ok(*args, "--no-sandbox", image)


@only_x86_64
@pytest.mark.parametrize("option, mode", [("--quiet", "2"), ("--no-sandbox", "0")])
def test_served_device(option, mode, place, kernel):  # pylint: disable=redefined-outer-name
    """The process that serves a device is in the sandbox (mode 2: a filter), and works there."""
    device = kernel(place / "disk.qcow2", option)
    assert device.status("Seccomp") == mode
    assert device.status("NoNewPrivs") == ("1" if mode == "2" else "0")
    device.close()
