# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 convert`: the content, the output file, progress, and what a failure leaves behind."""
import os
import re
import signal

import pytest

from conform import BROKEN, K, PLAIN, QCOW2, qcow2, qcow2_ok, qemu_img, refused, run


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
    """The new file gets the permissions of the old one, except set-user-ID and the like."""
    image = build("size 64k\nl2 0 data\n")
    out = image.with_name("out")
    out.write_bytes(b"old content")
    out.chmod(before)
    assert out.stat().st_mode & 0o7777 == before
    assert qcow2_ok("convert", image, out) == b""
    assert out.stat().st_mode & 0o7777 == after


WRONG_OUTPUTS = {
    "missing/out": "cannot create a temporary file beside it: No such file or directory",
    "disk.qcow2/out": "Not a directory", "loop": "Too many levels of symbolic links",
    "dangling": "cannot create a temporary file beside it: No such file or directory", ".": "is a directory",
    "disk.qcow2": "is one of the input files", "link": "is one of the input files"}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_convert_to_a_wrong_output(name, build):
    image = build(PLAIN, "disk.qcow2")
    for link, to in (("loop", "loop"), ("dangling", "missing/out"), ("link", "disk.qcow2")):
        image.with_name(link).symlink_to(to)
    before, content = set(os.listdir(image.parent)), image.read_bytes()
    result = qcow2("convert", image.name, name, cwd=image.parent)
    assert result.code == 1 and result.err == f"qcow2: {name}: {WRONG_OUTPUTS[name]}\n", result
    assert set(os.listdir(image.parent)) == before and image.read_bytes() == content


def test_convert_to_its_data_file(build):
    image = build('cluster_bits 12\nsize 64k\ndata_file "disk.raw"\nl2 0-3 data\n')
    data = image.with_name("disk.raw")
    before = data.read_bytes()
    refused(qcow2("convert", "--follow", image, data), "one of the input files")
    assert data.read_bytes() == before


def test_convert_through_a_link(build):
    """The link stays and its target is replaced; both may have names of the greatest length."""
    image = build(PLAIN)
    link, target = image.with_name("l" * 255), image.with_name("t" * 255)
    target.write_bytes(b"old content")
    link.symlink_to(target.name)
    assert qcow2_ok("convert", image, link) == b""
    assert link.is_symlink() and target.read_bytes() == qcow2_ok("cat", image)


def test_convert_failure_leaves_nothing(build):
    image = build(BROKEN)
    out = image.with_name("out")
    before = set(os.listdir(image.parent))
    assert qcow2("convert", image, out).code == 1
    assert set(os.listdir(image.parent)) == before
    out.write_bytes(b"old content")
    assert qcow2("convert", image, out).code == 1
    assert out.read_bytes() == b"old content"


def test_convert_damaged_compressed(build):
    """However many threads decode, one message is printed and no file is left."""
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


def test_convert_without_room(build):
    """If the file cannot grow, the command says so and leaves nothing."""
    image = build("cluster_bits 12\nsize 4M\nl2 0-1023 data\n")
    line = 'ulimit -f 1024; exec "$0" convert "$1" "$2"'
    before = set(os.listdir(image.parent))
    done = run("bash", "-c", line, QCOW2, image, image.with_name("out"), ignore=(signal.SIGXFSZ,))
    assert done.code == 1 and "File too large" in done.err, done
    assert set(os.listdir(image.parent)) == before


# The changing line: share, bytes and, unless it is too early to tell, rate and time.
LINE = re.compile(r"\r *(\d+) %  ([\d.]+) of ([\d.]+) ([KMG]?i?B)"
                  r"(?:  [\d.e+]+ [KMG]?i?B/s  (?:in [^\r\n]* s|[^\r\n]* left))? *")


def test_progress(build):
    out = build(PLAIN).with_name("out")
    for image, total in ((build(PLAIN), "64.0 KiB"), (build("size 0\n", "empty"), "0 B")):
        shown = qcow2("convert", "-p", image, out).err
        assert LINE.sub("", shown) == "\n", shown
        lines = LINE.findall(shown)
        assert lines[-1] == ("100", total.split()[0], *total.split())
        parts = [int(part) for part, *_ in lines]
        assert parts == sorted(parts)
        assert all(f"{whole} {unit}" == total for _, _, whole, unit in lines)
        assert qcow2("convert", "-q", image, out).err == ""
        assert qcow2("convert", "-pq", image, out).err == ""
        assert qcow2("convert", image, out).err == ""  # no terminal
    result = qcow2("convert", "-p", build(BROKEN), out)
    assert result.code == 1 and LINE.sub("", result.err).startswith("\nqcow2: "), result
    assert result.err.count("\n") == 2, result


def test_rate_and_time(tmp_path):
    """A disk that takes longer than the line waits before it shows the rate."""
    image = tmp_path / "image"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", image, "64M")
    line = 'exec "$0" cat -p "$1" | { sleep 1; cat; }'
    done = run("bash", "-c", line, QCOW2, image)
    assert done.code == 0 and done.out == bytes(64 << 20)
    assert LINE.sub("", done.err) == "\n", done.err
    assert re.search(r"\r100 %  64\.0 of 64\.0 MiB  [\d.]+ MiB/s  in [1-9][^\r]* s *\n$", done.err), done.err
