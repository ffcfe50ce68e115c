# SPDX-License-Identifier: MIT
"""The command itself: usage, exit codes, messages, policy, and what it leaves behind."""
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conform import (K, QCOW2, ROOT, assert_same, assert_same_map, make, qcow2, qcow2_json,
                     qcow2_ok, qemu_img, qemu_info, refused, run)

PLAIN = "cluster_bits 12\nsize 64k\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\n"
BROKEN = "cluster_bits 12\nsize 64k\nl2 0-3 data as\nl2 9 raw 1<<63|513\n".replace(" as", "")
COMMANDS = ("info", "map", "cat", "convert", "snapshots")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(command):
    assert b"Usage: qcow2 " + command.encode() in qcow2_ok(command, "--help")
    assert qcow2_ok(command, "--version") == qcow2_ok("--version")


HELP = """\
Usage: qcow2 COMMAND [OPTION]... IMAGE [OUT]
Read qcow2 disk images. No file that an image names is opened unless told to.

  info       Show what the header of IMAGE says.
  map        Show which parts of the disk hold data, and where that is.
  cat        Write the content of the disk to standard output.
  convert    Write the disk to the sparse raw file OUT.
  snapshots  List the internal snapshots.

An IMAGE of - is standard input.
'qcow2 COMMAND --help' tells the options of a command. See also qcow2(1).
"""


def test_general_help_and_version():
    version = re.search(r"^VERSION = (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    for option in ("-h", "--help"):
        assert qcow2_ok(option).decode() == HELP
    for option in ("-V", "--version"):
        assert qcow2_ok(option).decode() == f"qcow2 {version}\n"
    assert qcow2().err == HELP
    assert qcow2("nonsense").err == ("qcow2: no such command: nonsense\nTry 'qcow2 --help'.\n")


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
    refused(qcow2("cat", "-", stdin=image.read_bytes()), "is a pipe")


@pytest.mark.parametrize("command", ["map", "snapshots", "info"])
def test_standard_input(command, build):
    image = build(PLAIN + "snapshot 1 one\nactive\n")
    with open(image, "rb") as file:
        said = qcow2_ok(command, "-", stdin=file)
    assert said == qcow2_ok(command, image).replace(bytes(image), b"-")


@pytest.mark.parametrize("args, words", [
    (("cat", "-s", "1X"), "-s: 1X"), (("cat", "--length=1X"), "--length: 1X"),
    (("map", "-s", "1"), "option: -s"), (("cat", "-n"), "missing: -n"),
    (("cat", "--backing"), "missing: --backing"), (("cat", "-Q"), "unknown option: -Q"),
    (("cat", "--nonsense"), "unknown option: --nonsense"),
    (("cat", "-n", "99999999999999999999", "x"), "bad value of -n: 99999999999999999999"),
    (("cat", "--layer-only", "--backing", "x", "y"), "--layer-only and --backing exclude")])
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
    refused(qcow2("snapshots", image), "snapshot table is larger")
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


@pytest.mark.parametrize("args", [("info",), ("map",), ("snapshots",), ("info", "--json"), ("cat",)])
def test_nobody_reads(args, build):
    """The other end of the pipe is closed: no message, but no success either."""
    image = build(PLAIN)
    for ignored in (False, True):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = run(QCOW2, *args, image, stdout=write_end, restore_signals=not ignored)
        os.close(write_end)
        assert done.code == (1 if ignored else -signal.SIGPIPE) and done.err == "", done


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


@pytest.mark.parametrize("command", ("info", "map", "cat", "snapshots"))
def test_no_file(command, tmp_path):
    path = tmp_path / "missing"
    assert qcow2(command, path).err == f"qcow2: {path}: No such file or directory\n"
    assert qcow2(command, tmp_path).err == f"qcow2: {tmp_path}: is a directory\n"


# ---- map ----

def preallocated(image, options=""):
    """All clusters are allocated, and nothing is written to any."""
    qemu_img("create", "-q", "-f", "qcow2", "-o",
             f"preallocation=metadata,cluster_size=4K{options}", image, "1M")
    return image


def test_map_over_a_raw_file(build):
    """Its holes are seen, and its end; what is alike on both sides of a cluster's end is one."""
    image = build('cluster_bits 12\nsize 256k\nbacking "base" raw\nl2 2 data\nl2 60 zero\n')
    with open(image.with_name("base"), "wb") as base:
        for at in (0, 65536, 3 << 16):
            base.seek(at)
            base.write(b"data" * 2048)
        base.truncate((3 << 16) + 12288)
    assert_same(image, image.parent, "--follow")
    assert sum(entry["depth"] == 1 for entry in qcow2_json("map", "--follow", image)) >= 6


def put64(image, at, value):
    with open(image, "r+b") as file:
        file.seek(at)
        file.write(value.to_bytes(8, "big"))


@pytest.mark.parametrize("order", range(7))
def test_map_of_preallocated(order, image):
    """QEMU counts clusters in use by their refcounts, which are of 1 to 64 bits."""
    assert_same_map(preallocated(image, f",refcount_bits={1 << order}"))
    entry, = qcow2_json("map", image)
    assert entry["zero"] and entry["data"]


REFCOUNTS = {"block past the end": (4096, 0x7000000), "no block": (4096, 0),
             "table past the end": (48, 0x7000000), "table across the end": (48, -4)}


@pytest.mark.parametrize("name", REFCOUNTS)
def test_map_without_refcounts(name, image):
    """If it cannot count them, the clusters are data: as for QEMU."""
    at, value = REFCOUNTS[name]
    size = preallocated(image).stat().st_size
    put64(image, at, value if value >= 0 else size + value)
    if value >= 0:  # QEMU wants tables at multiples of a cluster
        assert_same_map(image)
    entry, = qcow2_json("map", image)
    assert not entry["zero"] and entry["data"]


def test_map_with_too_many_refcounts(image):
    """Of a table longer than 8 MiB QEMU opens none; the map neither needs it nor counts for ever."""
    put64(preallocated(image), 56, 2048 << 32)
    assert_same_map(image)
    assert qcow2_json("map", image)[0]["zero"]
    for clusters in (2049, 0x800001):
        put64(image, 56, clusters << 32)
        assert "table too large" in qemu_info(image).err
        entry, = qcow2_json("map", image)
        assert not entry["zero"] and entry["data"]


MAP = """\
             START             LENGTH  KIND       DEPTH  FILE OFFSET
                 0               8192  data           0  %d
              8192               4096  zero           0
             12288               4096  compressed     0
             16384              16384  absent         0
"""


def test_map_for_people(build):
    image = build("cluster_bits 12\nsize 32k\nl2 0 data as a\nl2 1 data\nl2 2 zero\n"
                  "l2 3 compressed\nlayout\nprint $a\n")
    at = qcow2_json("map", image)[0]["offset"]
    assert qcow2_ok("map", image).decode() == MAP % at
    empty = build("cluster_bits 12\nsize 0\n", "empty")
    assert qcow2_ok("map", empty) == b""
    assert_same_map(empty)


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


BAR = re.compile(r"\r\[(#*)(\.*)\] ( *\d+\.\d) %")


def test_progress(build):
    out = build(PLAIN).with_name("out")
    full = "\r[" + 40 * "#" + "] 100.0 %\n"
    for image, least in ((build(PLAIN), 2), (build("size 0\n", "empty"), 1)):
        shown = qcow2("convert", "-p", image, out).err
        assert BAR.sub("", shown) == "\n" and shown.endswith(full)
        bars = BAR.findall(shown)
        assert len(bars) >= least and all(len(done + left) == 40 for done, left, _ in bars)
        parts = [float(part) for *_, part in bars]
        assert parts == sorted(set(parts))
        for (done, _, _), part in zip(bars, parts):
            assert part <= len(done) * 2.5 < part + 2.5
        assert qcow2("convert", "-q", image, out).err == ""
        assert qcow2("convert", image, out).err == ""  # no terminal
    result = qcow2("convert", "-p", build(BROKEN), out)
    assert result.code == 1 and "%\nqcow2: " in result.err and result.err.count("\n") == 2, result


WRONG_OUTPUTS = {"missing/out": "cannot make a file beside it: No such file or directory",
                 "disk.qcow2/out": "Not a directory", "loop": "Too many levels of symbolic links",
                 "dangling": "No such file or directory",
                 ".": "is not a regular file; qcow2 cat writes to such",
                 "fifo": "is not a regular file; qcow2 cat writes to such",
                 "disk.qcow2": "is one of the files that are read",
                 "link": "is one of the files that are read"}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_convert_to_what_cannot_be(name, build):
    image = build(PLAIN, "disk.qcow2")
    for link, to in (("loop", "loop"), ("dangling", "nowhere"), ("link", "disk.qcow2")):
        image.with_name(link).symlink_to(to)
    os.mkfifo(image.with_name("fifo"))
    before, content = set(os.listdir(image.parent)), image.read_bytes()
    result = qcow2("convert", image.name, name, cwd=image.parent)
    assert result.code == 1 and result.err == f"qcow2: {name}: {WRONG_OUTPUTS[name]}\n", result
    assert set(os.listdir(image.parent)) == before and image.read_bytes() == content


def test_convert_through_a_link(build):
    """The link stays, and what it points to is replaced; both may have the longest of names."""
    image = build(PLAIN)
    link, target = image.with_name("l" * 255), image.with_name("t" * 255)
    target.write_bytes(b"old content")
    link.symlink_to(target.name)
    assert qcow2_ok("convert", image, link) == b""
    assert link.is_symlink() and target.read_bytes() == qcow2_ok("cat", image)


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
    refused(qcow2("cat", "--follow", image), "backing file", "fifo", "is a pipe")


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
