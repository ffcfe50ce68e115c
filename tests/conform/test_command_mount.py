# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 mount` and `qcow2 umount`: the files of a mount, the programs that read them, and what is left
behind. The tests need root, /dev/fuse and loop devices."""
import contextlib
import ctypes
import errno
import json
import mmap
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest

from conform import (FAULTS, K, M, MEMORY, QCOW2, assert_same_bytes, create_luks, make, qcow2, qcow2_json, qcow2_ok,
                     qemu_img, qemu_io, refused, run, start, succeed)

SHAPE = "cluster_bits 12\nsize 257k\n"
CONTENT = SHAPE + "l2 0-3 data\nl2 5 zero\nl2 8 compressed\nl2 10-11 compressed\nl2 30 data\nl2 64 data\n"
SNAPSHOTS = (SHAPE + 'l2 0-3 data\nsnapshot 1 before disk_size=64k date_sec=1000000000\nl2 1 share\nl2 9 data\n'
             'snapshot 7 "a \\x1b/n%me"\nl2 2 share\nsnapshot "\\x01" hidden\nsnapshot ".." up\nactive\n')
SERVE_THREADS = min(max(os.cpu_count(), 4), 16)  # of the server; each has a pipe
PREAD64 = {"x86_64": 17, "aarch64": 67}  # numbers of the system call
DAMAGED = "cluster_bits 12\nsize 1M\nl2 0-19 data\nl2 20 raw 1<<63|513\nl2 21-255 data\n"


def mounted():
    """The directories that have a mount of the command."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [line[1] for line in lines if line[2] == "fuse.qcow2"]


def processes(directory):
    """The ids of the processes that show something in the directory."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            if b"mount" in words and os.fsencode(directory) in words:
                found.append(int(name))
    return found


def pair(directory):
    """The ids of the keeper and of the server, which is its child; none while there are not both."""
    found = {}
    for pid in processes(directory):
        with contextlib.suppress(OSError):
            found[pid] = int(re.search(r"^PPid:\s(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1])
    return next(((parent, pid) for pid, parent in found.items() if parent in found), None)


def wait_until(condition):
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_gone(directory):
    return str(directory) not in mounted() and not processes(directory)


@pytest.fixture
def place(tmp_path):
    """An empty directory to mount on. At the end, nothing may be left of a mount."""
    directory = tmp_path / "shown"
    directory.mkdir()
    yield directory
    left = str(directory) in mounted()
    if left:
        run("umount", "-l", directory)
        for pid in processes(directory):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes(directory))
    assert not left


@contextlib.contextmanager
def mount(image, place, *options, **more):
    qcow2_ok("mount", *options, image, place, **more)
    try:
        yield place
    finally:
        done = qcow2("umount", place)
        wait_until(lambda: done.code != 0 or is_gone(place))
    assert done.code == 0 and done.err == "", done


@contextlib.contextmanager
def mount_in_foreground(image, place, *options, program=(QCOW2, ), **more):
    """The test unmounts. Yields the process."""
    with start(*program, "mount", "-f", *options, image, place, **more) as process:
        try:
            wait_until(lambda: str(place) in mounted() or process.poll() is not None)
            yield process
        except BaseException:  # else the end of the block would wait for the process, without a limit
            run("umount", "-l", place)
            process.kill()
            raise


def files_below(place):
    """The content of each file, by its path; links are those that are below as well."""
    return {str((Path(where) / name).relative_to(place)): (Path(where) / name).read_bytes()
            for where, _, names in os.walk(place) for name in names}


def is_hole(segment):
    return not segment["data"]


# ---- Content ----

def chain(image):
    make(SHAPE + "l2 0-9 data\nl2 40 data\n", image.with_name("base"))
    make(SHAPE + 'backing "base" qcow2\nl2 2 zero\nl2 4 data as a\nl2 50 compressed\nsnapshot 1 old\n'
         'l2 4 data as b\nactive\n', image)


def data_file(image):
    make(SHAPE + 'data_file "data"\nl2 0-3 data\nl2 9 data\n', image, "-d", image.with_name("data"))


def inside(image):
    make(SNAPSHOTS, image)
    image.write_bytes(bytes(1536) + image.read_bytes() + bytes(99 * K))


def luks(image):
    make(SHAPE + "encrypt luks password=abc\nl2 0-3 data\nl2 30 data\nsnapshot 1 old\nl2 1 data as b\nactive\n",
         image)
    image.with_name("password").write_bytes(b"abc")


def from_recipe(recipe):
    return lambda image: make(recipe, image)


IMAGES = {
    "every kind of cluster": (from_recipe(CONTENT), ()),
    "empty": (from_recipe("size 3M\n"), ()),
    "no bytes": (from_recipe("size 0\n"), ()),
    "subclusters": (from_recipe("cluster_bits 14\nsize 256k\nextended_l2\nl2 0 data\nl2 9 compressed\n"), ()),
    "chain": (chain, ("--follow",)),
    "given file": (chain, ("--backing=base,qcow2",)),
    "layer": (chain, ("--layer-only",)),
    "data file": (data_file, ("--data-file=data",)),
    "part of a file": (inside, ("--image-at=1536,300K",)),
    "luks": (luks, ("--key-file=password",)),
    "raw": (lambda image: image.write_bytes(b"raw" * 1000), ("--format=raw",)),
    "a snapshot": (from_recipe(SNAPSHOTS), ("--snapshot=before",)),
    "cut": (from_recipe(SHAPE + "l2 0-9 data\nlayout\ntruncate $end-6k\n"), ("--allow-truncated",)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_content(name, image, place, tmp_path):
    """The disk and each snapshot have the bytes that `cat` writes; holes are where the map has them."""
    create, options = IMAGES[name]
    create(image)
    snapshots = {} if name in ("a snapshot", "raw") else {
        entry["id"]: ("-l", f"snapshot.id={entry['id']}") for entry in qcow2_json("snapshots", *options, image)
        if entry["id"] not in ("\x01", "..")}
    want = {"disk": qcow2_ok("cat", *options, image, cwd=tmp_path)}
    for number, which in snapshots.items():
        want[f"snapshots/{number}/disk"] = qcow2_ok("cat", *options, *which, image, cwd=tmp_path)
    entries = json.loads(qcow2_ok("map", "--json", *options, image, cwd=tmp_path))
    with mount(image, place, *options, cwd=tmp_path):
        for path, content in want.items():
            assert_same_bytes(content, (place / path).read_bytes(), path)
        assert os.path.getsize(place / "disk") == len(want["disk"])
        assert (place / "snapshots").exists() == bool(snapshots)
        assert_holes(place / "disk", entries)


def assert_holes(path, entries):
    """lseek and the number of blocks agree with a map."""
    if not entries:
        return
    data = [(e["start"], e["start"] + e["length"]) for e in entries if e["data"]]
    assert os.stat(path).st_blocks == -(-sum(end - begin for begin, end in data) // 512)
    fd = os.open(path, os.O_RDONLY)
    try:
        at, found = 0, []
        while True:
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == errno.ENXIO
                break
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            found.append((begin, at))
        joined = []
        for begin, end in data:
            if joined and joined[-1][1] == begin:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((begin, end))
        assert found == joined
    finally:
        os.close(fd)


def test_copy_keeps_holes(build, place, tmp_path):
    """cp skips what is not allocated, although it reads through FUSE."""
    image = build("size 200M\nl2 0 data\nl2 3000 data\n")
    with mount(image, place):
        succeed("timeout", "100", "cp", "--sparse=auto", place / "disk", tmp_path / "copy")
        copy = os.stat(tmp_path / "copy")
        assert copy.st_size == 200 * M and copy.st_blocks == os.stat(place / "disk").st_blocks == 256


def test_attributes(build, place):
    image = build(CONTENT)
    os.utime(image, (1234567890, 1234567890))
    with mount(image, place):
        disk = os.stat(place / "disk")
        assert (disk.st_mode, disk.st_uid, disk.st_mtime, disk.st_blksize) == (
            stat.S_IFREG | 0o444, os.getuid(), 1234567890, 4 * K)
        with pytest.raises(OSError) as caught:
            os.open(place / "disk", os.O_RDWR)
        assert caught.value.errno == errno.EROFS
        for action in (lambda: os.mkdir(place / "new"), lambda: os.unlink(place / "disk")):
            with pytest.raises(OSError):
                action()
        assert not (place / "p1").exists() and not (place / "disk1").exists()
        assert sorted(os.listdir(place)) == ["disk"]


# ---- Snapshots ----

def test_names_of_snapshots(build, place):
    """Names that would lead elsewhere, or that cannot be shown, are encoded."""
    image = build(SNAPSHOTS)
    with mount(image, place):
        assert sorted(os.listdir(place / "snapshots")) == [
            "%01", "%01-hidden", "%2E%2E", "%2E%2E-up", "1", "1-before", "7", "7-a %1B%2Fn%25me"]
        assert os.readlink(place / "snapshots/1-before") == "1"
        assert os.readlink(place / "snapshots/%2E%2E-up") == "%2E%2E"
        first = os.stat(place / "snapshots/1-before/disk")
        assert (first.st_size, first.st_mtime) == (64 * K, 1000000000)
        assert (place / "snapshots/%01/disk").read_bytes() == qcow2_ok("cat", "-l", "hidden", image)
        assert len(files_below(place)) == 5


def test_snapshots_that_share_an_id(build, place):
    """The first one has the directory. No link leads to another snapshot than its own."""
    image = build(SHAPE + 'l2 0 data\nsnapshot 1 first\nl2 1 data\nsnapshot 1 second\nsnapshot "" none\n'
                  'snapshot 2 ' + "n" * 253 + '\nsnapshot 2-x other\nactive\n')
    done = qcow2("mount", image, place)
    assert done.code == 0 and done.err == f"qcow2: {image}: warning: snapshots without an id of their own: 2\n"
    assert sorted(os.listdir(place / "snapshots")) == ["1", "1-first", "2", "2-" + "n" * 253, "2-x", "2-x-other"]
    qcow2_ok("umount", place)


def test_many_snapshots(build, place):
    """More than can be open at once. What was closed is opened again."""
    recipe = "cluster_bits 9\nsize 64k\n" + "".join(f"l2 {i} data\nsnapshot {i + 1} s\n" for i in range(60))
    image = build(recipe + "active\n")
    with mount(image, place):
        disks = [(place / f"snapshots/{i + 1}/disk") for i in range(60)]
        first = [path.read_bytes() for path in disks]
        assert len(set(first)) == 60 and first[41] == qcow2_ok("cat", "-l", "42", image)
        (server, ) = [pid for pid in processes(place) if len(os.listdir(f"/proc/{pid}/task")) > 1]
        assert len(os.listdir(f"/proc/{server}/fd")) < 32 + 10 + 2 * SERVE_THREADS
        with open(disks[0], "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert file.read() == first[0]


@pytest.mark.parametrize("limits, least, most", [("100:100", 60, 100), ("100:1000", 20 * 21, 999)])
def test_snapshots_of_a_long_chain(limits, least, most, image, place):
    """Their descriptors are more than the soft limit allows. The server raises it; if that is not enough, the
    snapshots used least are closed."""
    last = 20
    for i in range(last):
        backing = f'backing "{i - 1}" qcow2\n' if i else ""
        make(f"cluster_bits 9\nsize 64k\n{backing}l2 {i} data\n", image.with_name(str(i)))
    shots = "".join(f"l2 {i} data\nsnapshot {i + 1} s\n" for i in range(20))
    make(f'cluster_bits 9\nsize 64k\nbacking "{last - 1}" qcow2\n{shots}active\n', image)
    succeed("prlimit", f"--nofile={limits}", QCOW2, "mount", "--follow", image, place)
    try:
        for i in range(20):
            assert sorted(os.listdir(place / f"snapshots/{i + 1}")) == ["disk"]
            want = qcow2_ok("cat", "--follow", "-l", str(i + 1), image)
            assert (place / f"snapshots/{i + 1}/disk").read_bytes() == want
        assert least <= len(os.listdir(f"/proc/{pair(place)[1]}/fd")) <= most
    finally:
        qcow2_ok("umount", place)
        wait_until(lambda: is_gone(place))


def forget(path, begin, n):
    """Makes the kernel forget what it keeps of a range of the file. It may keep pages that a processor has just
    used, so one request is not always enough."""
    pages = (ctypes.c_ubyte * (n // mmap.PAGESIZE))()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), n, offset=begin, access=mmap.ACCESS_COPY) as memory:
        at = ctypes.byref(ctypes.c_char.from_buffer(memory))

        def is_forgotten():
            os.posix_fadvise(file.fileno(), begin, n, os.POSIX_FADV_DONTNEED)
            assert ctypes.CDLL(None).mincore(at, ctypes.c_size_t(n), pages) == 0
            return not any(page & 1 for page in pages)

        wait_until(is_forgotten)
        del at


def is_reading(pid):
    """Is a thread of the process in pread(2)?"""
    calls = [path.read_text().split()[0] for path in Path(f"/proc/{pid}/task").glob("*/syscall")]
    return str(PREAD64[os.uname().machine]) in calls


def test_slow_snapshot(image, tmp_path, place):
    """While a snapshot is opened, the disk can be read, and another snapshot opened. The image is a file of
    another mount, whose server is stopped; all of the image but the table of the slow snapshot is in memory."""
    make("size 64M\nl2 0-3 data\nsnapshot 1 slow\nsnapshot 2 other\nactive\nl2 0 data as x\n", image)
    want, other = (qcow2_ok("cat", "-n", "64k", *which, image) for which in ((), ("-l", "2")))
    raw = image.read_bytes()
    entry = struct.unpack_from(">Q", raw, 64)[0]  # the list of snapshots, which begins with the table of the first
    table = struct.unpack_from(">Q", raw, entry)[0]
    below, readers = tmp_path / "below", []
    below.mkdir()
    with mount(image, below, "--format=raw"), mount(below / "disk", place):
        keeper, server = pair(below)
        assert (below / "disk").read_bytes() == raw
        forget(below / "disk", table, 64 * K)
        os.kill(server, signal.SIGSTOP)
        slow = subprocess.Popen(["stat", place / "snapshots/1/disk"], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: slow.poll() is not None or is_reading(pair(place)[1]))
            assert slow.poll() is None
            readers = [subprocess.Popen(["dd", f"if={place / path}", "bs=64k", "count=1", "iflag=direct",
                                         "status=none"], stdout=subprocess.PIPE)
                       for path in ("disk", "snapshots/2/disk")]
            # A program that waits for FUSE cannot be killed, so this waits for less time than the others.
            assert [reader.communicate(timeout=60)[0] for reader in readers] == [want, other]
            assert slow.poll() is None
        finally:
            os.kill(server, signal.SIGCONT)
            for process in (slow, *readers):
                process.wait()
        assert pair(below) == (keeper, server)


def test_damaged_list_of_snapshots(build, place):
    """The disk is shown all the same."""
    image = build(SNAPSHOTS + "layout\nput32 $snapshots+36 0xffffffff\n")  # the size of the first entry
    done = qcow2("mount", image, place)
    assert done.code == 0 and ": warning: cannot read the list of snapshots: " in done.err, done
    assert os.listdir(place) == ["disk"]
    qcow2_ok("umount", place)


def test_damaged_first_sector(build, place):
    """The disk is shown without partitions."""
    image = build(DAMAGED.replace("l2 0-19 data", "l2 0 raw 1<<63|513\nl2 1-19 data"))
    done = qcow2("mount", image, place)
    assert done.code == 0 and f"{image}: warning: cannot read the partition table: " in done.err, done
    assert os.listdir(place) == ["disk"] and pages_that_fail(place / "disk") == [0, 20]
    qcow2_ok("umount", place)


def test_damaged_snapshot(build, place):
    """The others can be read."""
    image = build(SNAPSHOTS.replace("snapshot 7", "snapshot 5 bad l1_pos=7\nsnapshot 7"))
    with mount(image, place):
        for call in (lambda: os.listdir(place / "snapshots/5"), lambda: os.stat(place / "snapshots/5/disk")):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.EINVAL
        assert os.stat(place / "snapshots/7/disk").st_size == 257 * K


# ---- Partitions, and the programs that read them ----

FAT, EXT4 = (2048, 16384), (20480, 40960)  # first sector, number of sectors


@pytest.fixture(scope="module")
def partitioned(tmp_path_factory):
    """An image with a FAT and an ext4 file system in a GPT, and a snapshot."""
    home = tmp_path_factory.mktemp("partitioned")
    raw, image = home / "raw", home / "disk.qcow2"
    os.truncate(os.open(raw, os.O_CREAT | os.O_RDWR), 40 * M)
    (home / "root").mkdir()
    (home / "root/hello").write_bytes(b"hello ext4\n" * 9999)
    (home / "hello.txt").write_bytes(b"hello FAT\n")
    succeed("sfdisk", "-q", raw, stdin="label: gpt\nstart={},size={}\nstart={},size={}\n".format(
        *FAT, *EXT4).encode())
    succeed("mkfs.ext4", "-q", "-F", "-d", home / "root", "-E", f"offset={EXT4[0] * 512}", raw, f"{EXT4[1] // 2}k")
    succeed("mkfs.vfat", "--offset", str(FAT[0]), raw, str(FAT[1] // 2))
    succeed("mcopy", "-i", f"{raw}@@{FAT[0] * 512}", home / "hello.txt", "::")
    qemu_img("convert", "-c", "-O", "qcow2", raw, image)
    qemu_img("snapshot", "-c", "before", image)
    return home


def test_programs_that_read_file_systems(partitioned, place):
    raw = (partitioned / "raw").read_bytes()
    with mount(partitioned / "disk.qcow2", place):
        assert sorted(os.listdir(place)) == ["disk", "p1", "p2", "snapshots"]
        for prefix in ("", "snapshots/1/"):
            for name, (begin, n) in (("p1", FAT), ("p2", EXT4), ("disk", (0, len(raw) // 512))):
                assert_same_bytes(raw[begin * 512:(begin + n) * 512], (place / prefix / name).read_bytes(), name)
        table = succeed("sfdisk", "--json", place / "disk").decode()
        assert f'"start": {EXT4[0]},' in table and '"label": "gpt"' in table
        want = (partitioned / "root/hello").read_bytes()
        assert succeed("debugfs", "-R", "cat /hello", place / "p2").endswith(want)
        assert succeed("mtype", "-i", place / "p1", "::hello.txt") == b"hello FAT\n"
        succeed("fsck.ext4", "-n", "-f", place / "p2")
        assert os.stat(place / "p2").st_blocks < EXT4[1] // 8


def is_let_go(place):
    """Has no loop device, and no fuse2fs, a file of the mount? Both end a moment after they are unmounted."""
    names = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            names.append(Path(f"/proc/{name}/cmdline").read_bytes())
    return (str(place) not in succeed("losetup", "-l", "-n", "-O", "BACK-FILE").decode() and
            not any(name.startswith(b"fuse2fs") and os.fsencode(place) in name for name in names))


def test_mount_of_a_mount(partitioned, place, tmp_path):
    """The file system in a partition, by a loop device, and by fuse2fs."""
    want = (partitioned / "root/hello").read_bytes()
    (tmp_path / "inner").mkdir()
    with mount(partitioned / "disk.qcow2", place):
        for how in (("mount", "-o", "ro,loop", place / "snapshots/1-before/p2"), ("fuse2fs", place / "p2")):
            succeed(*how, tmp_path / "inner", *(("-o", "ro") if how[0] == "fuse2fs" else ()))
            try:
                assert (tmp_path / "inner/hello").read_bytes() == want
                assert "busy" in qcow2("umount", place).err.lower() or how[0] == "fuse2fs"
            finally:
                wait_until(lambda: run("umount", tmp_path / "inner").code == 0)
                wait_until(lambda: is_let_go(place))


def entry_of(kind, begin, n):
    return struct.pack("<BxxxBxxxII", 0, kind, begin, n)


def test_logical_partitions(build, place):
    """An extended partition is not shown, but the partitions in it are. A partition ends with the disk,
    and one behind it is not shown."""
    table = entry_of(0x83, 8, 16) + entry_of(0x05, 64, 200) + entry_of(0x0c, 500, 99999) + entry_of(0x83, 9999, 8)
    logical = entry_of(0x83, 2, 30) + entry_of(0x05, 100, 50)
    second = entry_of(0x82, 1, 10) + bytes(16)
    raw = bytearray(b"x" * 512 * 514)
    for sector, entries in ((0, table), (64, logical), (164, second)):
        raw[sector * 512:(sector + 1) * 512] = entries.rjust(446 + len(entries), b"\0").ljust(510, b"\0") + b"\x55\xaa"
    raw[66 * 512:67 * 512] = b"5" * 512
    image = place.with_name("disk.raw")
    image.write_bytes(raw)
    with mount(image, place, "--format", "raw"):
        sizes = {name: os.path.getsize(place / name) // 512 for name in os.listdir(place)}
        assert sizes == {"disk": 514, "p1": 16, "p3": 14, "p5": 30, "p6": 10}
        assert (place / "p5").read_bytes() == bytes(raw[66 * 512:96 * 512])


def test_hostile_table(build, place):
    """A loop of logical partitions: what has been found before is shown, after a warning."""
    raw = bytearray(M)
    for sector, entries in ((0, entry_of(0x05, 64, 200)), (64, entry_of(0x83, 2, 3) + entry_of(0x05, 0, 200))):
        raw[sector * 512:(sector + 1) * 512] = entries.rjust(446 + len(entries), b"\0").ljust(510, b"\0") + b"\x55\xaa"
    image = place.with_name("disk.raw")
    image.write_bytes(raw)
    done = qcow2("mount", "--format=raw", image, place)
    assert done.code == 0 and done.err == (
        f"qcow2: {image}: warning: partition table: the list of logical partitions is a loop\n")
    assert sorted(os.listdir(place)) == ["disk", "p5"]
    qcow2_ok("umount", place)


# ---- Damage ----

def pages_that_fail(path):
    failed = []
    with open(path, "rb", buffering=0) as file:
        for at in range(0, os.path.getsize(path), 4 * K):
            try:
                assert len(os.pread(file.fileno(), 4 * K, at)) == 4 * K
            except OSError as error:
                assert error.errno == errno.EIO
                failed.append(at // 4096)
    return failed


def test_damaged_cluster(build, place):
    """Only the damaged cluster is EIO, although the kernel reads ahead."""
    image = build(DAMAGED)
    with mount(image, place):
        assert pages_that_fail(place / "disk") == [20]
        os.stat(place / "disk")
        fd = os.open(place / "disk", os.O_RDONLY)
        assert os.pread(fd, 80 * K, 0) == qcow2_ok("cat", "-n", "80k", image)
        assert os.pread(fd, M, 84 * K) == qcow2_ok("cat", "-s", "84k", image)
        assert os.lseek(fd, 0, os.SEEK_HOLE) == M  # what is damaged is no hole
        os.close(fd)


def test_foreground_prints_what_fails(build, place):
    image = build(DAMAGED)
    with mount_in_foreground(image, place) as process:
        assert pages_that_fail(place / "disk") == [20]
        qcow2_ok("umount", place)
        _, err = process.communicate()
    assert process.returncode == 0
    lines = err.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"qcow2: {image}: ") and "81920" in lines[0], lines


# ---- Data that goes through a pipe ----

LONG = "size 4M\nl2 0-29 data\nl2 40-50 data\n"


def long_chain(image):
    make(LONG, image.with_name("base"))
    make('size 4M\nbacking "base" qcow2\nl2 35-60 data as b\n', image)


def long_raw(image):
    image.with_name("base").write_bytes(bytes(range(256)) * 4 * K + b"end")
    make('size 4M\nbacking "base" raw\nl2 40-60 data\n', image)


def long_data_file(image):
    make(LONG.replace("4M\n", '4M\ndata_file "data"\n'), image, "-d", image.with_name("data"))


def long_inside(image):
    make(LONG, image)
    image.write_bytes(bytes(1536) + image.read_bytes())


LONG_IMAGES = {
    "image": (from_recipe(LONG), ()),
    "snapshot": (from_recipe(LONG + "snapshot 1 old\nl2 0-5 data as b\nactive\n"), ("-l", "old")),
    "chain": (long_chain, ("--follow",)),
    "short raw file": (long_raw, ("--follow",)),
    "data file": (long_data_file, ("--follow",)),
    "not in whole pages": (long_inside, ("--image-at=1536",)),
    "raw": (lambda image: image.write_bytes(bytes(range(255)) * 4 * K), ("--format=raw",)),
}


# The runtime of a sanitizer cannot look for leaks in a program that strace traces.
STRACE = ("env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-f", "-qq", "-o")


@pytest.mark.parametrize("name", LONG_IMAGES)
def test_pipe(name, image, place, tmp_path):
    """The bytes are the same, and the sandbox allows the pipe."""
    create, options = LONG_IMAGES[name]
    create(image)
    log = tmp_path / "log"
    with mount_in_foreground(image, place, *options, program=(*STRACE, log, "-e", "trace=splice", QCOW2)) as process:
        assert_same_bytes(qcow2_ok("cat", *options, image), (place / "disk").read_bytes(), name)
        qcow2_ok("umount", place)
        assert process.wait() == 0
    ends = [line.rsplit("= ", 1)[1] for line in log.read_text().splitlines() if " = " in line]
    assert len(ends) > 3 and all(int(end) > 0 for end in ends), ends


@pytest.mark.parametrize("fault", (f"splice 1 99999 {errno.EINVAL}", f"splice 2 99999 {errno.EIO}", "splice 1 99999 0",
                                   f"write 2 99999 {errno.EAGAIN}", f"fcntl 4 99999 {errno.EPERM}"))
def test_pipe_fails(fault, build, place):
    """Then the data is copied."""
    image = build(LONG)
    want = qcow2_ok("cat", image)
    succeed("env", f"QCOW2_FAULT={fault}", FAULTS, "mount", image, place)
    try:
        assert_same_bytes(want, (place / "disk").read_bytes(), fault)
    finally:
        qcow2_ok("umount", place)
        wait_until(lambda: is_gone(place))


def test_file_that_becomes_shorter(image, place, tmp_path):
    """What is gone is EIO, and the file in the mount keeps its size."""
    (tmp_path / "raw").write_bytes(b"x" * 4 * M)
    qemu_img("convert", "-O", "qcow2", tmp_path / "raw", image)  # with the data behind all tables
    with mount(image, place), open(place / "disk", "rb", buffering=0) as file:
        want = os.pread(file.fileno(), 64 * K, 0)
        os.truncate(image, os.path.getsize(image) - M - 9999)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(file.fileno(), 64 * K, 0) == want
        with pytest.raises(OSError) as caught:
            while file.read(64 * K):
                pass
        assert caught.value.errno == errno.EIO and 2 * M < file.tell() < 3 * M
        assert os.fstat(file.fileno()).st_size == 4 * M


# ---- Ends ----

@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
@pytest.mark.parametrize("foreground", (True, False))
def test_signal_unmounts(foreground, number, build, place):
    """Even if a file is open."""
    image = build(CONTENT)
    if foreground:
        with mount_in_foreground(image, place) as process:
            fd = os.open(place / "disk", os.O_RDONLY)
            process.send_signal(number)
            assert process.wait() == 0 and process.stderr.read() == b""
            for call in (lambda: os.pread(fd, 9, 100 * K), lambda: os.close(fd)):
                with pytest.raises(OSError) as caught:
                    call()
                assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    else:
        qcow2_ok("mount", image, place)
        os.kill(pair(place)[0], number)
        wait_until(lambda: is_gone(place))
    assert os.listdir(place) == []


def test_server_dies(build, place):
    """The keeper unmounts if the server has crashed."""
    image = build(CONTENT)
    with mount_in_foreground(image, place) as process:
        wait_until(lambda: pair(place))
        os.kill(pair(place)[1], signal.SIGABRT)  # the sanitizers catch SIGSEGV
        assert process.wait() == 1
        assert process.stderr.read().decode() == f"qcow2: {place}: unmounted, because signal 6 ended the server\n"
    assert os.listdir(place) == []


def test_stop_and_continue(build, place):
    """Ctrl-Z and fg: the mount stays."""
    with mount_in_foreground(build(CONTENT), place) as process:
        wait_until(lambda: pair(place))
        for number, state in ((signal.SIGSTOP, "T"), (signal.SIGCONT, "S")):
            process.send_signal(number)
            wait_until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1][0] == state)
        time.sleep(0.1)  # time in which it must not unmount
        assert process.poll() is None and os.listdir(place) == ["disk"]
        qcow2_ok("umount", place)
        assert process.wait() == 0


def test_ignored_sigchld(build, place):
    """The keeper unmounts, although a program that ignores the end of its children has started it."""
    succeed("env", "--ignore-signal=CHLD", QCOW2, "mount", build(CONTENT), place)
    os.kill(pair(place)[1], signal.SIGKILL)
    wait_until(lambda: is_gone(place))


@pytest.mark.parametrize("options", (("-f", ), ()))
def test_signal_while_mounting(options, build, place):
    """A signal that comes just then leaves no mount without a process behind it."""
    done = run(*STRACE, "/dev/null", "-e", "inject=mount:signal=SIGINT", QCOW2, "mount", *options, build(CONTENT), place)
    assert done.code == (0 if options else -signal.SIGINT) and done.err == "", done
    wait_until(lambda: is_gone(place))


@pytest.mark.skipif(MEMORY == 0, reason="a build with sanitizers makes no such call, because it has no sandbox")
def test_server_dies_at_the_start(build, place):
    """There is a message, and nothing is mounted when the command ends."""
    done = run(*STRACE, "/dev/null", "-e", "inject=prctl:signal=SIGKILL", QCOW2, "mount", build(CONTENT), place)
    assert done.code == 1 and done.err == f"qcow2: {place}: unmounted, because signal 9 ended the server\n", done
    assert str(place) not in mounted()


def test_all_are_killed(build, place):
    """What is then left of the mount can be unmounted."""
    qcow2_ok("mount", build(CONTENT), place)
    for pid in processes(place):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes(place))
    with pytest.raises(OSError) as caught:
        os.listdir(place)
    # The second, if the call comes while the server ends.
    assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    assert qcow2("umount", place / "below").err == f"qcow2: {place}/below: not mounted by 'qcow2 mount'\n"
    qcow2_ok("umount", f"{place}/")


def test_umount_under_load(build, place):
    """It is refused while programs read, and works afterwards."""
    image = build("size 64M\nl2 0-900 data\n")
    qcow2_ok("mount", image, place)
    readers = [subprocess.Popen(["sh", "-c", "exec dd if=disk of=/dev/null bs=64k iflag=direct,fullblock; :"],
                                cwd=place, stderr=subprocess.DEVNULL) for _ in range(4)]
    refused(qcow2("umount", place), str(place), "; a program still uses it")
    assert all(reader.wait() == 0 for reader in readers)
    qcow2_ok("umount", place)
    wait_until(lambda: is_gone(place))


def test_parallel_reads(build, place):
    """Several programs read at once, each the right bytes."""
    image = build("size 8M\nl2 0-60 data\nl2 70-100 compressed\n")
    want = qcow2_ok("cat", image)
    with mount(image, place):
        readers = [subprocess.Popen(["cat", place / "disk"], stdout=subprocess.PIPE) for _ in range(6)]
        assert all(reader.communicate()[0] == want for reader in readers)


def test_many_mounts(build, place):
    """A thousand mounts leave no process and no mount behind."""
    image = build("size 64k\nl2 0 data\n")
    script = 'i=0; while [ $i -lt 1000 ]; do "$0" mount "$1" "$2" && "$0" umount "$2" || exit 1; i=$((i + 1)); done'
    succeed("sh", "-c", script, QCOW2, image, place)
    wait_until(lambda: is_gone(place))


# ---- Users, options, failures ----

@pytest.fixture
def open_fuse():
    """/dev/fuse with the mode that distributions give it."""
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    os.chmod("/dev/fuse", 0o666)
    yield
    os.chmod("/dev/fuse", mode)


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture
def program(place, open_fuse, monkeypatch):  # pylint: disable=unused-argument
    """The command, where the user `nobody` can start it. This user owns the directory and can read what is
    beside it."""
    if "LLVM_PROFILE_FILE" in os.environ:  # the measured build writes there
        profiles = Path(os.environ["LLVM_PROFILE_FILE"]).parent
        profiles.chmod(0o777)
        monkeypatch.setenv("LLVM_PROFILE_FILE", f"{profiles}/nobody-%c%m.profraw")
    os.chown(place, 65534, 65534)
    for directory in (place, *place.parents):
        if directory.stat().st_uid == os.getuid():
            directory.chmod(directory.stat().st_mode | 0o755)
    if place.parents[0].stat().st_mode & 0o5 != 0o5:
        pytest.fail("the directory of the tests is not open to others")
    return shutil.copy(QCOW2, place.with_name("qcow2"))


def test_file_system_without_root(partitioned, program, place):
    """The file system in a partition, by fuse2fs, all by the user `nobody`."""
    image, inner = shutil.copy(partitioned / "disk.qcow2", place.with_name("image")), place.with_name("inner")
    os.chmod(image, 0o644)
    inner.mkdir()
    os.chown(inner, 65534, 65534)
    succeed(*AS_NOBODY, program, "mount", image, place)
    try:
        succeed(*AS_NOBODY, "fuse2fs", place / "p2", inner, "-o", "ro,fakeroot")
        want = (partitioned / "root/hello").read_bytes()
        assert succeed(*AS_NOBODY, "cat", inner / "hello") == want
    finally:
        run(*AS_NOBODY, "fusermount3", "-u", inner)
        wait_until(lambda: run(*AS_NOBODY, program, "umount", place).code == 0)


def test_without_root(build, program, place):
    image = build(SNAPSHOTS)
    image.chmod(0o644)
    succeed(*AS_NOBODY, program, "mount", image, place)
    got = succeed(*AS_NOBODY, "cat", place / "snapshots/7/disk")
    assert got == qcow2_ok("cat", "-l", "7", image)
    assert succeed(*AS_NOBODY, "stat", "-c", "%u", place / "disk") == b"65534\n"
    with pytest.raises(PermissionError):  # without allow_other, not even root
        os.listdir(place)
    done = run(shutil.which("setpriv"), *AS_NOBODY[1:], program, "umount", place, env=dict(os.environ, PATH="/nowhere"))
    assert done.code == 1 and done.err == (
        "qcow2: fusermount3: No such file or directory; in Debian, the package fuse3 has it\n"), done
    for ignore in ((), ("env", "--ignore-signal=CHLD")):
        script = 'exec 9< "$0/disk"; exec "$@"'
        done = run(*AS_NOBODY, "sh", "-c", script, place, *ignore, program, "umount", place)
        assert done.code == 1 and "busy" in done.err, done
    succeed(*AS_NOBODY, program, "umount", place)
    wait_until(lambda: is_gone(place))
    os.chmod("/dev/fuse", 0o600)
    done = run(*AS_NOBODY, program, "mount", image, place)
    assert done.code == 1 and done.err == "qcow2: /dev/fuse: Permission denied; its mode should be 0666\n", done
    os.chmod("/dev/fuse", 0o666)
    done = run("unshare", "-m", "sh", "-c", 'mount --bind /dev/null /usr/bin/fusermount3; exec "$@"', "sh", *AS_NOBODY,
               program, "mount", image, place, env=dict(os.environ, PATH="/bin:/nowhere::"))
    assert done.code == 1 and done.err.startswith("qcow2: fusermount3: not found; "), done


def test_without_memory(home, place):
    """Each of the blocks of memory is missing once: there is a message, or all works."""
    failures = 0
    for call in ("calloc", "malloc"):
        for n in range(1, 13):
            env = dict(os.environ, QCOW2_FAULT=f"{call} {n} 99999 {errno.ENOMEM}")
            done = run(FAULTS, "mount", home / "listed", place, "--layer-only", env=env)
            if done.code == 0:
                wait_until(lambda: run(QCOW2, "umount", place).code == 0)
            else:
                failures += 1
                assert done.code == 1 and done.err.startswith("qcow2: "), done
            wait_until(lambda: is_gone(place))
    assert failures > 3


def test_without_rights(build, place):
    """Root in a container may not mount."""
    done = run("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", QCOW2, "mount", build(CONTENT), place)
    assert done.code == 1 and f"qcow2: {place}: " in done.err, done


def test_options_of_fuse(build, place):
    image = build(CONTENT)
    with mount(image, place, "-o", "allow_other,rw", "-o", "max_read=65536", "--no-sandbox"):
        line = next(line for line in Path("/proc/self/mounts").read_text().splitlines() if str(place) in line)
        words = line.split()
        assert words[0] == str(image) and words[2] == "fuse.qcow2"
        assert {"ro", "nosuid", "nodev", "allow_other", "max_read=65536"} <= set(words[3].split(","))
    refused(qcow2("mount", "-o", "nonsense", image, place), "mount: unknown option(s): `-o nonsense'")
    refused(qcow2("mount", "-o", "max_read=x", image, place), "mount: ")


def test_name_with_comma(build, place):
    """It is one option for FUSE."""
    image = build(CONTENT, "a,b\\c")
    with mount(image, place):
        assert f"{image.parent}/a,b\\134c {place} fuse.qcow2 ro," in Path("/proc/self/mounts").read_text()


def test_refused(build, image, place, tmp_path):
    build(CONTENT)
    (tmp_path / "file").write_bytes(b"")
    refused(qcow2("mount", image, tmp_path / "missing"), "missing: No such file or directory")
    refused(qcow2("mount", image, tmp_path / "file"), "file: Not a directory")
    refused(qcow2("mount", tmp_path / "file", place), "not a qcow2 image")
    refused(qcow2("umount", place), f"{place}: not mounted by 'qcow2 mount'")
    refused(qcow2("umount", tmp_path / "missing"), "No such file or directory")
    refused(qcow2("umount", "/proc"), "/proc: not mounted by 'qcow2 mount'")
    with mount(image, place):
        succeed("mount", "-t", "tmpfs", "tmpfs", place)  # umount(2) takes the one on top
        refused(qcow2("umount", place), f"{place}: not mounted by 'qcow2 mount'")
        succeed("umount", place)
    assert str(place) not in mounted()


def test_without_device(build, place):
    image = build(CONTENT)
    script = 'mount -t tmpfs tmpfs /dev && exec "$@"'
    done = run("unshare", "-m", "sh", "-c", script, "sh", QCOW2, "mount", image, place)
    assert done.code == 1 and done.err.endswith(
        ": /dev/fuse: No such file or directory; is the module loaded? 'modprobe fuse' loads it\n"), done
