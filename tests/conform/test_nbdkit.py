# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The plugin for nbdkit: what clients read through it, against the command and QEMU."""
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from conform import K, M, PLUGIN, ROOT, assert_same_bytes, make, qcow2_ok, qemu_img, run, succeed
from test_version_1 import Writer

MANUAL = ROOT / "port/nbdkit/nbdkit-qcow2-plugin.1"

CONTENT = "l2 0-3 data\nl2 5 zero\nl2 6 zero_alloc\nl2 8 compressed\nl2 10-11 compressed\nl2 30 data\n"
SHAPE = "cluster_bits 12\nsize 257k\n"
DAMAGED = SHAPE + "l2 0-1 data\nl2 2 raw 1<<63|513\nl2 3-9 data\nl2 20 data\n"
SNAPSHOTS = (SHAPE + 'l2 0-3 data\nsnapshot 1 before disk_size=64k\nl2 1 share\nl2 9 data\n'
             'snapshot 7 "a \\x1bname"\nl2 2 share\nsnapshot "\\x01" hidden\nactive\n')


def serve(image, script, *parameters, options=()):
    """Runs a script while nbdkit serves the image. $uri and $unixsocket lead to it."""
    socket = image.with_name("socket")
    socket.unlink(missing_ok=True)
    return run("nbdkit", "-U", socket, *options, PLUGIN, image, *parameters, "--run", script, cwd=image.parent)


def serve_ok(*args, **more):
    done = serve(*args, **more)
    assert done.code == 0 and done.err == "", done
    return done.out


def merged(entries):
    """The runs of a map: (offset, type), and the end. Neighbours of one type are one run."""
    runs = [(entry["offset"], entry["type"]) for entry in entries]
    return [pair for i, pair in enumerate(runs) if i == 0 or runs[i - 1][1] != pair[1]], (
        entries[-1]["offset"] + entries[-1]["length"])


def packed(image, compression):
    raw = image.with_name("content")
    raw.write_bytes(b"".join(bytes([i % 7]) * (64 * K if i % 3 else 60 * K) + bytes(i % 2 * 70 * K)
                             for i in range(24)))
    qemu_img("convert", "-c", "-O", "qcow2", "-o", f"compression_type={compression}", raw, image)


def chain(image):
    make(SHAPE + "l2 0-9 data\nl2 40 data\n", image.with_name("base"))
    make(SHAPE + 'backing "base" qcow2\nl2 2 zero\nl2 4 data as a\nl2 50 compressed\n', image)


def moved(image):
    chain(image)
    image.with_name("base").rename(image.with_name("elsewhere,qcow"))


def without_format(image):
    chain(image)
    make(SHAPE + 'backing "base"\nl2 2 zero\n', image)


def data_file(image):
    make(SHAPE + 'data_file "data"\nl2 0-3 data\nl2 9 data\n', image, "-d", image.with_name("data"))


def version_1(image):
    disk = Writer(12, 9, 300 * K)
    disk.data(0, b"one" * 999)
    disk.packed(7, b"seven" * 800)
    disk.save(image)


def inside(image):
    make(SHAPE + CONTENT, image)
    image.write_bytes(bytes(1536) + image.read_bytes() + bytes(99 * K))


def with_password(method):
    def build(image):
        make(SHAPE + f"encrypt {method}\nl2 0-3 data\nl2 30 data\n", image)
        image.with_name("password").write_bytes(b"abc")
    return build


def from_recipe(recipe):
    return lambda image: make(recipe, image)


# How to make the image, the parameters, and the same as options of the command. QEMU opens those that
# need neither.
IMAGES = {
    "every kind of cluster": (from_recipe(SHAPE + CONTENT), (), ()),
    "version 2": (from_recipe("version 2\ncluster_bits 9\nsize 40k\nl2 0-3 data\nl2 70 compressed\n"), (), ()),
    "empty": (from_recipe("size 3M\n"), (), ()),
    "subclusters": (from_recipe("cluster_bits 14\nsize 256k\nextended_l2\nl2 0 data\nl2 3 subclusters 0xf000000f0f\n"
                                "l2 9 compressed\n"), (), ()),
    "zlib": (lambda image: packed(image, "zlib"), (), ()),
    "zstd": (lambda image: packed(image, "zstd"), (), ()),
    "chain": (chain, ("follow=true",), ("--follow",)),
    "any file": (chain, ("follow=any",), ("--follow=any",)),
    "given files": (moved, ("backing=elsewhere,qcow,qcow2",), ("--backing=elsewhere,qcow,qcow2",)),
    "given format": (without_format, ("backing=base", "backing-format=qcow2"),
                     ("--backing=base", "--backing-format=qcow2")),
    "layer": (chain, ("layer-only=true",), ("--layer-only",)),
    "data file": (data_file, ("data-file=data",), ("--data-file=data",)),
    "version 1": (version_1, ("format=qcow",), ("--format=qcow",)),
    "raw": (lambda image: image.write_bytes(b"raw" * 1000), ("format=raw",), ("--format=raw",)),
    "luks": (with_password("luks password=abc"), ("key-file=0=password", "max-iterations=2000"),
             ("--key-file=0=password",)),
    "aes": (with_password("aes abc"), ("key-file=password",), ("--key-file=password",)),
    "snapshot": (from_recipe(SNAPSHOTS), ("snapshot=before",), ("--snapshot=before",)),
    "part of a file": (inside, ("image-at=1536,300K",), ("--image-at=1536,300K",)),
    "cut": (from_recipe(SHAPE + "l2 0-9 data\nlayout\ntruncate $end-6k\n"), ("allow-truncated=true",),
            ("--allow-truncated",)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_content_and_map(name, image, tmp_path):
    create, parameters, options = IMAGES[name]
    create(image)
    script = 'nbdcopy --connections=4 "$uri" out && nbdinfo --map --json "$uri"'
    if not options:
        script += f' && qemu-img compare -q -f raw -F qcow2 "$uri" {image.name}'
    entries = json.loads(serve_ok(image, script, *parameters))
    ours = qcow2_ok("cat", *options, image, cwd=tmp_path)
    assert_same_bytes(ours, (tmp_path / "out").read_bytes(), name)
    assert merged(entries)[1] == len(ours)
    if not options:
        theirs = succeed("nbdinfo", "--map", "--json", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", image.name, "]",
                         cwd=tmp_path)
        assert merged(entries) == merged(json.loads(theirs))


def test_snapshots_are_exports(image, tmp_path):
    make(SNAPSHOTS, image)
    copies = {"": (), "1": ("--snapshot=1",), "before": ("--snapshot=before",), "7": ("--snapshot=7",)}
    script = 'nbdinfo --list --json "$uri"' + "".join(
        f' && nbdcopy "nbd+unix:///{name}?socket=$unixsocket" "out {name}"' for name in copies)
    exports = json.loads(serve_ok(image, script))["exports"]
    # The third id is a control character.
    assert [(e["export-name"], e.get("description"), e["export-size"]) for e in exports] == [
        ("", None, 257 * K), ("1", "before", 64 * K), ("7", "a \\x1bname", 257 * K)]
    for e in exports:
        assert e["is_read_only"] and e["can_multi_conn"] and e["block_size_preferred"] == 4 * K, e
    for name, options in copies.items():
        assert_same_bytes(qcow2_ok("cat", *options, image), (tmp_path / f"out {name}").read_bytes(), name)


def test_unknown_export(image):
    make(SNAPSHOTS, image)
    done = serve(image, 'nbdinfo --size "nbd+unix:///no%1Bne?socket=$unixsocket"; nbdinfo --size "$uri"')
    assert done.out == b"%d\n" % (257 * K)
    assert "disk.qcow2: the image has no snapshot 'no\\x1bne'" in done.err


def test_damage_is_local(image):
    """Only the damaged cluster is lost, and the map shows it as data."""
    make(DAMAGED, image)
    reads = " ".join(f"-c 'read {off} {length}'" for off, length in (
        (0, 8 * K), (8 * K, 4 * K), (8 * K + 512, 512), (12 * K, 245 * K)))
    done = serve(image, f'qemu-io -r -f raw {reads} "$uri" >read; nbdinfo --map --json "$uri"')
    assert merged(json.loads(done.out)) == ([(0, 0), (40 * K, 3), (80 * K, 0), (84 * K, 3)], 257 * K)
    lines = [line for line in image.with_name("read").read_text().splitlines() if line.startswith("read")]
    assert [line.split(" ops")[0] for line in lines] == [
        "read 8192/8192 bytes at offset 0", "read failed: Input/output error",
        "read failed: Input/output error", "read 250880/250880 bytes at offset 12288"]
    assert "invalid L1 or L2 table entry" in done.err, done


def test_one_extent_at_a_time(image):
    """A client can ask for one run of the map; qemu-img does."""
    make(SHAPE + CONTENT, image)
    ours = json.loads(serve_ok(image, 'qemu-img map --output=json -f raw "$uri"'))
    theirs = json.loads(qemu_img("map", "-U", "--output=json", "-f", "qcow2", image))

    def data(entries):
        return merged([{"offset": e["start"], "length": e["length"], "type": e["data"]} for e in entries])
    assert data(ours) == data(theirs)


def test_filters(image, tmp_path):
    """A partition, a file of a file system, and a disk that can be written."""
    files, disk = tmp_path / "files", tmp_path / "disk.raw"
    files.mkdir()
    (files / "hello").write_bytes(b"hello, world\n" * 9)
    with open(disk, "wb") as f:
        f.truncate(3 * M)
    succeed("sfdisk", "-q", disk, stdin=b"label: dos\nstart=64, size=128, type=83\nstart=2048, type=83\n")
    succeed("mke2fs", "-q", "-t", "ext2", "-d", files, "-E", f"offset={M}", disk, "2M")
    qemu_img("convert", "-c", "-O", "qcow2", disk, image)
    before = image.read_bytes()
    part = disk.read_bytes()[64 * 512:192 * 512]
    serve_ok(image, 'nbdcopy "$uri" part', "partition=1", options=("--filter=partition",))
    assert_same_bytes(part, (tmp_path / "part").read_bytes(), "the first partition")
    serve_ok(image, 'nbdcopy "$uri" file', "partition=2", "ext2file=/hello",
             options=("--filter=ext2", "--filter=partition"))
    assert (tmp_path / "file").read_bytes() == (files / "hello").read_bytes()
    out = serve_ok(image, """qemu-io -f raw -c 'write -P 7 5000 100' -c 'read -P 7 5000 100' "$uri" """,
                   options=("--filter=cow",))
    assert b"wrote 100/100" in out and b"read 100/100" in out and b"ailed" not in out
    assert image.read_bytes() == before


def test_many_requests_at_once(image, tmp_path):
    """Four connections with 64 requests each, in small parts, of an image that must be decoded."""
    packed(image, "zlib")
    serve_ok(image, 'nbdcopy --connections=4 --requests=64 --request-size=4096 "$uri" out')
    assert_same_bytes(qcow2_ok("cat", image), (tmp_path / "out").read_bytes(), "nbdcopy")


def test_encrypted_snapshot(image, tmp_path):
    """The password is still there when a client asks for a snapshot."""
    make(SHAPE + "encrypt luks password=abc\nl2 0-3 data\nsnapshot 1 one\nl2 1 share\nl2 9 data\nactive\n", image)
    (tmp_path / "password").write_bytes(b"abc")
    serve_ok(image, 'nbdcopy "nbd+unix:///1?socket=$unixsocket" out', "key-file=password")
    assert_same_bytes(qcow2_ok("cat", "--key-file", tmp_path / "password", "--snapshot=1", image),
                      (tmp_path / "out").read_bytes(), "snapshot")


OVERLAY = SHAPE + 'backing "base" qcow2\n'
LUKS = SHAPE + "encrypt luks password=abc\nl2 0 data\n"

# A recipe, parameters, and what the message says.
ERRORS = {
    "no such file": (None, (), "disk.qcow2: No such file or directory"),
    "no image": ("text", (), "disk.qcow2: not a qcow2 image"),
    "unknown parameter": (SHAPE, ("wrong=1",), "unknown parameter 'wrong'; nbdkit qcow2 --help lists"),
    "two images": (SHAPE, ("file=other",), "file: only one image can be served"),
    "no backing file": (OVERLAY, (), "; use follow=true, backing=FILE or layer-only=true"),
    "lost backing file": (OVERLAY, ("follow=1",), "base': No such file or directory; use backing=FILE or "
                          "layer-only=true"),
    "lost given file": (OVERLAY, ("backing=lost",), "lost': No such file or directory"),
    "no format": (SHAPE + 'backing "password"\n', ("backing=password",), "; use backing-format=FORMAT"),
    "no data file": (SHAPE + 'data_file "data"\n', (), "; use follow=true or data-file=FILE"),
    "no snapshot": (SHAPE, ("snapshot=x",), "disk.qcow2: the image has no snapshot 'x'"),
    "no password": (LUKS, (), "; use key-file=FILE"),
    "wrong password": (LUKS, ("key-file=password",), "wrong"),
    "another depth": (LUKS, ("key-file=1=password",), "; use key-file=FILE"),
    "a password too many": (SHAPE, ("key-file=password",), "password: no image needs this password"),
    "no password file": (LUKS, ("key-file=lost",), "lost: No such file or directory"),
    "a directory": (LUKS, ("key-file=.",), ".: Is a directory"),
    "a long password": (LUKS, ("key-file=long",), "long: a password has at most 1 MiB"),
    "many iterations": (LUKS, ("key-file=password", "max-iterations=1"), "iterations"),
    "wrong format": (SHAPE, ("format=vdi",), "format: 'vdi' is not raw, qcow2 or qcow"),
    "wrong backing format": (SHAPE, ("backing-format=x",), "backing-format: 'x' is not raw, qcow2 or qcow"),
    "wrong number": (SHAPE, ("max-iterations=x",), "max-iterations: "),
    "no iterations": (SHAPE, ("max-iterations=0",), "max-iterations: at least 1 is needed"),
    "no name of a password file": (LUKS, ("key-file=",), "key-file: no file is named"),
    "wrong switch": (SHAPE, ("follow=some",), "could not decipher boolean (some)"),
    "wrong size": (SHAPE, ("image-at=1,x",), "could not parse size string (x)"),
    "no length": (SHAPE, ("image-at=1,0",), "image-at: the length is 0"),
    "wrong offset": (SHAPE, ("image-at=x,1",), "could not parse size string (x)"),
    "cut": (SHAPE + "l2 0 data\nlayout\ntruncate 5000\n", (), "; use allow-truncated=true to read zeros there"),
    "too many files": (SHAPE, ("backing=x",) * 256, "backing: more than 255 files"),
    "too many passwords": (SHAPE, ("key-file=password",) * 257, "key-file: more than 256 passwords"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_in_words(name, image):
    recipe, parameters, words = ERRORS[name]
    image.with_name("password").write_bytes(b"wrong")
    with open(image.with_name("long"), "wb") as f:
        f.truncate(2 * M)
    if recipe == "text":
        image.write_bytes(b"text" * 100)
    elif recipe:
        make(recipe, image)
    done = serve(image, "true", *parameters)
    assert done.code == 1 and words in done.err and done.err.count("error:") == 1, done


def test_no_image_given(tmp_path):
    done = run("nbdkit", "-U", tmp_path / "socket", PLUGIN, "--run", "true")
    assert done.code == 1 and "no image is given; use nbdkit qcow2 IMAGE" in done.err, done


def test_damaged_snapshot_table(image):
    """The disk can be read; the list of exports cannot."""
    make(SNAPSHOTS + "layout\nput16 $snapshots+12 0xffff\n", image)
    done = serve(image, 'nbdinfo --size "$uri"; nbdinfo --list "$uri"')
    assert done.out == b"%d\n" % (257 * K) and "snapshot" in done.err, done


def test_after_the_directory_changed(image, tmp_path):
    """nbdkit goes to the background and leaves the directory; the names are still those of before."""
    chain(image)
    pid, socket = tmp_path / "pid", tmp_path / "socket"
    done = run("nbdkit", "-U", "socket", "-P", "pid", PLUGIN, image.name, "follow=true", "layer-only=false",
               cwd=tmp_path)
    try:
        assert done.code == 0, done
        succeed("nbdcopy", f"nbd+unix:///?socket={socket}", tmp_path / "out")
    finally:
        os.kill(int(pid.read_text()), 15)
    assert_same_bytes(qcow2_ok("cat", "--follow", image), (tmp_path / "out").read_bytes(), "nbdcopy")


def test_only_one_symbol():
    """Nothing in the plugin can take the place of a function of nbdkit or of another plugin."""
    assert re.findall(r" \w (\w+)", succeed("nm", "-D", "--defined-only", PLUGIN).decode()) == ["plugin_init"]


def test_dump_plugin():
    lines = succeed("nbdkit", PLUGIN, "--dump-plugin").decode().splitlines()
    versions = qcow2_ok("version").decode().split("\n")
    wanted = {f"version={versions[0].split()[1]}", "thread_model=parallel", "magic_config_key=file"}
    wanted |= {"qcow2_" + line.replace(": ", "=") for line in versions[1:] if line}
    assert wanted <= set(lines)


def test_manual():
    """The manual has the parameters of --help, and no fault that mandoc finds."""
    assert shutil.which("mandoc"), "mandoc is missing"
    lint = run("mandoc", "-T", "lint", "-W", "warning", MANUAL)
    assert lint.out == b"", lint.out.decode()
    shown = succeed("nbdkit", PLUGIN, "--help").decode()
    in_help = re.findall(r"^\[?([a-z-]+)=", shown[shown.index("[file=]IMAGE"):], re.M)
    in_manual = re.findall(r"^\.It .*Cm ([a-z-]+)=", MANUAL.read_text(), re.M)
    assert in_help == in_manual and len(in_help) == 12
