# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Damaged images: what `map` shows, what --salvage saves, and what warnings say."""
import errno
import fcntl
import json
import os
import subprocess
import sys
import termios
import time

import pytest

from conform import (BROKEN, FAULTS, K, MEMORY, PLAIN, QCOW2, SECONDS, qcow2, qcow2_json, qcow2_ok, refused,
                     run, start, succeed)
from fault_runs import CALLS, Outcome
from test_command_dirty import BITS

CLUSTER = 4096
V3 = "version 3\ncluster_bits 12\n"
WHOLE = V3 + "size 1M\nl2 0-255 data as a\n"


def table_entries(image, l1_index=0):
    """The positions of an L1 entry and of the first entry of its L2 table."""
    content = image.read_bytes()
    l1 = int.from_bytes(content[40:48], "big") + 8 * l1_index
    return l1, int.from_bytes(content[l1:l1 + 8], "big") & ((1 << 56) - 512)


def put64(image, at, value):
    with open(image, "r+b") as file:
        file.seek(at)
        file.write(value.to_bytes(8, "big"))


def put_l2(image, index, value):
    put64(image, table_entries(image)[1] + 8 * index, value)


def salvage(image, *options, env=None, program=None):
    """Runs cat and convert with --salvage. Checks that both tell the same losses in the same way.
    Returns the disk and the list of losses, each as (start, length)."""
    found = []
    out, report = image.with_name("out"), image.with_name("report")
    for command in (("cat", image), ("convert", image, out)):
        report.unlink(missing_ok=True)
        args = (command[0], "--salvage", f"--report={report}", *options, *command[1:])
        more = {"env": env, "memory": MEMORY} if env else {}
        done = run(program, *args, **more) if program else qcow2(*args)
        listed = json.loads(report.read_text())
        lost = [(entry["start"], entry["length"]) for entry in listed["lost"]]
        assert done.code == (3 if lost else 0), done
        assert listed["complete"] is True and listed["lost-ranges"] == len(lost)
        assert listed["lost-bytes"] == sum(length for _, length in lost)
        lines = done.err.splitlines()
        printed = set(lines)
        for entry in listed["lost"]:
            line = (f"qcow2: {image}: lost: {entry['length']} bytes at disk offset {entry['start']}: "
                    f"{entry['reason']}")
            assert line in printed, done
            assert f"disk offset {entry['start']}" in entry["reason"]
        if lost:
            assert lines[-1] == (f"qcow2: {image}: lost ranges: {len(lost)}, {listed['lost-bytes']} "
                                 "bytes in all; zeros are in their place")
        found.append((done.out if command[0] == "cat" else out.read_bytes(), lost))
    assert found[0] == found[1]
    return found[0]


def without(disk, lost):
    """The disk with zeros where something is lost."""
    disk = bytearray(disk)
    for start, length in lost:
        disk[start:start + length] = bytes(length)
    return bytes(disk)


# ---- The map ----

def test_map_goes_on(build):
    image = build(WHOLE)
    whole = qcow2_json("map", image)
    put_l2(image, 100, 1 << 63 | 513)
    done = qcow2("map", "--json", image)
    before, damaged, after = json.loads(done.out)
    assert (damaged["start"], damaged["length"], damaged["damaged"]) == (100 * CLUSTER, CLUSTER, True)
    assert not (damaged["present"] or damaged["data"] or damaged["zero"] or damaged["compressed"])
    entry = table_entries(image)[1] + 800
    assert damaged["reason"] == ("invalid L1 or L2 table entry "
                                 f"(at file offset {entry}, disk offset {100 * CLUSTER})")
    assert before["length"] == 100 * CLUSTER and after["start"] == 101 * CLUSTER
    assert before["length"] + damaged["length"] + after["length"] == whole[0]["length"]
    assert "damaged" not in before
    assert done.code == 1 and done.err == (
        f"qcow2: {image}: damaged ranges: 1, 4096 bytes in all; the first: {damaged['reason']}\n")
    lines = qcow2("map", image).out.decode().splitlines()
    assert lines[2].split()[:4] == [str(100 * CLUSTER), str(CLUSTER), "damaged", "0"]
    assert lines[2].endswith(damaged["reason"])


def test_map_joins_damage(build):
    image = build(WHOLE)
    for index in range(50, 200):
        put_l2(image, index, 1 << 63 | 513)
    entries = json.loads(qcow2("map", "--json", image).out)
    assert [entry["length"] // CLUSTER for entry in entries] == [50, 150, 56]


def test_map_of_a_bad_l1_entry(build):
    """An L2 table that cannot be found takes with it all that it maps, and no more."""
    image = build(V3 + "size 6M\nl2 0 data\nl2 512 data\nl2 1024 data\n")
    l1, _ = table_entries(image, 1)
    put64(image, l1, 1 << 63 | 513)
    damaged, = (e for e in json.loads(qcow2("map", "--json", image).out) if e.get("damaged"))
    assert (damaged["start"], damaged["length"]) == (2 << 20, 2 << 20)
    put64(image, l1, 1 << 63 | 0x7000000)
    damaged, = (e for e in json.loads(qcow2("map", "--json", image).out) if e.get("damaged"))
    assert (damaged["start"], damaged["length"]) == (2 << 20, 2 << 20)
    assert damaged["reason"] == (
        f"the L1 entry at file offset {l1} points to an L2 table at {0x7000000}, past the end of the "
        f"file ({image.stat().st_size} bytes) (at disk offset {2 << 20})")


def test_map_of_a_damaged_backing_file(build):
    """The reason names the layer, and the damage ends where the layers above have something."""
    top = build(V3 + 'size 4M\nbacking "base" qcow2\nl2 10 data\nl2 700 data\n', "top")
    base = build(V3 + "size 4M\nl2 0 data\nl2 512 data\n", "base")
    put64(base, table_entries(base)[0], 1 << 63 | 513)
    entries = json.loads(qcow2("map", "--json", "--follow", top).out)
    damaged = [e for e in entries if e.get("damaged")]
    assert [(e["start"] // CLUSTER, e["length"] // CLUSTER) for e in damaged] == [(0, 10), (11, 501)]
    assert all(e["depth"] == 1 and e["reason"].startswith(f"backing file '{base}': ") for e in damaged)
    kept = qcow2("cat", "--follow", "--salvage", top)
    assert kept.code == 3 and kept.out[10 * CLUSTER:11 * CLUSTER] != bytes(CLUSTER)


@pytest.mark.parametrize("fault, lost", (("pread 3 1000", (0, 6 << 20)), ("pread 4 1000", (0, 256 * K)),
                                         ("pread 4 4", None)))
def test_map_where_tables_cannot_be_read(fault, lost, build):
    """The medium fails: all that the 512 bytes of a table map is lost, and the next ones are read."""
    image = build(V3 + "size 6M\n" + "".join(f"l2 {i * 64} data\n" for i in range(24)))
    env = dict(os.environ, QCOW2_FAULT=f"{fault} {errno.EIO}")
    done = run(FAULTS, "map", "--json", image, env=env, memory=MEMORY)
    entries = json.loads(done.out)
    assert sum(e["length"] for e in entries) == 6 << 20
    damaged = [e for e in entries if e.get("damaged")]
    assert bool(damaged) == (done.code == 1)
    if lost:
        assert (damaged[0]["start"], damaged[0]["length"]) >= lost
        assert "read error: Input/output error" in damaged[0]["reason"]


# ---- Salvage ----

DAMAGE = {
    "unaligned entries": ((7, 1 << 63 | 513), (8, 1 << 63 | 513), (200, 1 << 63 | 1025)),
    "past the end": ((0, 1 << 63 | 0x7000000), (255, 1 << 63 | 0x7001000)),
    "compressed data past the end": ((20, 1 << 62 | 0x7000000),),
    "side by side": ((3, 1 << 63 | 513), (4, 1 << 63 | 0x7000000), (5, 1 << 63 | 513)),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_salvage(name, build):
    image = build(WHOLE)
    disk = qcow2_ok("cat", image)
    assert salvage(image) == (disk, [])
    for index, entry in DAMAGE[name]:
        put_l2(image, index, entry)
    kept, lost = salvage(image)
    indexes = {start // CLUSTER + i for start, length in lost for i in range(length // CLUSTER)}
    assert indexes == {index for index, _ in DAMAGE[name]}
    assert len(lost) == (3 if name == "side by side" else 2 if len(indexes) > 1 else 1)
    assert kept == without(disk, lost)


def test_salvage_compressed(build):
    """Each damaged cluster is lost, and only that, however many threads decode."""
    image = build(V3 + "size 4M\nl2 0-1023 compressed\n")
    disk = qcow2_ok("cat", image)
    bad = (3, 4, 300, 511, 513, 1000)
    content = bytearray(image.read_bytes())
    for index in bad:
        l2 = table_entries(image, index // 512)[1] + 8 * (index % 512)
        packed = int.from_bytes(content[l2:l2 + 8], "big") & ((1 << 58) - 1)
        content[packed:packed + 8] = b"\xff" * 8
    image.write_bytes(content)
    kept, lost = salvage(image)
    assert lost == [(3 * CLUSTER, 2 * CLUSTER)] + [(i * CLUSTER, CLUSTER) for i in bad[2:]]
    assert kept == without(disk, lost)


def test_salvage_joins_losses(build):
    """Threads find losses in any order. Those that touch each other are one, if their reason is one."""
    image = build(V3 + "size 4M\nl2 0-1023 compressed\n")
    content = bytearray(image.read_bytes())
    for index in range(1024):
        l2 = table_entries(image, index // 512)[1] + 8 * (index % 512)
        packed = int.from_bytes(content[l2:l2 + 8], "big") & ((1 << 58) - 1)
        content[packed:packed + 8] = b"\xff" * 8
    image.write_bytes(content)
    kept, lost = salvage(image)
    assert lost == [(0, 4 << 20)]
    assert kept == bytes(4 << 20)


def test_salvage_bad_sectors(build):
    """Where the medium cannot be read, blocks of 4 KiB are tried, so that little is lost."""
    image = build("cluster_bits 16\nsize 1M\nl2 0-15 data\n")
    disk = qcow2_ok("cat", image)
    for first, last in ((4, 5), (4, 1000)):
        env = dict(os.environ, QCOW2_FAULT=f"pread {first} {last} {errno.EIO}")
        for command in (("cat", image), ("convert", image, image.with_name("out"))):
            report, out = image.with_name("report"), image.with_name("out")
            with open(image.with_name("stdout"), "wb") as stdout:  # a pipe gets data without a read
                done = run(FAULTS, command[0], "--salvage", f"--report={report}", *command[1:], env=env,
                           memory=MEMORY, stdout=stdout)
            listed = json.loads(report.read_text())
            lost = [(entry["start"], entry["length"]) for entry in listed["lost"]]
            assert done.code == (3 if lost else 0), done
            kept = image.with_name("stdout") if command[0] == "cat" else out
            assert kept.read_bytes() == without(disk, lost)
            assert all(length % 4096 == 0 for _, length in lost)
            if last == 5:
                assert listed["lost-bytes"] <= 2 * 4096
            else:
                assert listed["lost-bytes"] >= 768 * K


def test_salvage_of_a_huge_hostile_disk(build):
    """The work depends on the tables that there are, not on the size of the disk."""
    image = build("cluster_bits 21\nsize 1P\nl1 5 1<<63|513\nl1 900 1<<63|0x70000000000\n")
    done = qcow2("map", "--json", image)
    assert [e["start"] for e in json.loads(done.out) if e.get("damaged")] == [5 << 39, 900 << 39]
    done = qcow2("cat", "--salvage", "-s", str((5 << 39) - K), "-n", "3M", image)
    assert done.code == 3 and done.out == bytes(3 << 20) and done.err.count(": lost: ") == 1, done
    assert f": lost: {(3 << 20) - K} bytes at disk offset {5 << 39}: " in done.err


def test_many_losses(build):
    """A list that is longer than the command keeps is printed as it grows."""
    image = build("cluster_bits 9\nsize 8M\nl2 0 data\n")
    content = bytearray(image.read_bytes())
    end = (len(content) + 511) // 512 * 512
    content += bytes(end - len(content))
    l1 = int.from_bytes(content[40:48], "big")
    # Each L2 table of the disk is this one: every second entry is bad, the others are absent.
    content += ((0x7000000 | 1 << 63).to_bytes(8, "big") + bytes(8)) * 32
    for i in range((8 << 20) // (64 * 512)):
        content[l1 + 8 * i:l1 + 8 * i + 8] = (end | 1 << 63).to_bytes(8, "big")
    image.write_bytes(content)
    _, lost = salvage(image)
    assert lost == [(i * 1024, 512) for i in range(8192)]


def test_report_is_complete_after_a_failure(build):
    """The report is JSON even if the command fails, and says that it is not the end."""
    image = build(WHOLE)
    put_l2(image, 3, 1 << 63 | 513)
    report = image.with_name("report")
    with open("/dev/full", "wb") as full:
        done = qcow2("cat", "--salvage", f"--report={report}", image, stdout=full)
    assert done.code == 1 and "No space left" in done.err
    assert json.loads(report.read_text())["complete"] is False


def test_report_to_a_pipe(build):
    image = build(WHOLE)
    put_l2(image, 3, 1 << 63 | 513)
    read_end, write_end = os.pipe()
    done = run("sh", "-c", f'"$0" cat --salvage --report /dev/fd/{write_end} "$1" > /dev/null',
               os.environ.get("QCOW2", "build/qcow2"), image, pass_fds=(write_end,))
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        assert json.load(pipe)["lost-bytes"] == CLUSTER
    assert done.code == 3


def test_damage_names_the_option_that_helps(build):
    """--salvage, for the commands that have it, where only a part of the disk is lost."""
    hint = "; use --salvage to continue after the damage\n"
    broken, other = build(BROKEN), build(PLAIN, "other")
    for command in (["cat", broken], ["convert", broken, broken.with_name("out")]):
        assert qcow2(*command).err.endswith(hint)
        assert "use --salvage" not in qcow2(command[0], "--salvage", *command[1:]).err
    assert "use --salvage" not in qcow2("compare", broken, other).err
    assert "use --salvage" not in qcow2("map", broken).err
    packed = build("cluster_bits 12\nsize 64k\nl2 1 packed 07070707\n", "packed")
    assert qcow2("cat", packed).err.endswith(hint)
    cut = build("cluster_bits 12\nsize 64k\nl2 1 last_packed sectors 8 00ff00\n", "cut")
    assert qcow2("cat", cut).err.endswith(hint)  # --allow-truncated does not help with this
    header = build("header.cluster_bits 22\n", "header")
    assert "use --salvage" not in qcow2("cat", header).err
    marked = build(BITS + "put64 $t 1\n", "marked")  # all of the disk is marked
    put_l2(marked, 1, 1 << 63 | 513)
    assert qcow2("cat", marked).err.endswith(hint)
    done = qcow2("cat", "--bitmap=bits", marked)
    assert "invalid L1 or L2 table entry" in done.err and "use --salvage" not in done.err


def test_report_that_cannot_be_written(build):
    image = build(WHOLE)
    content = image.read_bytes()
    refused(qcow2("cat", "--salvage", f"--report={image}", image), "is the image or the output file")
    refused(qcow2("cat", "--salvage", "--report=missing/report", image), "No such file or directory")
    env = dict(os.environ, QCOW2_FAULT=f"create 1 1 {errno.EACCES}")
    refused(run(FAULTS, "cat", "--salvage", f"--report={image.with_name('new')}", image, env=env,
                memory=MEMORY), "new: Permission denied")
    done = qcow2("cat", "--salvage", "--report=/dev/full", image)
    assert done.code == 1 and done.err == "qcow2: /dev/full: write error\n", done
    out = image.with_name("out")
    out.write_bytes(b"old content")
    refused(qcow2("convert", "--salvage", f"--report={out}", image, out), "is the image or the output")
    assert image.read_bytes() == content and out.read_bytes() == b"old content"
    assert qcow2("cat", "--report=report", image).code == 2


def test_report_to_standard_output(build):
    image = build(WHOLE)
    out = image.with_name("out")
    with open(out, "wb") as stdout:
        done = qcow2("cat", "--salvage", f"--report={out}", image, stdout=stdout)
    refused(done, f"{out}: is the image or the output file")


@pytest.mark.parametrize("call", ("malloc", "open", "create", "fstat", "ftruncate"))
def test_each_call_of_salvage_fails(call, home):
    """The command says so and writes nothing, or does the same as without the fault."""
    put_l2(home / "disk", 3, 1 << 63 | 513)
    args = ("cat", "--salvage", "--report", "report", "disk")
    good = Outcome(home, args)
    assert good.code == 3 and set(good.changed) == {"report"}, good
    failed = 0
    for n in range(1, good.calls[call] + 1):
        bad = Outcome(home, args, (call, n, n, CALLS[call]))
        if bad.code == 3:
            assert bad.out == good.out and bad.err == good.err
            assert json.loads(bad.changed["report"]) == json.loads(good.changed["report"])
            continue
        assert bad.code == 1 and bad.out == b"" and set(bad.changed) <= {"report"}, bad
        assert bad.err.startswith("qcow2: ") and bad.err.count("\n") == 1, bad
        failed += 1
    assert failed > 0


def test_report_that_cannot_be_read(home):
    """A file that the user may only write to will do."""
    (home / "report").write_bytes(b"old report")
    put_l2(home / "disk", 3, 1 << 63 | 513)
    args = ("cat", "--salvage", "--report", "report", "disk")
    good = Outcome(home, args)
    assert good.code == 3 and Outcome(home, args, ("create", 1, 1, errno.EACCES)).same_as(good)


# ---- Where a read fails ----

def test_pointer_past_the_end(build):
    """The message tells a cut file from a bad entry, and names the option that helps with each."""
    image = build(WHOLE + "layout\n")
    size = image.stat().st_size
    put_l2(image, 9, 1 << 63 | 0x7000000)
    entry = table_entries(image)[1] + 72
    refused(qcow2("cat", "-s", str(9 * CLUSTER), image),
            f"{image}: the L2 entry at file offset {entry} points to data at {0x7000000}, past the end of "
            f"the file ({size} bytes) (at disk offset {9 * CLUSTER}); use --salvage to continue after "
            "the damage\n")
    place = build(V3 + "size 1M\nplace_l1\nplace_l2 0\nl2 0-255 data\nlayout\n", "cut")
    os.truncate(place, place.stat().st_size - 100 * K)
    done = qcow2("convert", place, image.with_name("out"))
    assert done.code == 1 and "image is truncated: the L2 entry at file offset" in done.err
    assert "; use --allow-truncated" in done.err


def test_file_that_ends_inside_a_cluster(build):
    image = build(V3 + "size 64k\nl2 0 data\nl2 15 last 100\n")
    end = image.stat().st_size
    warning = (f"qcow2: {image}: warning: the file ends inside a data cluster, whose rest is read as "
               f"zeros (at file offset {end}, disk offset {15 * CLUSTER + 100}, 3996 bytes); the end "
               "of the file may be lost\n")
    for command in (("info", image), ("map", image), ("cat", image), ("info", "--json", image),
                    ("convert", image, image.with_name("out"))):
        done = qcow2(*command)
        assert done.code == 0 and done.err == warning, done
    assert qcow2("cat", "-n", "4K", image).err == ""
    odd = build("cluster_bits 12\nsize 61540\nl2 15 last 100\n", "odd")  # the disk ends there as well
    assert qcow2("map", odd).err == qcow2("info", odd).err == ""


def wait_until(holds):
    """Waits for another process."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def waiting_bytes(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("there", (0, 512))
def test_file_that_grows(there, build):
    """The rest of the last cluster is not in the file when the command starts. It arrives before the
    command comes to it, and after the command has seen a hole at the old end of the file."""
    image = build("cluster_bits 12\nsize 8M\n" + "".join(f"l2 {n} data\n" for n in range(0, 2048, 2)))
    end = image.stat().st_size
    put_l2(image, 0, 1 << 63 | end)
    put64(image, table_entries(image, 3)[1] + 8 * (2046 - 3 * 512), 1 << 63 | end + CLUSTER)
    # Much of the file is not stored, as after preallocation: then the map looks for holes.
    succeed("fallocate", "--punch-hole", f"--offset={end // 2}", f"--length={end // 4}", image)
    os.truncate(image, end + CLUSTER)
    with open(image, "ab") as file:
        file.write(b"a" * there)
    with start(QCOW2, "map", "--json", image, stdout=subprocess.PIPE) as process:
        wait_until(lambda: waiting_bytes(process.stdout) >= 64 * K - 4096)  # the pipe is full
        with open(image, "ab") as file:
            file.write(b"a" * (CLUSTER - there))
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    first, *_, last, gap = json.loads(out)
    assert first["zero"] and gap["start"] == 2047 * CLUSTER
    assert (last["start"], last["length"], last["zero"]) == (2046 * CLUSTER, CLUSTER, False)
    warned = b"ended inside a data cluster when it was opened, and has grown" in err
    assert warned == (there > 0) and err.count(b"\n") == warned, err


def test_file_that_ends_behind_damage(build):
    """The warning comes also if something before that place is damaged."""
    image = build(V3 + "size 64k\nl2 0 data\nl2 5 raw 1<<63|513\nl2 15 last 100\n")
    result = qcow2("cat", "--salvage", image)
    assert result.code == 3 and len(result.out) == 64 * K, result
    assert "disk offset 20480: invalid" in result.err and "ends inside a data cluster" in result.err, result


def test_zeros_past_the_end(build):
    """One warning, however many there are. Reading is fine."""
    image = build(V3 + "size 1M\nl2 0 data\n" +
                  "".join(f"l2 {i} raw {0x7000000 + i * 8192 + 1}\n" for i in range(5, 105)))
    warning = (f"qcow2: {image}: warning: zero clusters point past the end of the file (at file "
               f"offset {0x7000000 + 5 * 8192}, disk offset {5 * CLUSTER}, {100 * CLUSTER} bytes); a "
               "table may be damaged\n")
    for command in ("info", "map"):
        done = qcow2(command, image)
        assert done.code == 0 and done.err == warning, done
    assert qcow2_ok("cat", "-s", "4K", image) == bytes(1020 * K)


def test_warning_names_the_layer(build):
    top = build(V3 + 'size 64k\nbacking "base" qcow2\n', "top")
    build(V3 + "size 64k\nl2 15 last 100\n", "base")
    assert "warning: backing file at depth 1: the file ends" in qcow2("map", "--follow", top).err
    assert qcow2("info", top).err == ""


def test_warnings_of_a_part_of_a_file(build):
    """The end of an image inside another file is where the image ends there."""
    image = build(V3 + "size 1M\nl2 0-254 data\nl2 255 zero_alloc\n")
    whole = image.with_name("whole")
    whole.write_bytes(bytes(1 << 20) + image.read_bytes() + b"more")
    option = f"--image-at=1M,{image.stat().st_size}"
    for command in ("map", "info", "cat"):
        assert qcow2(command, option, whole).err == "", command
    image = build(V3 + "size 64k\nl2 0 data\nl2 15 last 100\n")
    whole.write_bytes(bytes(1 << 20) + image.read_bytes())
    for command in ("map", "info", "cat"):
        assert f"(at file offset {whole.stat().st_size}, disk offset {15 * CLUSTER + 100}, 3996 bytes)" \
            in qcow2(command, "--image-at=1M", whole).err, command


# ---- Advice ----

def test_no_advice_that_cannot_help(build):
    image = build('version 3\ncluster_bits 12\nsize 64k\ndata_file ""\nl2 0 data\n')
    refused(qcow2("cat", image), "names none; use --data-file FILE\n")
    refused(qcow2("cat", "--follow", image), "names none; use --data-file FILE\n")
