# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Images that another process writes, that are inside another file, or whose backing file is raw by
another name."""
import contextlib
import os
import shutil
import subprocess
import tarfile
import time

import pytest

import conform
from conform import (K, M, PLAIN, SECONDS, assert_same_bytes, make, qcow2, qcow2_json, qcow2_ok,
                     qemu_img, qemu_io, refused, start, succeed)

COMMANDS = ("map", "cat", "convert")
WARNING = "warning: open for writing in another process"


# ---- In use ----

@contextlib.contextmanager
def open_in_qemu_io(image, *options):
    """While the block runs, qemu-io has the image open."""
    process = start("qemu-io", "-f", "qcow2", *options, image, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE)
    with process:
        process.stdin.write(b"read 0 512\n")
        process.stdin.flush()
        assert b"read 512" in process.stdout.readline()
        yield
        process.communicate(b"quit\n", timeout=SECONDS)


@contextlib.contextmanager
def open_in_daemon(image, *argv):
    """While the block runs, a program has the image open. It creates a PID file when it does."""
    pid = image.with_name("pid")
    with start(*argv, stdout=subprocess.DEVNULL) as process:
        while not pid.exists() and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, process.stderr.read()
        try:
            yield
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def open_in_qemu_nbd(image, *options):
    return open_in_daemon(image, "qemu-nbd", "-f", "qcow2", "-t", *options, "--pid-file",
                          image.with_name("pid"), "-k", image.with_name("socket"), image)


def open_in_storage_daemon(image, read_only="off"):
    return open_in_daemon(
        image, "qemu-storage-daemon", "--pidfile", image.with_name("pid"),
        "--blockdev", f"file,node-name=file,filename={image},read-only={read_only}",
        "--blockdev", f"qcow2,node-name=disk,file=file,read-only={read_only}",
        "--nbd-server", f"addr.type=unix,addr.path={image.with_name('socket')}",
        "--export", f"nbd,id=disk,node-name=disk,writable={'off' if read_only == 'on' else 'on'}")


WRITERS = {"qemu-io": open_in_qemu_io, "qemu-nbd": open_in_qemu_nbd,
           "qemu-storage-daemon": open_in_storage_daemon}
READERS = {"qemu-io": lambda image: open_in_qemu_io(image, "-r"),
           "qemu-nbd": lambda image: open_in_qemu_nbd(image, "-r"),
           "qemu-storage-daemon": lambda image: open_in_storage_daemon(image, "on")}


def run_command(command, image, *options):
    more = [image.with_name("out")] if command == "convert" else []
    return qcow2(command, *options, image, *more)


@pytest.mark.parametrize("program", WRITERS)
def test_in_use(program, build):
    """The command reads, and warns once. It locks nothing, so that the writer can go on."""
    assert shutil.which(program), f"{program} is missing"
    image = build(PLAIN)
    content = qcow2_ok("cat", image)
    with WRITERS[program](image):
        for command in COMMANDS:
            result = run_command(command, image)
            assert result.code == 0 and result.err.count(WARNING) == 1, result
            assert result.err.startswith(f"qcow2: {image}: ") and result.err.count("\n") == 1
            if command == "cat":
                assert result.out == content
        assert qcow2("check", image).err.count(WARNING) == 1
        assert qcow2("cat", "--quiet", image).err == ""
        assert b"\nin use: yes\n" in qcow2_ok("info", image)
        qcow2_json("info", image)
        qcow2_ok("snapshots", image)
    for command in COMMANDS:
        assert run_command(command, image).err == ""
    assert b"in use" not in qcow2_ok("info", image)


@pytest.mark.parametrize("program", READERS)
def test_open_for_reading(program, build):
    image = build(PLAIN)
    with READERS[program](image):
        for command in COMMANDS:
            assert run_command(command, image).err == ""
        assert b"in use" not in qcow2_ok("info", image)


def test_backing_file_in_use(build):
    """The warning names the file."""
    base = build("size 64k\n", "base.qcow2")
    image = build('size 64k\nbacking "base.qcow2" qcow2\n', "top.qcow2")
    with open_in_qemu_io(base):
        result = qcow2("cat", "--follow", image)
        assert result.code == 0 and result.err.count(WARNING) == 1 and "base.qcow2" in result.err
        assert qcow2_ok("cat", "--layer-only", image) == bytes(64 * K)


# ---- Inside another file ----

@pytest.fixture
def archive(tmp_path):
    """A function that puts files into a tar archive. It returns the path of the archive, and where
    each file is: its offset and length."""
    def archive_them(*paths):
        name = tmp_path / "archive.tar"
        with tarfile.open(name, "w") as tar:
            for path in paths:
                tar.add(path, arcname=path.name)
        with tarfile.open(name) as tar:
            return name, [(entry.offset_data, entry.size) for entry in tar]
    return archive_them


def test_image_at(archive, build, tmp_path):
    """Content, map and info are those of the image alone. Positions are those in the archive."""
    image = build(PLAIN)
    other = build("size 4k\nl2 0 data\n", "other.qcow2")
    name, ((offset, length), _) = archive(image, other)
    want = qcow2_ok("cat", image)
    (layer,) = qcow2_json("info", "--backing-chain", f"--image-at={offset},{length}", name)
    assert layer["virtual-size"] == len(want)
    for at in (f"{offset},{length}", f"{offset}", f"{offset:#x},1G"):
        assert qcow2_ok("cat", "--image-at", at, name) == want
    option = f"--image-at={offset},{length}"
    qcow2_ok("convert", option, name, tmp_path / "out")
    assert_same_bytes((tmp_path / "out").read_bytes(), want, "convert")
    theirs = qemu_img("convert", "--image-opts", "-O", "raw",
                      f"driver=qcow2,file.driver=raw,file.offset={offset},file.size={length},"
                      f"file.file.driver=file,file.file.filename={name}", tmp_path / "qemu.raw")
    assert_same_bytes((tmp_path / "qemu.raw").read_bytes(), want, f"qemu-img {theirs}")
    ours = qcow2_json("map", option, name)
    for entry in ours:
        if "offset" in entry:
            entry["offset"] -= offset
    assert ours == qcow2_json("map", image)
    info = qcow2_json("info", option, name)
    assert info["header"] == qcow2_json("info", image)["header"]


def test_image_at_with_holes(build, tmp_path):
    """`convert` looks for holes at the right places of the file: data next to a hole is copied."""
    recipe = "cluster_bits 16\nsize 4M\nl2 0-63 data\n"
    image = build(recipe)
    content = image.read_bytes()
    with open(tmp_path / "dump", "wb") as dump:
        dump.truncate(10 * M + 512)
        dump.seek(10 * M + 512)
        dump.write(content)
        dump.truncate(30 * M)
    qcow2_ok("convert", "--image-at=10486272", tmp_path / "dump", tmp_path / "out")
    assert_same_bytes((tmp_path / "out").read_bytes(), qcow2_ok("cat", image), "convert")


def test_image_at_in_a_chain(archive, build, tmp_path):
    """Only the image itself is inside the archive. Its backing file is beside it."""
    base = build("cluster_bits 16\nsize 256k\nl2 0-3 data\n", "base.qcow2")
    image = build('cluster_bits 16\nsize 256k\nbacking "base.qcow2" qcow2\nl2 1 zero\n',
                  "top.qcow2")
    want = qcow2_ok("cat", "--follow", image)
    assert want != qcow2_ok("cat", base)
    name, ((offset, length),) = archive(image)
    image.unlink()
    option = f"--image-at={offset},{length}"
    assert qcow2_ok("cat", option, "--follow", name) == want
    assert qcow2_ok("cat", option, "--backing", base, name) == want


def test_image_at_fails(archive, build):
    image = build("cluster_bits 12\nsize 64k\nl2 0 data\nl2 1 raw 1<<63|513\n")
    name, ((offset, length),) = archive(image)
    option = f"--image-at={offset},{length}"
    alone = qcow2("cat", "-s", "4k", image)
    there = qcow2("cat", "-s", "4k", option, name)
    at = int(alone.err.split("at file offset ")[1].split(",")[0])
    refused(there, f"at file offset {at + offset}, disk offset 4096)")
    refused(qcow2("cat", name), "not a qcow2 image")
    refused(qcow2("cat", f"--image-at={offset + 1}", name), "not a qcow2 image")
    refused(qcow2("cat", "--image-at=1G", name), "ends before the image")
    result = qcow2("cat", f"--image-at={offset},4k", name)
    refused(result, "truncated", f"the end of the file ({offset + 4 * K} bytes)")
    for value in ("", ",", "1,", ",1", "1,0", "x", "1,x", "1,2,3", "-1"):
        result = qcow2("cat", f"--image-at={value}", name)
        assert result.code == 2 and "--image-at" in result.err and "expected" in result.err


# ---- Growing ----

def test_grows(build):
    """The image grows after the command has opened it: what was written before the read is read."""
    image = build("cluster_bits 16\nsize 4M\n")
    with start(conform.QCOW2, "cat", image, stdout=subprocess.PIPE) as cat:
        first = cat.stdout.read(64 * K)  # the pipe is full, and the command waits
        qemu_io(image, "write -P 7 3M 1M")
        rest, err = cat.communicate(timeout=SECONDS)
    assert cat.returncode == 0 and err == b"", err
    assert first == bytes(64 * K) and len(rest) == 4 * M - 64 * K
    assert set(rest) <= {0, 7}


# ---- Formats of backing files ----

@pytest.mark.parametrize("form", ("raw", "file", "host_device"))
def test_raw_by_another_name(form, build, tmp_path):
    """QEMU reads a file as host_device only if it is a device; we read the bytes of any file."""
    (tmp_path / "base").write_bytes(b"QFI\xfb" + bytes(64 * K - 4))
    image = build(f'size 64k\nbacking "base" {form}\n', "top.qcow2")
    want = (tmp_path / "base").read_bytes()
    for options in (["--follow"], ["--follow=any"], ["--backing", tmp_path / "base"],
                    ["--follow", "--backing-format=qcow2"]):
        assert qcow2_ok("cat", *options, image) == want
    assert qcow2_json("info", image)["backing-filename-format"] == form


def test_block_device(build, tmp_path):
    """A chain down to a block device, as QEMU makes it."""
    (tmp_path / "base").write_bytes(os.urandom(64 * K))
    device = succeed("losetup", "-f", "--show", tmp_path / "base").decode().strip()
    try:
        for form in ("raw", "host_device"):
            image = tmp_path / f"{form}.qcow2"
            qemu_img("create", "-q", "-f", "qcow2", "-b", device, "-F", form, image)
            refused(qcow2("cat", "--follow", image), device, "out of the image's directory",
                    "--follow=any")
            want = (tmp_path / "base").read_bytes()
            assert qcow2_ok("cat", "--follow=any", image) == want
            assert qcow2_ok("cat", "--backing", device, image) == want
    finally:
        succeed("losetup", "-d", device)


def test_other_formats(build):
    """The message says what to give instead, and does not name an option that is given already."""
    image = build('size 64k\nbacking "base" vmdk\n')
    refused(qcow2("cat", f"--backing={image}", image), "'vmdk'")
    assert "--follow" not in qcow2("cat", image).err
    for option in ("--follow", "--follow=any"):
        result = qcow2("cat", option, image)
        refused(result, "'vmdk'", "raw or qcow2 copy", "--backing FILE[,FORMAT]")
        assert "--follow" not in result.err


@pytest.mark.parametrize("name", ("json:{}", "nbd:localhost:1", "nbd://localhost/x"))
def test_no_file_name(name, build):
    image = build(f'size 64k\nbacking "{name}" raw\n')
    for option in ("--follow", "--follow=any"):
        result = qcow2("cat", option, image)
        refused(result, "only file names are followed", "--backing FILE[,FORMAT]")
        assert "--follow" not in result.err
    result = qcow2("cat", image)
    refused(result, "which was not given", "--backing FILE[,FORMAT]")
    assert "--follow" not in result.err


def test_format_is_missing(build):
    """The message says what the file looks like, and nothing else depends on that."""
    image = build('size 64k\nbacking "base"\n', "top.qcow2")
    build("size 64k\n", "base")
    refused(qcow2("cat", "--follow", image), "no format given", "it starts like a qcow2 image",
            "--backing-format")
    image.with_name("base").write_bytes(bytes(512))
    refused(qcow2("cat", "--follow", image), "it does not start like a qcow2 image")
    image.with_name("base").unlink()
    refused(qcow2("cat", "--follow", image), "base", "No such file",
            "; use --backing FILE[,FORMAT] or --layer-only\n")


def test_path_that_was_tried(build, tmp_path):
    """Messages have the path that was tried, also if the image was opened through a link."""
    (tmp_path / "home").mkdir()
    image = make('size 64k\nbacking "sub/base" raw\n', tmp_path / "home/top.qcow2")
    refused(qcow2("cat", "--follow", image), f"'{tmp_path}/home/sub/base'")
    (tmp_path / "link").symlink_to("home/top.qcow2")
    refused(qcow2("cat", "--follow", tmp_path / "link"), f"'{tmp_path}/home/sub/base'")
    refused(qcow2("cat", "--follow=any", tmp_path / "link"), f"'{tmp_path}/sub/base'")
    (tmp_path / "home/sub").mkdir()
    (tmp_path / "home/sub/base").write_bytes(b"x" * 512)
    assert qcow2_ok("cat", "-n", "1", "--follow", tmp_path / "link") == b"x"


def test_pipe(build):
    image = build(PLAIN)
    for command in ("info", "cat"):
        refused(qcow2(command, "-", stdin=image.read_bytes()), "is a pipe", "save it to a file")


@pytest.mark.parametrize("disk", (PLAIN, "version 3\ncluster_bits 12\nsize 3M\nl2 1-600 data\n"))
def test_direct(disk, build):
    """Standard input with O_DIRECT. Long reads go to memory that is not aligned."""
    image = build(disk)
    fd = os.open(image, os.O_RDONLY | os.O_DIRECT)
    try:
        assert qcow2_ok("cat", "-", stdin=fd) == qcow2_ok("cat", image)
        assert qcow2_ok("map", "-", stdin=fd) == qcow2_ok("map", image)
    finally:
        os.close(fd)
