# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Where `convert` and `cat` write: files that exist, in place, devices, descriptors, terminals.

The tests of block devices use loop devices, so that they run as root.
"""
import contextlib
import errno
import json
import os
import pty
import re
import signal
import stat
import struct
import subprocess

import pytest

from conform import (BROKEN, FAULTS, K, M, MEMORY, PLAIN, QCOW2, qcow2, qcow2_ok, qemu_img, refused, run,
                     succeed)
from fault_runs import read_counts

SPARSE = "cluster_bits 16\nsize 2M\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\nl2 24 data\n"
OLD = b"old content"
NOT_COMPLETE = "the output is not complete"
# The runtime of a sanitizer cannot look for leaks in a program that strace traces.
TRACED = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")


def stored(path):
    return path.stat().st_blocks * 512


def attributes(path):
    """Owner, group, mode and extended attributes, the access control list among them."""
    st = path.stat()
    names = os.listxattr(path)
    return (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode),
            {name: os.getxattr(path, name) for name in names})


def acl(*entries):
    """An access control list as Linux stores it: (tag, permissions, id) for each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xffffffff
ACL = acl((1, 6, NOBODY), (2, 6, 1234), (4, 4, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY))


# ---- What a replaced file keeps ----

@pytest.mark.parametrize("options", ((), ("--in-place",)))
def test_replaced_file_keeps_its_attributes(options, build):
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    os.chown(out, 107, 108)
    out.chmod(0o660)
    os.setxattr(out, "user.origin", b"a test")
    os.setxattr(out, "user.empty", b"")
    os.setxattr(out, "system.posix_acl_access", ACL)
    before, inode = attributes(out), out.stat().st_ino
    assert len(before[3]) == 3
    qcow2_ok("convert", *options, image, out)
    assert attributes(out) == before and out.read_bytes() == qcow2_ok("cat", image)
    assert (out.stat().st_ino == inode) == bool(options)


def test_new_file_is_as_any_other(build):
    """The umask applies, or else the access control list that the directory gives its files."""
    image = build(PLAIN)
    for default in (False, True):
        if default:
            os.setxattr(image.parent, "system.posix_acl_default", ACL)
        out, other = image.with_name(f"out{default}"), image.with_name(f"other{default}")
        other.write_bytes(OLD)
        qcow2_ok("convert", image, out)
        assert attributes(out) == attributes(other)
        assert bool(attributes(out)[3]) == default


def test_list_of_the_directory_is_not_added(build):
    """A replaced file without an access control list gets none from its directory."""
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    out.chmod(0o640)
    os.setxattr(image.parent, "system.posix_acl_default", ACL)
    before = attributes(out)
    qcow2_ok("convert", image, out)
    assert attributes(out) == before and not before[3]


def test_refused_list(build):
    """The group bits of a file with an access control list are the list's mask. They give the group
    nothing if the list cannot be copied."""
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    os.setxattr(out, "system.posix_acl_access", ACL)
    assert stat.S_IMODE(out.stat().st_mode) == 0o660
    succeed("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fsetxattr:error=ENOSPC",
            QCOW2, "convert", image, out, env=TRACED)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ("fchmod", "fchown"))
def test_refused_attributes(call, build):
    """As on file systems that have no modes or owners: that is no failure."""
    image = build(PLAIN)
    for old in (False, True):
        out = image.with_name(f"out{old}")
        if old:
            out.write_bytes(OLD)
            out.chmod(0o606)
            os.chown(out, 107, 108)
        succeed("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=EPERM",
                QCOW2, "convert", image, out, env=TRACED)
        assert out.read_bytes() == qcow2_ok("cat", image)
        mode = stat.S_IMODE(out.stat().st_mode)
        assert mode & 0o400 and mode & ~(0o606 if old else 0o666) == 0


def test_other_links(build):
    """Other names keep the old content, or with --in-place they stay names of the same file."""
    image = build(PLAIN)
    out, other = image.with_name("out"), image.with_name("other")
    out.write_bytes(OLD)
    os.link(out, other)
    qcow2_ok("convert", image, out)
    assert other.read_bytes() == OLD and out.read_bytes() == qcow2_ok("cat", image)
    os.unlink(out)
    os.link(other, out)
    qcow2_ok("convert", "--in-place", image, out)
    assert other.read_bytes() == qcow2_ok("cat", image) and os.path.samefile(out, other)


# ---- Where nothing can be made beside the file ----

def without_rights(*args):
    """As root, but without its rights to write to directories and files of others."""
    return run("setpriv", "--bounding-set=-all", "--inh-caps=-all", QCOW2, *args)


@pytest.mark.parametrize("sticky", (False, True))
def test_only_the_file_is_writable(sticky, build):
    """The directory takes no file, or it lets only the owner of a file rename over it."""
    image = build(PLAIN)
    home = image.parent / "data"
    home.mkdir()
    home.chmod(0o1777 if sticky else 0o755)
    os.chown(home, 107, 108)
    out = home / "out"
    out.write_bytes(2 * M * b"x")
    out.chmod(0o666)
    os.chown(out, 109, 110)
    before = attributes(out), out.stat().st_ino
    done = without_rights("convert", image, out)
    assert done.code == 0 and done.err == "", done
    assert out.read_bytes() == qcow2_ok("cat", image)
    assert (attributes(out), out.stat().st_ino) == before and os.listdir(home) == ["out"]
    # A name that is not there cannot be made.
    if not sticky:
        done = without_rights("convert", image, home / "x")
        assert "cannot create the file: Permission denied" in done.err, done


def test_name_without_room(build):
    """The name is as long as can be, so that there is none for a temporary file beside it."""
    image = build(PLAIN)
    out = image.with_name("n" * 250)
    for _ in range(2):  # created, then replaced
        qcow2_ok("convert", image, out)
        assert out.read_bytes() == qcow2_ok("cat", image)


def test_mount_point(build):
    image = build(PLAIN)
    out, under = image.with_name("out"), image.with_name("under")
    out.write_bytes(b"")
    under.write_bytes(OLD)
    succeed("mount", "--bind", under, out)
    try:
        before = set(os.listdir(image.parent))
        qcow2_ok("convert", image, out)
        assert set(os.listdir(image.parent)) == before
    finally:
        succeed("umount", out)
    assert under.read_bytes() == qcow2_ok("cat", image) and out.read_bytes() == b""


def test_immutable(build):
    """Found out before the work: nothing is made beside the file."""
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    succeed("chattr", "+i", out)
    try:
        refused(qcow2("convert", image, out), "Operation not permitted")
    finally:
        succeed("chattr", "-i", out)
    assert out.read_bytes() == OLD


# ---- In place ----

def test_in_place_failure(build):
    """What was written in place is not complete, and the command says so."""
    image = build(BROKEN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    result = qcow2("convert", "--in-place", image, out)
    assert result.code == 1, result
    assert result.err.endswith(f"\nqcow2: {out}: {NOT_COMPLETE}\n"), result
    assert out.exists() and out.read_bytes() != OLD
    refused(qcow2("convert", "--in-place", image, image), "is one of the input files")


def with_fault(fault, *args, **more):
    return run(FAULTS, *args, env=dict(os.environ, QCOW2_FAULT=fault), memory=MEMORY, **more)


def test_in_place_faults(build):
    """The content goes only when nothing else can be found out, and then each failure says so."""
    image = build(PLAIN)
    out, calls, whole = image.with_name("out"), image.with_name("calls"), qcow2_ok("cat", image)
    out.write_bytes(OLD)
    env = dict(os.environ, QCOW2_CALLS=str(calls))
    succeed(FAULTS, "convert", "--in-place", image, out, env=env, memory=MEMORY)
    counts = read_counts(calls)
    for fault, number in (("malloc", 12), ("open", 13), ("ftruncate", 27), ("pwrite", 28),
                          ("fsync", 5), ("close", 5)):
        for n in range(1, counts[fault] + 1):
            out.write_bytes(OLD)
            result = with_fault(f"{fault} {n} {n} {number}", "convert", "--in-place", image, out)
            if result.code == 0:
                assert out.read_bytes() == whole
                continue
            if NOT_COMPLETE not in result.err:
                assert out.read_bytes() == OLD, (fault, n, result)
            assert (fault, n) != ("ftruncate", 1) or NOT_COMPLETE not in result.err, result
            assert fault not in ("pwrite", "fsync") or NOT_COMPLETE in result.err, result


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_in_place_signal(number, build):
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(OLD)
    result = with_fault(f"pwrite 2 2 {-number}", "convert", "--in-place", image, out)
    assert result.code == -number and result.err == f"qcow2: {out}: {NOT_COMPLETE}\n", result
    assert out.exists()
    result = with_fault(f"fsync 1 1 {-number}", "convert", "--in-place", image, out)
    assert result.code == -number and NOT_COMPLETE in result.err, result


def test_no_space(build):
    """The message says what happens to the old file, and how large the disk is."""
    image = build(PLAIN)
    out = image.with_name("out")
    for old, options in ((False, ()), (True, ()), (True, ("--in-place",))):
        out.unlink(missing_ok=True)
        if old:
            out.write_bytes(OLD)
        result = with_fault(f"pwrite 1 1 {errno.ENOSPC}", "convert", *options, image, out)
        assert "No space left on device; the disk has 65536 bytes" in result.err, result
        kept = old and not options
        assert ("the old file is kept until the new one is complete" in result.err) == kept
        assert not kept or out.read_bytes() == OLD


def test_too_large_for_the_file_system(build):
    """Files of ext4 have at most 16 TiB: this is found out before the old content goes."""
    image = build("size 1P\n")
    out = image.with_name("out")
    for options in ((), ("--in-place",)):
        out.write_bytes(OLD)
        refused(qcow2("convert", *options, image, out, ignore=(signal.SIGXFSZ,)),
                "File too large", f"{1 << 50} bytes")
        assert out.read_bytes() == OLD


# ---- Sparse or not ----

def test_sparse(build):
    image = build(SPARSE)
    whole = qcow2_ok("cat", image)
    out = image.with_name("out")
    for options in ((), ("--sparse=auto",), ("--sparse=always",)):
        qcow2_ok("convert", *options, image, out)
        assert out.read_bytes() == whole and stored(out) <= 512 * K
    for more in ((), ("--in-place",)):
        qcow2_ok("convert", "--sparse=never", *more, image, out)
        assert out.read_bytes() == whole and stored(out) >= 2 * M


def test_never_sparse_without_fallocate(build):
    """Where the file system gets no storage in advance, the zeros are written."""
    image = build(SPARSE)
    out = image.with_name("out")
    result = with_fault(f"fallocate 1 9 {errno.EOPNOTSUPP}", "convert", "--sparse=never", image, out)
    assert result.code == 0, result
    assert out.read_bytes() == qcow2_ok("cat", image) and stored(out) >= 2 * M


def test_zeros_that_cannot_be_written(build):
    image = build("cluster_bits 9\nsize 64k\nl2 1 data\nl2 3 data\n")
    out, whole = image.with_name("out"), qcow2_ok("cat", image)
    for number in (errno.EIO, errno.EINTR):
        out.write_bytes(64 * K * b"x")
        done = with_fault(f"pwrite 1 1 {number}", "convert", "-n", "--sparse=never", image, out)
        if number == errno.EINTR:
            assert done.code == 0 and out.read_bytes() == whole, done
        else:
            assert done.err == (f"qcow2: {out}: Input/output error\nqcow2: {out}: {NOT_COMPLETE}\n"), done


# ---- Descriptors ----

@pytest.mark.parametrize("name", ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"))
def test_standard_output(name, build):
    image = build(SPARSE)
    whole = qcow2_ok("cat", image)
    assert qcow2_ok("convert", image, name) == whole
    out = image.with_name("out")
    script = '{ printf head; "$0" convert "$1" "$2" && printf tail; } >"$3"'
    succeed("sh", "-c", script, QCOW2, image, name, out)
    assert out.read_bytes() == b"head" + whole + b"tail" and stored(out) <= 1 * M
    succeed("sh", "-c", script.replace('>"$3"', '>>"$3"'), QCOW2, image, name, out)
    assert out.read_bytes() == 2 * (b"head" + whole + b"tail")


def test_standard_output_failure(build):
    """The file has its whole length from the beginning, so the command says that it is not complete."""
    image = build(BROKEN)
    with open(image.with_name("out"), "wb") as out:
        result = qcow2("convert", image, "-", stdout=out)
    assert result.code == 1, result
    assert result.err.endswith(f"\nqcow2: standard output: {NOT_COMPLETE}\n"), result


def test_descriptor(build):
    """Writing goes on where the descriptor is, and replaces no more than the disk."""
    image = build(PLAIN)
    out = image.with_name("out")
    out.write_bytes(100 * K * b"x")
    succeed("sh", "-c", 'exec 7<>"$2"; "$0" convert "$1" /dev/fd/7', QCOW2, image, out)
    assert out.read_bytes() == qcow2_ok("cat", image) + 36 * K * b"x"
    refused(qcow2("convert", image, "/dev/fd/77"), "Bad file descriptor")
    succeed("sh", "-c", '"$0" convert "$1" /dev/stderr 2>"$2"', QCOW2, image, out)
    assert out.read_bytes() == qcow2_ok("cat", image)
    refused(qcow2("convert", "--sparse=always", image, "-"), "cannot be sparse")


def test_pipes_and_character_devices(build):
    image = build(PLAIN)
    fifo = image.with_name("fifo")
    os.mkfifo(fifo)
    done = succeed("sh", "-c", '"$0" convert "$1" "$2" & cat "$2"; wait $!', QCOW2, image, fifo)
    assert done == qcow2_ok("cat", image)
    assert qcow2_ok("convert", image, "/dev/null") == b"" and os.path.exists("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    refused(qcow2("convert", image, "/dev/full"), "No space left on device")


@pytest.mark.parametrize("command", (("cat",), ("convert", "-"), ("convert", "/dev/stdout")))
def test_terminal(command, build):
    image = build("cluster_bits 12\nsize 4096\nl2 0 zero\n")
    for force in ((), ("--force",)):
        ours, theirs = pty.openpty()
        result = run(QCOW2, command[0], *force, image, *command[1:], stdout=theirs)
        os.close(theirs)
        if force:
            assert result.code == 0 and os.read(ours, 4096).count(b"\0") > 0, result
        else:
            assert result.code == 1 and "is a terminal" in result.err, result
        os.close(ours)


@pytest.mark.parametrize("command", (("cat",), ("convert", "-")))
def test_standard_output_is_the_image(command, build):
    image = build(PLAIN)
    before = image.read_bytes()
    with open(image, "r+b") as file:
        result = run(QCOW2, command[0], image, *command[1:], stdout=file)
    assert result.code == 1 and "is one of the input files" in result.err, result
    assert image.read_bytes() == before


# ---- Links that point to no file, and -n ----

LINKS = (("target",), ("sub/target",), ("sub/next", "target"), ("{home}/sub/next", "../sub/target"))


@pytest.mark.parametrize("chain", LINKS)
def test_link_to_no_file(chain, build):
    """As in qemu-img, the link stays, and the file that it points to is created."""
    image = build(PLAIN)
    link, whole = image.with_name("link"), qcow2_ok("cat", image)
    (image.parent / "sub").mkdir()
    link.symlink_to(chain[0].format(home=image.parent))
    if len(chain) > 1:
        (image.parent / "sub/next").symlink_to(chain[1])
    target = image.parent / ("target" if chain == ("target",) else "sub/target")
    for convert in ((qemu_img, "convert", "-O", "raw"), (qcow2_ok, "convert")):
        convert[0](*convert[1:], image, link)
        assert link.is_symlink() and target.read_bytes() == whole and not target.is_symlink()
        target.unlink()
    assert not any(name.startswith(".") for name in os.listdir(target.parent))


def test_link_that_leads_nowhere(build):
    image = build(PLAIN)
    link = image.with_name("link")
    link.symlink_to("missing/target")
    refused(qcow2("convert", image, link), "cannot create a temporary file beside it: No such file")
    refused(qcow2("convert", "-n", image, link), "No such file or directory")


def test_no_create(build):
    """As in qemu-img: the file must be there and long enough. It keeps its length and its end."""
    image = build(SPARSE)
    whole = qcow2_ok("cat", image)
    for size in (2 * M - 512, 2 * M, 2 * M + 12345):
        old = b"\xee" * size
        out, theirs = image.with_name("out"), image.with_name("theirs")
        out.write_bytes(old)
        theirs.write_bytes(old)
        inode, done = out.stat().st_ino, qcow2("convert", "-n", image, out)
        code = run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", image, theirs).code
        assert (done.code, out.read_bytes()) == (code, theirs.read_bytes()), done
        assert out.stat().st_ino == inode and stored(out) <= stored(theirs)
        assert out.read_bytes() == (old if code else whole + old[2 * M:])
    words = f"the file has {2 * M - 512} bytes, the disk needs {2 * M}"
    out.write_bytes(OLD)
    os.truncate(out, 2 * M - 512)
    refused(qcow2("convert", "--no-create", image, out), words)
    refused(qcow2("convert", "-n", image, image.with_name("missing")), "No such file or directory")
    assert not image.with_name("missing").exists()


def test_no_create_sparse(build):
    image = build(SPARSE)
    whole = qcow2_ok("cat", image)
    out = image.with_name("out")
    os.truncate(os.open(out, os.O_CREAT | os.O_RDWR), 3 * M)
    qcow2_ok("convert", "-n", "--sparse=never", image, out)
    assert out.read_bytes() == whole + bytes(M) and 2 * M <= stored(out) < 3 * M
    out.write_bytes(b"\xee" * (2 * M))
    qcow2_ok("convert", "-n", "--target-is-zero", image, out)
    assert out.read_bytes() != whole and out.read_bytes()[:256 * K] == whole[:256 * K]
    # Where the file system cannot make holes.
    done = with_fault(f"fallocate 1 9 {errno.EOPNOTSUPP}", "convert", "-n", "--sparse=always", image, out)
    refused(done, "the file cannot discard")
    done = with_fault(f"fallocate 1 9 {errno.EOPNOTSUPP}", "convert", "-n", image, out)
    assert done.code == 0 and out.read_bytes() == whole and stored(out) == 2 * M, done
    done = with_fault(f"fallocate 1 9 {errno.ENOSPC}", "convert", "-n", "--sparse=never", image, out)
    assert done.code == 1 and out.read_bytes() == whole and NOT_COMPLETE not in done.err, done
    done = with_fault(f"pwrite 1 1 {errno.EIO}", "convert", "-n", image, out)
    assert done.err.endswith(f"qcow2: {out}: {NOT_COMPLETE}\n"), done


# ---- Progress and salvage ----

def test_progress_of_a_stream(build):
    """Only on request: a program at the other end of the pipe may write to the same terminal."""
    image = build(SPARSE)
    whole = qcow2_ok("cat", image)
    for command in (("cat",), ("convert", "-")):
        done = qcow2(command[0], "-p", image, *command[1:])
        assert done.out == whole and "\r100 %  2.0 of 2.0 MiB" in done.err, done
        done = qcow2(command[0], "-p", "-q", image, *command[1:])
        assert done.out == whole and done.err == "", done


LOST = ("cluster_bits 12\nsize 6M\nl2 0-3 data\nl2 5 raw 1<<63|513\nl2 7 compressed\nl2 8 packed 07\n"
        "l2 600 data\nl2 1100 data\nl1 1 1<<63|0x7000000\n")
LOST_RANGES = "lost ranges: 3, 2105344 bytes in all; zeros are in their place"


def test_salvage_to_a_stream(build):
    image = build(LOST)
    out, want = image.with_name("out"), qcow2("cat", "--salvage", image)
    assert want.code == 3 and want.err.endswith(f"qcow2: {image}: {LOST_RANGES}\n"), want
    done = qcow2("convert", "--salvage", image, "-")
    assert (done.code, done.out, done.err) == (3, want.out, want.err)
    out.write_bytes(b"\xee" * (6 * M))
    for options in (("-n",), ("--in-place", "--sparse=never"), ()):
        done = qcow2("convert", "--salvage", *options, image, out)
        assert done.code == 3 and out.read_bytes() == want.out and LOST_RANGES in done.err, done
    refused(qcow2("convert", "--salvage", "--report", out, image, "-", stdout=open(out, "wb")),
            "is the image or the output file")


# ---- Block devices ----

@contextlib.contextmanager
def loop_device(path, size, *options):
    """A loop device with garbage in each byte of its file. The file is sparse if an option says so."""
    with open(path, "wb") as file:
        file.write(b"\xee" * size)
    device = succeed("losetup", *options, "-f", "--show", path).decode().strip()
    try:
        yield device
    finally:
        succeed("losetup", "-d", device)


def content_of(device):
    with open(device, "rb") as file:
        return file.read()


def fill(device, size):
    with open(device, "r+b") as file:
        file.write(b"\xee" * size)
        os.fsync(file.fileno())


def to_device(image, path, *options, size=2 * M):
    with loop_device(path, size) as device:
        qcow2_ok("convert", *options, image, device)
    return path.read_bytes()


DEVICE_DISK = "cluster_bits 16\nsize 1M\nl2 0-1 data\nl2 3 zero\nl2 7 compressed\nl2 12 data\n"
BEHIND = b"\xee" * M


def test_device(build, tmp_path):
    image = build(DEVICE_DISK)
    whole = qcow2_ok("cat", image)
    path, theirs = tmp_path / "device", tmp_path / "theirs"
    assert to_device(image, path) == whole + BEHIND
    with loop_device(theirs, 2 * M) as device:
        qemu_img("convert", "-n", "-f", "qcow2", "-O", "raw", image, device)
    assert stored(path) <= stored(theirs)
    assert to_device(image, path, "-n", "--sparse=never") == whole + BEHIND
    assert stored(path) >= 2 * M
    assert to_device(image, path, "--sparse=always", size=M) == whole


@pytest.mark.parametrize("sector", ("512", "4096"))
def test_device_keeps_what_is_behind(sector, build, tmp_path):
    """The disk may end inside a sector of the device: the rest of it stays."""
    with loop_device(tmp_path / "device", 2 * M, "-b", sector) as device:
        for size in (M - 512, M - 4096 + 1, 12345, 511, 1):
            image = build(f"cluster_bits 12\nsize {size}\n" +
                          ("l2 0 data\nl2 2 zero\n" if size > 3 * 4096 else ""))
            for options in ((), ("--sparse=never",)):
                fill(device, 2 * M)
                qcow2_ok("convert", *options, image, device)
                assert content_of(device) == qcow2_ok("cat", image) + b"\xee" * (2 * M - size), size


@pytest.mark.parametrize("can_zero", (True, False))
def test_device_without_discard(can_zero, build, tmp_path):
    """The device makes the zeros in another way, which the sandbox allows; or they are written."""
    image = build(DEVICE_DISK.replace("compressed", "data"))  # strace counts calls in each thread
    log, inject = tmp_path / "log", ["-einject=fallocate:error=EOPNOTSUPP"]
    if not can_zero:
        inject.append("-einject=ioctl:error=EOPNOTSUPP:when=3+")
    trace = ("strace", "-f", "-qq", "-o", log, "-etrace=fallocate,ioctl", *inject, QCOW2, "convert")
    with loop_device(tmp_path / "device", 2 * M) as device:
        succeed(*trace, image, device, env=TRACED)
        assert content_of(device) == qcow2_ok("cat", image) + BEHIND
        zeroed = re.findall(r"ioctl\(\d+, BLKZEROOUT, .*\) += (-?\d+)", log.read_text())
        assert set(zeroed) == {"0" if can_zero else "-1"}
        done = run(*trace, "--sparse=always", image, device, env=TRACED)
        refused(done, "the device cannot discard")


def test_target_is_zero(build, tmp_path):
    """Where the user says so, no zeros are written."""
    image = build("cluster_bits 16\nsize 1M\nl2 3 data\n")
    content = to_device(image, tmp_path / "device", "--target-is-zero")
    disk = qcow2_ok("cat", image)
    assert content[192 * K:256 * K] == disk[192 * K:256 * K]
    assert set(content[:192 * K] + content[256 * K:]) == {0xee}


def test_salvage_to_a_device(build, tmp_path):
    """What is lost is zeros on the device as well, and its report is complete."""
    image = build(LOST)
    want, report = qcow2("cat", "--salvage", image).out, tmp_path / "report"
    with loop_device(tmp_path / "device", 7 * M) as device:
        for options in ((), ("--sparse=never",)):
            fill(device, 7 * M)
            done = qcow2("convert", "--salvage", "--report", report, *options, image, device)
            assert done.code == 3 and done.err.endswith(f"{LOST_RANGES}\n"), done
            assert content_of(device) == want + BEHIND
            assert json.loads(report.read_text())["lost-ranges"] == 3


def test_device_too_small(build, tmp_path):
    image = build(SPARSE)
    with loop_device(tmp_path / "device", M) as device:
        words = f"the device has {M} bytes, the disk needs {2 * M}"
        refused(qcow2("convert", image, device), words)
        for command in (("cat", image), ("convert", image, "-")):
            with open(device, "wb") as file:
                result = run(QCOW2, *command, stdout=file)
            assert result.code == 1 and words in result.err, result
        assert content_of(device) == BEHIND
        with open(device, "wb") as file:
            assert run(QCOW2, "cat", "-n", "1M", image, stdout=file).code == 0
            assert run(QCOW2, "cat", "-n", "1", image, stdout=file).code == 1


def test_device_in_use(build, tmp_path):
    image = build(PLAIN)
    path, where = tmp_path / "device", tmp_path / "mounted"
    where.mkdir()
    with loop_device(path, M) as device:
        succeed("mkfs.ext4", "-q", "-F", device)
        succeed("mount", device, where)
        try:
            refused(qcow2("convert", image, device), "the device is mounted or in use")
        finally:
            succeed("umount", where)
        assert qcow2("convert", image, device).code == 0


def test_map_svg(build, tmp_path):
    """A picture goes where a disk goes, but to no block device."""
    image = build(PLAIN)
    out, want = tmp_path / "out", qcow2_ok("map", "--svg", "-", image)
    home = tmp_path / "data"
    home.mkdir()
    other = home / "other"
    for path in (out, other):
        path.write_bytes(100 * K * b"x")
        path.chmod(0o606)
    os.chown(home, 107, 108)
    assert without_rights("map", "--svg", out, image).code == 0
    assert without_rights("map", "--svg", other, image).code == 0
    assert out.read_bytes() == other.read_bytes() == want and out.stat().st_mode & 0o777 == 0o606
    script = '{ printf head; "$0" map --svg /dev/fd/1 "$1"; printf tail; } >"$2"'
    succeed("sh", "-c", script, QCOW2, image, out)
    assert out.read_bytes() == b"head" + want + b"tail"
    assert qcow2_ok("map", "--svg", "/dev/null", image) == b""
    with loop_device(tmp_path / "device", M) as device:
        refused(qcow2("map", "--svg", device, image), "is a block device")
        assert content_of(device) == BEHIND


def test_device_failure(build, tmp_path):
    """A device is written in place: a failure says so. Its own image is not overwritten."""
    with loop_device(tmp_path / "device", M) as device:
        result = qcow2("convert", build(BROKEN), device)
        assert result.err.endswith(f"qcow2: {device}: {NOT_COMPLETE}\n"), result
    image = build(PLAIN)
    with loop_device(tmp_path / "other", M) as device, open(device, "r+b") as out:
        result = with_fault(f"fsync 1 1 {errno.EIO}", "convert", image, "-", stdout=out)
        refused(result, "standard output", os.strerror(errno.EIO))
    device = subprocess.check_output(("losetup", "-f", "--show", image)).decode().strip()
    try:
        refused(qcow2("convert", device, device), "is one of the input files")
    finally:
        succeed("losetup", "-d", device)
