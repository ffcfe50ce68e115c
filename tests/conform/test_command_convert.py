# SPDX-License-Identifier: MIT
"""`qcow2 convert`: the content, the output file, progress, and what a failure leaves behind."""
import os
import re
import signal

import pytest

from conform import BROKEN, K, PLAIN, QCOW2, qcow2, qcow2_ok, refused, run


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
    "dangling": "No such file or directory", ".": "is a directory",
    "disk.qcow2": "is one of the input files", "link": "is one of the input files"}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_convert_to_a_wrong_output(name, build):
    image = build(PLAIN, "disk.qcow2")
    for link, to in (("loop", "loop"), ("dangling", "nowhere"), ("link", "disk.qcow2")):
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
