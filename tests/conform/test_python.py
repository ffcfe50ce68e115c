# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""port/python/qcow2.py: the same as the command, a file like others, and structs as in the header."""
import contextlib
import ctypes
import enum
import errno
import hashlib
import importlib.util
import io
import os
import pickle
import random
import re
import resource
import shutil
import signal
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from conform import (BROKEN, K, M, PLAIN, QCOW2, ROOT, create_luks, make_chain, qcow2_json, qcow2_ok,
                     qemu_img, qemu_io, run, succeed, write_file)

FOLDER = ROOT / "port/python"
LIBRARY = str(Path(QCOW2).resolve().parent / "libqcow2.so.0")
ENCRYPTED = PLAIN.replace("l2 0-3", "encrypt luks password=abc\nl2 0-3")
SNAPSHOTS = ('cluster_bits 12\nsize 64k\nl2 0 data\n'
             'snapshot 1 first disk_size=32k date_sec=86400 date_nsec=5 vm_clock=77\nl2 2 data\nactive\n'
             'snapshot 2 "a name" extra=24 icount=77\nactive\n')


def load():
    """The module, with the library of the build under test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIBQCOW2", LIBRARY)
        patch.setattr(sys, "dont_write_bytecode", True)
        spec = importlib.util.spec_from_file_location("qcow2", FOLDER / "qcow2.py")
        module = sys.modules["qcow2"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


q = load()


def descriptors():
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                  if os.path.lexists(f"/proc/self/fd/{fd}"))


def raises(kind, number, status, call):
    """Checks an exception: its class, its errno and the status of the library. Returns it."""
    with pytest.raises(OSError) as caught:
        call()
    error = caught.value
    assert (type(error), error.errno, error.status) == (kind, number, status), error
    return error


def joined(segments):
    """The segments as `map --json` has them, which joins those that continue each other."""
    entries = []
    for s in segments:
        entry = {"start": s.start, "length": s.length, "depth": s.depth, "present": s.present,
                 "zero": s.zero, "data": s.data, "compressed": s.compressed}
        if s.file_offset is not None:
            entry["offset"] = s.file_offset
        last = entries[-1] if entries else {}
        follows = {**entry, "start": last.get("start"), "length": last.get("length")}
        if "offset" in entry and "offset" in last:
            follows["offset"] = entry["offset"] - last["length"]
        if follows == last:
            last["length"] += s.length
        else:
            entries.append(entry)
    return entries


def same_disk(image, *options, **arguments):
    with q.open(image, **arguments) as disk:
        content = qcow2_ok("cat", *options, image)
        assert disk.read() == content and disk.size == len(content) == disk.tell()
        assert joined(disk.map()) == qcow2_json("map", *options, image)
    return content


# ---- The same as the command ----

@pytest.mark.parametrize("recipe", (
    PLAIN, "version 2\nsize 1M\nl2 3 data\n",
    "cluster_bits 9\nsize 70000\nl2 3-90 data\nl2 95 compressed\n",
    "cluster_bits 16\nextended_l2\nsize 1M\nl2 1 subclusters 0xf0\nl2 2 data\n"))
def test_disk(recipe, build):
    same_disk(build(recipe))


def test_sample():
    content = same_disk(ROOT / "tests/data/sample.qcow2")
    assert hashlib.sha256(content).hexdigest() == (ROOT / "tests/data/sample.sha256").read_text().strip()


def test_chain(tmp_path):
    top = make_chain(tmp_path, 3)
    assert any(same_disk(top, "--follow", follow=True))
    same_disk(top, "--follow", follow="any")
    files = [tmp_path / "001", (tmp_path / "000", "qcow2")]
    same_disk(top, *(f"--backing={tmp_path / name}" for name in ("001", "000")), backing=files)
    with q.open(top, backing=files) as disk:
        assert [disk.info(i).backing_file for i in range(3)] == ["001", "000", None]
        assert [disk.info(i).backing_format for i in range(3)] == ["qcow2", "qcow2", None]
        raises(FileNotFoundError, errno.ENOENT, None, lambda: disk.info(3))
    with q.open(top, layer_only=True) as disk:
        assert not any(disk.read())
    error = raises(OSError, errno.ENOTSUP, q.Status.BACKING, lambda: q.open(top))
    assert error.names_file and error.file == str(top) and "001" in error.strerror


def test_files_by_descriptor(tmp_path):
    """The caller keeps its descriptors."""
    write_file(tmp_path / "base.raw", bytes(range(256)) * 256)
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", tmp_path / "disk")
    with contextlib.ExitStack() as stack:
        fds = []
        for name in ("disk", "base.raw"):
            fds.append(os.open(tmp_path / name, os.O_RDONLY))
            stack.callback(os.close, fds[-1])
        before = descriptors()
        for below in (fds[1], [(fds[1], "raw")]):
            with q.open(fds[0], backing=below) as disk:
                assert disk.read() == bytes(range(256)) * 256
        with pytest.raises(OSError) as caught:
            q.open(fds[0], backing=[fds[1], fds[0]])  # one more than the chain has
        assert caught.value.file is None
        with pytest.raises(OSError, match="Bad file descriptor"):
            q.open(10 ** 6, backing=fds[1], data_file=fds[1])
        assert descriptors() == before


def test_data_file(build, image):
    build('cluster_bits 12\nsize 64k\ndata_file "disk.raw"\nl2 0-2 data\n')
    data = image.with_name("disk.raw")
    same_disk(image, f"--data-file={data}", data_file=data)
    with q.open(image, inspect=True) as disk:
        assert disk.info().data_file == "disk.raw"


def test_snapshots(build):
    image = build(SNAPSHOTS)
    with q.open(image) as disk:
        first, second = disk.snapshots()
    assert first == q.Snapshot("1", "first", 32 * K, 0, 77, None, 86400, 5)
    assert (second.id, second.name, second.icount) == ("2", "a name", 77)
    for name in ("1", "a name", b"first"):
        same_disk(image, f"--snapshot={os.fsdecode(name)}", snapshot=name)
    raises(FileNotFoundError, errno.ENOENT, q.Status.NOT_FOUND, lambda: q.open(image, snapshot="3"))
    raises(FileNotFoundError, errno.ENOENT, q.Status.NOT_FOUND,
           lambda: q.open(image, snapshot="1", vm_state=True))
    raises(OSError, errno.EINVAL, None, lambda: q.open(image, vm_state=True))


def test_names_of_any_bytes(build):
    """A name can be passed back as it came, and shown."""
    image = build("size 64k\nsnapshot 1 \"\xff\x1b\"\nactive\nl2 0 data\n")
    with q.open(image) as disk:
        name = disk.snapshots()[0].name
    with q.open(image, snapshot=name) as disk:
        assert disk.size == 64 * K and not any(disk.read())
    assert q.printable(name) == r"\xff\x1b" and q.printable("a ä") == "a ä"


def test_bitmaps(image):
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    for granularity, name in ((512, "fine"), (64 * K, "coarse")):
        qemu_img("bitmap", "--add", "-g", str(granularity), image, name)
    qemu_io(image, "write 5k 512", "write 512k 64k")
    with q.open(image) as disk:
        assert disk.bitmaps() == [q.Bitmap("fine", 512, False, True),
                                  q.Bitmap("coarse", 64 * K, False, True)]
        for names in (("fine",), ("coarse",), ("coarse", "fine")):
            ours = [r for r in disk.dirty(*names) if r.dirty]
            options = [f"--bitmap={name}" for name in names]
            theirs = [e for e in qcow2_json("map", *options, image) if e["dirty"]]
            assert sum(r.length for r in ours) == sum(e["length"] for e in theirs) > 0
            assert ours[0].start == theirs[0]["start"]
        raises(FileNotFoundError, errno.ENOENT, q.Status.NOT_FOUND, lambda: list(disk.dirty("none")))
        raises(OSError, errno.EINVAL, None, lambda: list(disk.dirty()))


def test_info(build):
    with q.open(build(PLAIN)) as disk:
        info = disk.info()
    assert (info.format, info.version, info.size, info.cluster_size) == ("qcow2", 3, 64 * K, 4 * K)
    assert (info.compression, info.encryption, info.refcount_bits) == ("zlib", None, 16)
    assert not info.corrupt and not info.incomplete


def test_part_of_a_file(build, tmp_path):
    image = build(PLAIN)
    outer = write_file(tmp_path / "outer", b"x" * 1000 + image.read_bytes() + b"y" * 1000)
    with q.open(outer, image_offset=1000, image_length=image.stat().st_size) as disk:
        assert disk.read() == qcow2_ok("cat", image) and disk.info().file_start == 1000
    with q.open(image, format="raw") as disk:
        assert disk.read() == image.read_bytes()


def test_cut(image):
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    qemu_io(image, "write 0 128k")
    with q.open(image) as disk:
        os.truncate(image, next(disk.map()).file_offset + 64 * K)
    with q.open(image) as disk:
        error = raises(OSError, errno.EIO, q.Status.TRUNCATED, disk.read)
        assert error.looks_cut and error.offset == 64 * K
    same_disk(image, "--allow-truncated", allow_truncated=True)


# ---- Passwords ----

def test_password(build, tmp_path):
    image = build(ENCRYPTED)
    key_file = write_file(tmp_path / "key", b"abc")
    asked = []

    def ask(request):
        asked.append(request)
        return b"abc"

    for key in (b"abc", bytearray(b"abc"), ask):
        same_disk(image, f"--key-file={key_file}", key=key)
    (request,) = asked
    assert (request.depth, request.method, request.path) == (0, "luks", str(image))
    assert len(request.uuid) == 36
    raises(PermissionError, errno.EACCES, q.Status.KEY, lambda: q.open(image, key=b"wrong"))
    raises(PermissionError, errno.EACCES, q.Status.KEY, lambda: q.open(image, key=b""))
    raises(OSError, errno.ENOTSUP, q.Status.ENCRYPTED, lambda: q.open(image))
    raises(OSError, errno.ENOTSUP, q.Status.ENCRYPTED, lambda: q.open(image, key=lambda request: None))
    raises(OSError, errno.EFBIG, q.Status.TOO_BIG, lambda: q.open(image, key=b"abc", max_iterations=1))
    with q.open(image, without_keys=True) as disk:
        assert next(disk.map()).encrypted
        raises(OSError, errno.ENOTSUP, q.Status.ENCRYPTED, disk.read)


def test_password_of_qemu(image):
    create_luks(image, "1M")
    same_disk(image, f"--key-file={write_file(image.with_name('key'), b'abc')}", key=b"abc")


def test_password_is_let_go(build):
    """The caller can wipe and free a bytearray at once, also if the password is wrong."""
    image = build(ENCRYPTED)
    for right, password in ((True, bytearray(b"abc")), (False, bytearray(b"abcd"))):
        with contextlib.suppress(PermissionError):
            q.open(image, key=password).close()
            assert right
        password.clear()  # BufferError if something still uses it


def test_key_function_raises(build):
    before = descriptors()
    for wrong, kind in ((lambda request: 1 // 0, ZeroDivisionError), (lambda request: "abc", TypeError)):
        with pytest.raises(kind):
            q.open(build(ENCRYPTED), key=wrong)
    assert descriptors() == before


# ---- Errors ----

def test_failures(build, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        q.open(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
    text = write_file(tmp_path / "text", b"no image" * 100)
    error = raises(OSError, errno.EINVAL, q.Status.NOT_QCOW2, lambda: q.open(text))
    assert error.file == str(text) and error.depth == 0 and error.offset is None
    raises(IsADirectoryError, errno.EISDIR, None, lambda: q.open(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    raises(OSError, errno.ESPIPE, None, lambda: q.open(tmp_path / "fifo"))


def test_damaged_cluster(build):
    image = build(BROKEN)
    with q.open(image) as disk:
        disk.seek(8 * 4 * K)
        error = raises(OSError, errno.EIO, q.Status.L2_ENTRY, lambda: disk.read(16 * K))
        assert (error.file, error.depth, error.looks_cut) == (str(image), 0, False)
        assert error.offset == 9 * 4 * K and error.length == 4 * K and error.position > 0
        assert disk.tell() == 8 * 4 * K  # a failure does not move it
        assert disk.pread(100, error.offset + error.length) == bytes(100)
        raises(OSError, errno.EIO, q.Status.L2_ENTRY, lambda: list(disk.map()))
        assert next(disk.map(error.offset + error.length)).start == 10 * 4 * K
    assert error.strerror in run(QCOW2, "cat", image).err


@pytest.mark.parametrize("arguments", (
    {"follow": "some"}, {"image_offset": -1}, {"image_length": 1 << 64}, {"max_readers": 1 << 32},
    {"snapshot": "a\0b"}, {"format": "raw\0"}))
def test_wrong_arguments(arguments, build):
    before = descriptors()
    with pytest.raises(ValueError):
        q.open(build(PLAIN), **arguments)
    assert descriptors() == before


def test_no_library():
    done = run(sys.executable, "-c", "import qcow2", env={"LIBQCOW2": "/none", "PYTHONPATH": str(FOLDER),
                                                         "PYTHONDONTWRITEBYTECODE": "1"})
    last = done.err.splitlines()[-1]
    assert done.code == 1 and last.startswith("ImportError: cannot load the library") and "/none" in last


# ---- A file like others ----

@pytest.fixture
def disk(build):
    with q.open(build(PLAIN)) as opened:
        yield opened


def test_position(disk):
    content = disk.readall()
    assert disk.read() == disk.read(5) == b"" == disk.pread(5, disk.size) == disk.pread(5, disk.size + 5)
    assert disk.seek(-10, os.SEEK_END) == disk.size - 10 and disk.read(100) == content[-10:]
    assert disk.seek(100) == 100 and disk.seek(-50, os.SEEK_CUR) == disk.tell() == 50
    buffer = bytearray(20)
    assert disk.readinto(buffer) == 20 and buffer == content[50:70] and disk.tell() == 70
    assert disk.readinto(memoryview(buffer)[5:9]) == 4 and buffer[5:9] == content[70:74]
    assert disk.readinto(bytearray()) == 0 == disk.pread_into(bytearray(), 0)
    assert disk.seek(disk.size + M) == disk.size + M and disk.readinto(buffer) == 0
    assert disk.seek(disk.size - 5) and disk.readinto(buffer) == 5 and buffer[:5] == content[-5:]
    with pytest.raises(OSError, match="Invalid argument"):
        disk.seek(-1)
    for wrong in (lambda: disk.seek(0, 7), lambda: disk.pread(-1, 0), lambda: disk.pread(1, -1),
                  lambda: next(disk.map(-1)), lambda: disk.info(-1)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(TypeError):
        disk.readinto(b"not writable")


def test_part_of_the_map(disk):
    assert [(s.start, s.length) for s in disk.map(5000, 1000)] == [(5000, 1000)]
    assert list(disk.map(disk.size)) == list(disk.map(0, 0)) == []
    assert sum(s.length for s in disk.map(5000)) == disk.size - 5000


def test_as_a_file(disk, image, tmp_path):
    assert disk.readable() and disk.seekable() and not disk.writable() and not disk.isatty()
    assert disk.name == image and "disk.qcow2" in repr(disk)
    for refused in (disk.fileno, lambda: disk.write(b"x"), lambda: disk.truncate(0)):
        with pytest.raises(io.UnsupportedOperation):
            refused()
    with pytest.raises(TypeError):
        pickle.dumps(disk)
    content = disk.readall()
    disk.seek(0)
    with open(tmp_path / "copy", "wb") as copy:
        shutil.copyfileobj(disk, copy)
    assert (tmp_path / "copy").read_bytes() == content
    disk.seek(0)
    digest, buffer = hashlib.sha256(), bytearray(5000)
    while n := disk.readinto(buffer):
        digest.update(buffer[:n])
    assert digest.digest() == hashlib.sha256(content).digest()
    disk.seek(0)
    if hasattr(hashlib, "file_digest"):
        assert hashlib.file_digest(disk, "sha256").digest() == digest.digest()
    disk.seek(0)
    buffered = io.BufferedReader(disk, 1000)
    assert buffered.read(10) == content[:10] and buffered.peek(1)[:1] == content[10:11]
    assert buffered.seek(-3, os.SEEK_END) and buffered.read() == content[-3:]
    buffered.close()
    assert disk.closed


def test_closed(disk):
    segments = disk.map()
    next(segments)
    disk.close()
    disk.close()
    assert disk.closed and disk.size == 64 * K and "closed" in repr(disk)
    for call in (disk.read, lambda: disk.pread(1, 0), lambda: disk.readinto(bytearray(1)), disk.tell,
                 lambda: disk.seek(0), disk.readable, disk.seekable, lambda: list(segments),
                 disk.snapshots, disk.bitmaps, disk.info, lambda: list(disk.dirty("b")), disk.__enter__):
        with pytest.raises(ValueError):
            call()


def test_large(image):
    """Offsets and lengths above 4 GiB; the memory for a read is that of the disk's end at most."""
    qemu_img("create", "-q", "-f", "qcow2", image, "8T")
    qemu_io(image, f"write -P 7 {(8 << 40) - 512} 512")
    with q.open(image) as disk:
        assert disk.size == 8 << 40 and disk.seek(-1000, os.SEEK_END)
        assert disk.read(1 << 50) == bytes(488) + b"\7" * 512
        assert sum(s.length for s in disk.map() if s.data) == 64 * K


# ---- Threads and descriptors ----

@contextlib.contextmanager
def in_threads(n, work):
    """Runs work(i) in n threads meanwhile; raises what one of them raised."""
    raised = []

    def one(i):
        try:
            work(i)
        except BaseException as error:
            raised.append(error)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_threads(disk):
    content = disk.pread(disk.size, 0)

    def work(i):
        chance = random.Random(i)
        for _ in range(200):
            at, length = chance.randrange(disk.size), chance.randrange(10 * K)
            assert disk.pread(length, at) == content[at:at + length]
    with in_threads(8, work):
        pass


def test_failures_of_threads(build):
    """The last failure belongs to the thread."""
    with q.open(build(BROKEN)) as disk, q.open(build("size 64k\n", "other")) as other:
        def work(i):
            for _ in range(100):
                if i % 2:
                    raises(OSError, errno.EIO, q.Status.L2_ENTRY, lambda: disk.pread(1, 9 * 4 * K))
                else:
                    raises(FileNotFoundError, errno.ENOENT, None, lambda: other.info(5))
        with in_threads(4, work):
            pass


def test_close_while_threads_read(build):
    """What the threads read is right until they get ValueError, and the last one frees the image."""
    image, before = build(PLAIN), descriptors()
    for _ in range(10):
        disk = q.open(image)
        content, begun = disk.read(), threading.Semaphore(0)

        def work(_, disk=disk, content=content, begun=begun):
            for i in range(1 << 30):
                try:
                    assert disk.pread(disk.size, 0) == content
                except ValueError:
                    return
                finally:
                    if i == 0:
                        begun.release()
        with in_threads(4, work):
            for _ in range(4):
                begun.acquire()
            disk.close()
        assert descriptors() == before


def test_close_in_a_signal_handler(build):
    """It neither waits for the read that it interrupts nor frees what that uses."""
    image, before = build(PLAIN), descriptors()
    for delay in range(1, 21):
        disk = q.open(image)
        content = disk.pread(disk.size, 0)
        old = signal.signal(signal.SIGALRM, lambda *_, disk=disk: disk.close())
        signal.setitimer(signal.ITIMER_REAL, delay / 10000)
        try:
            with pytest.raises(ValueError):
                while True:
                    assert disk.pread(disk.size, 0) == content
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        assert descriptors() == before


def test_1000_opens(build):
    """They leave no descriptor, whether closed, forgotten or failed, and no memory to speak of."""
    image, broken = build(SNAPSHOTS), build("size 64k\nput8 7 9\n", "other")

    def open_often(n):
        for i in range(n):
            disk = q.open(image)
            disk.read(10)
            disk.snapshots()
            if i % 2:
                disk.close()
            del disk
            with pytest.raises(OSError):
                q.open(broken)
    open_often(100)
    before, memory = descriptors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    open_often(900)
    assert descriptors() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory + 4 * K  # KiB; 4 MiB


# ---- The header, and the words ----

def expression(struct, field):
    return f"((struct {struct} *)0)->{field}"


def test_as_the_header(tmp_path):
    """Structs, fields, their order, sizes and signs, and the values of constants."""
    want = []
    for struct, name in q._STRUCTS.items():
        want.append((f"sizeof(struct {name})", ctypes.sizeof(struct)))
        for field, kind in struct._fields_:
            want.append((f"offsetof(struct {name}, {field})", getattr(struct, field).offset))
            want.append((f"sizeof({expression(name, field)})", ctypes.sizeof(kind)))
            if issubclass(kind, ctypes._SimpleCData) and kind._type_ in "iIlLqQ":
                want.append((f"(__typeof__({expression(name, field)}))-1 < 1", int(kind(-1).value < 0)))
    want += [(prefix + value.name, int(value)) for kind, prefix in q._ENUMS.items() for value in kind]
    assert len(want) > 300
    source = tmp_path / "header.c"
    prints = "".join(f'\tprintf("%lld\\n", (long long)({what}));\n' for what, _ in want)
    source.write_text("#include <qcow2.h>\n#include <qcow2/status.h>\n#include <stdio.h>\n"
                      "int main(void)\n{\n" + prints + "}\n")
    succeed(os.environ.get("CC", "gcc"), f"-I{ROOT}/include", source, "-o", tmp_path / "header")
    values = [int(line) for line in succeed(tmp_path / "header").split()]
    assert list(zip((what for what, _ in want), values)) == want


def test_each_value_of_the_header():
    """The module has each status and each flag that the headers have."""
    words = (ROOT / "include/qcow2.h").read_text() + (ROOT / "include/qcow2/status.h").read_text()
    for kind, prefix in q._ENUMS.items():
        if prefix != "QCOW2_":  # which begins all names
            names = set(re.findall(rf"\b{prefix}(\w+) = -?\d", words))
            assert names == {value.name for value in kind}, prefix
    flags = words.split("/* Flags of qcow2_open_options. */")[1].split("};")[0]
    assert set(re.findall(r"^\tQCOW2_(\w+) =", flags, re.M)) == {value.name for value in q._Open}


def test_all_is_declared():
    """Each struct and enumeration of the module is tested, and each call that it makes is exported."""
    structs = {v for v in vars(q).values() if isinstance(v, type) and issubclass(v, ctypes.Structure)}
    enums = {v for v in vars(q).values() if isinstance(v, type) and issubclass(v, enum.Enum)}
    assert structs - {ctypes.Structure} == set(q._STRUCTS) and enums == set(q._ENUMS)
    exported = (ROOT / "port/posix/libqcow2.map").read_text()
    assert all(f"\t{call};" in exported for call in q._CALLS)


def test_documented():
    """Everything public has a description and type hints."""
    public = [getattr(q, name) for name in q.__all__]
    public += [v for name, v in vars(q.Disk).items() if not name.startswith("_")]
    for value in public:
        function = value.fget if isinstance(value, property) else value
        assert function.__doc__, value
        if callable(function) and not isinstance(function, type):
            assert "return" in function.__annotations__, value


def test_command_of_the_main_page(build, tmp_path, shell):
    build(PLAIN)
    (command,) = re.findall(r"`(python3 -c [^`]*)`", (ROOT / "README.md").read_text())
    assert shell(command).decode() == f"{qcow2_ok('cat', '-n', '512', tmp_path / 'disk.qcow2')}\n"


def test_command_of_the_page(build, tmp_path, shell):
    build(PLAIN)
    (command,) = re.findall(r"^    (python3 -c .*)$", (FOLDER / "README.md").read_text(), re.M)
    assert shell(command) == b""
    assert (tmp_path / "disk.raw").read_bytes() == qcow2_ok("cat", tmp_path / "disk.qcow2")


@pytest.fixture
def shell(tmp_path):
    """A function that runs a command beside a copy of the module."""
    shutil.copy(FOLDER / "qcow2.py", tmp_path)
    return lambda command: succeed("sh", "-c", command, cwd=tmp_path,
                                   env={**os.environ, "LIBQCOW2": LIBRARY})


def test_programs_of_the_page(build, tmp_path, capsys, monkeypatch):
    """The programs in the page and in the description of the module run as they are."""
    build(PLAIN)
    monkeypatch.chdir(tmp_path)
    (of_page,) = re.findall(r"^```python\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.M | re.S)
    of_module = textwrap.dedent(re.search(r"^    import qcow2\n(    .*\n|\n)+", q.__doc__, re.M)[0])
    exec(of_page, {})
    assert capsys.readouterr().out.startswith(f"{64 * K} {4 * K}\n0 16384 ")
    exec(of_module, {})
    assert capsys.readouterr().out.startswith(f"{64 * K}\n0 ")
