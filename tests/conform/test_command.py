# SPDX-License-Identifier: MIT
"""The command itself: usage, exit codes, messages, policy, and what it leaves behind."""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from conform import K, QCOW2, make, qcow2, qcow2_json, qcow2_ok, qemu_img, refused, run

PLAIN = "cluster_bits 12\nsize 64k\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\n"
BROKEN = "cluster_bits 12\nsize 64k\nl2 0-3 data as\nl2 9 raw 1<<63|513\n".replace(" as", "")
COMMANDS = ("info", "map", "cat", "convert", "snapshots")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(command):
    assert b"Usage: qcow2 " + command.encode() in qcow2_ok(command, "--help")
    assert qcow2_ok(command, "--version").startswith(b"qcow2 ")


@pytest.mark.parametrize("args", [(), ("nonsense",), ("cat",), ("cat", "--nonsense", "x"),
                                  ("cat", "-s", "1X", "x"), ("cat", "-s", "-1", "x"),
                                  ("cat", "-s", "99999999T", "x"), ("convert", "x"),
                                  ("info", "x", "y"), ("cat", "--follow=some", "x")])
def test_usage(args):
    result = qcow2(*args)
    assert result.code == 2 and result.out == b"" and result.err, result


def test_cat_part(build):
    image = build(PLAIN)
    whole = qcow2_ok("cat", image)
    assert len(whole) == 64 * K
    assert qcow2_ok("cat", "-s", "4K", "-n", "1k", image) == whole[4096:5120]
    assert qcow2_ok("cat", "-s", "65000", "-n", "1G", image) == whole[65000:]
    assert qcow2_ok("cat", "-s", "64K", image) == b""
    refused(qcow2("cat", "-s", "65537", image), "past the end")


def test_cat_standard_input(build):
    image = build(PLAIN)
    with open(image, "rb") as file:
        assert qcow2_ok("cat", "-", stdin=file) == qcow2_ok("cat", image)
    refused(qcow2("cat", "-", stdin=image.read_bytes()), "not seekable")


@pytest.mark.parametrize("args, words", [
    (("cat", "-s", "1X"), "-s: 1X"), (("cat", "--length=1X"), "--length: 1X"),
    (("map", "-s", "1"), "option: -s"), (("cat", "-n"), "missing: -n"),
    (("cat", "--backing"), "missing: --backing"), (("cat", "-Q"), "unknown option: -Q"),
    (("cat", "--nonsense"), "unknown option: --nonsense")])
def test_usage_names_the_option(args, words):
    assert words in qcow2(*args).err


def test_full_disk(build):
    with open("/dev/full", "wb") as full:
        result = qcow2("cat", build(PLAIN), stdout=full)
    assert result.code == 1 and "No space left" in result.err, result


@pytest.mark.parametrize("args", [("info",), ("info", "--json"), ("map",), ("map", "--json"),
                                  ("snapshots",), ("snapshots", "--json"), ("cat", "--help")])
def test_full_disk_text(args, build):
    image = build(PLAIN + "snapshot 1 one\nactive\n")
    with open("/dev/full", "wb") as full:
        result = qcow2(*args, image, stdout=full)
    assert result.code == 1 and "No space left" in result.err, result


def test_convert_damaged_compressed(build):
    """However many threads decode: one message, and nothing is left."""
    image = build("cluster_bits 12\nsize 4M\nl2 0-1023 compressed\n")
    l1 = int.from_bytes(image.read_bytes()[40:48], "big")
    with open(image, "r+b") as file:
        file.seek(l1)
        l2 = int.from_bytes(file.read(8), "big") & ((1 << 56) - 512)
        file.seek(l2 + 8 * 300)
        packed = int.from_bytes(file.read(8), "big") & ((1 << 58) - 1)
        file.seek(packed)
        file.write(b"\xff" * 8)
    before = set(os.listdir(image.parent))
    refused(qcow2("convert", image, image.with_name("out")), "compressed", "at file offset")
    assert set(os.listdir(image.parent)) == before


def test_pipe(build):
    """To a pipe, data goes by splice(2): the same bytes, up to and past the end of the file."""
    image = build("cluster_bits 16\nsize 1M\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\n"
                  "l2 9-12 data\nl2 15 last 100\n")
    out = image.with_name("out")
    with open(out, "wb") as file:
        assert qcow2("cat", image, stdout=file).code == 0
    assert qcow2_ok("cat", image) == out.read_bytes()
    assert qcow2_ok("cat", "-s", "100", "-n", "200000", image) == out.read_bytes()[100:200100]


def test_closed_descriptors(build):
    """A file must not become standard error: the progress bar would go there."""
    image = build(PLAIN)
    out = image.with_name("out")
    for line in ('"$0" convert -p "$1" "$2" <&- >&- 2>&-', '"$0" convert -p - "$2" <"$1" 2>&-'):
        subprocess.run(["sh", "-c", line, QCOW2, str(image), str(out)], timeout=60)
        assert not out.exists() or out.read_bytes() == qcow2_ok("cat", image)


def test_convert_to_its_data_file(build):
    image = build('cluster_bits 12\nsize 64k\ndata_file "disk.raw"\nl2 0-3 data\n')
    data = image.with_name("disk.raw")
    before = data.read_bytes()
    refused(qcow2("convert", "--follow", image, data), "one of the files that are read")
    assert data.read_bytes() == before


def test_snapshot_table_of_64_MiB(build):
    """As for qemu, that is the limit: no image makes us take more memory for names."""
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
    refused(qcow2("snapshots", image), "snapshot table is too big")
    assert b"too big" in run("qemu-img", "info", image).err.encode()
    assert len(qcow2_ok("cat", image)) == 64 * K


def test_convert_without_room(build):
    """The file cannot grow: a clear error, and nothing is left."""
    image = build("cluster_bits 12\nsize 4M\nl2 0-1023 data\n")
    out = image.with_name("out")
    line = 'trap "" XFSZ; ulimit -f 1024; exec "$0" convert "$1" "$2"'
    before = set(os.listdir(image.parent))
    done = subprocess.run(["bash", "-c", line, QCOW2, str(image), str(out)], capture_output=True,
                          timeout=60)
    assert done.returncode == 1 and b"File too large" in done.stderr, done
    assert set(os.listdir(image.parent)) == before


def test_broken_pipe(build):
    image = build("size 64M\n")
    line = 'set -o pipefail; "$0" cat "$1" | head -c 10 | wc -c'
    done = subprocess.run(["bash", "-c", line, QCOW2, str(image)], capture_output=True, timeout=60)
    assert done.stdout.strip() == b"10" and done.stderr == b"", done


def test_damage_is_told(build):
    image = build(BROKEN)
    result = qcow2("cat", image)
    assert result.code == 1 and "at file offset" in result.err, result
    result = qcow2("map", image)
    assert result.code == 1 and "at file offset" in result.err, result


@pytest.mark.parametrize("content", (b"", b"QFI", b"not an image" * 100))
def test_no_image(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    for command in ("info", "map", "cat", "snapshots"):
        refused(qcow2(command, path), str(path), "not a qcow2 image")


# ---- convert ----

def test_convert_is_sparse_and_exact(build):
    image = build("size 10000000\nl2 3 data\n")
    out = image.with_name("out")
    out.write_bytes(b"old content")
    assert qcow2_ok("convert", image, out) == b""
    stat = out.stat()
    assert stat.st_size == 10000000 and stat.st_blocks * 512 <= 256 * K
    assert out.read_bytes() == qcow2_ok("cat", image)


@pytest.mark.parametrize("before, after", ((0o640, 0o640), (0o755, 0o755), (0o7751, 0o751)))
def test_convert_keeps_permissions(before, after, build):
    """What is replaced gives the new file its permissions, but never set-user-ID and the like."""
    image = build("size 64k\nl2 0 data\n")
    out = image.with_name("out")
    out.write_bytes(b"old content")
    out.chmod(before)
    assert out.stat().st_mode & 0o7777 == before
    assert qcow2_ok("convert", image, out) == b""
    assert out.stat().st_mode & 0o7777 == after


def test_convert_failure_leaves_nothing(build):
    image = build(BROKEN)
    out = image.with_name("out")
    before = set(os.listdir(image.parent))
    assert qcow2("convert", image, out).code == 1
    assert set(os.listdir(image.parent)) == before
    out.write_bytes(b"old content")
    assert qcow2("convert", image, out).code == 1
    assert out.read_bytes() == b"old content"


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_convert_interrupted(number, tmp_path):
    """At any moment: either it fails and leaves nothing, or it is done and leaves all."""
    image = tmp_path / "big.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "preallocation=full", image, "64M")
    before = set(os.listdir(tmp_path))
    out = tmp_path / "out"
    ended = {0: 0, -number: 0}
    for delay in range(0, 45, 3):
        process = subprocess.Popen(["env", "--default-signal", QCOW2, "convert", image, out])
        time.sleep(delay / 1000)
        process.send_signal(number)
        code = process.wait(60)
        ended[code] += 1
        if code == 0:
            assert out.stat().st_size == 64 << 20
            out.unlink()
        assert set(os.listdir(tmp_path)) == before
    assert ended[-number] > 0


def test_progress(build):
    image = build(PLAIN)
    out = image.with_name("out")
    assert qcow2("convert", "-p", image, out).err != ""
    assert qcow2("convert", "-q", image, out).err == ""


# ---- Names in images ----

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
    """Which files of a directory are opened, as the kernel sees it (inotify(7))."""

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
    """Is not waited for, and is called by its name."""
    image = overlay(build, "fifo")
    os.mkfifo(image.with_name("fifo"))
    refused(qcow2("cat", "--follow", image), "backing file", "fifo", "not seekable")


@pytest.mark.parametrize("n", (256, 257))
def test_depth(n, tmp_path):
    """So many files in a chain are read, and no more."""
    make("size 64k\nl2 0 data\n", tmp_path / "0")
    for i in range(1, n):
        make(f'size 64k\nbacking "{i - 1}" qcow2\n', tmp_path / str(i))
    result = qcow2("cat", "--follow", tmp_path / str(n - 1))
    if n == 256:
        assert result.out == qcow2_ok("cat", tmp_path / "0"), result
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


def test_snapshots(build):
    image = build('size 64k\nsnapshot 1 first\nactive\nsnapshot 2 "the second"\nactive\n')
    assert [s["name"] for s in qcow2_json("snapshots", image)] == ["first", "the second"]
    refused(qcow2("cat", "--snapshot", "third", image), "snapshot")
