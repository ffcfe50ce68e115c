# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Standard input, output and error: what `cat` writes, pipes, full disks, closed descriptors."""
import os
import signal

import pytest

from conform import K, PLAIN, QCOW2, qcow2, qcow2_ok, refused, run


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
        shown = qcow2_ok(command, "-", stdin=file)
    assert shown == qcow2_ok(command, image).replace(bytes(image), b"-")


def test_pipe(build):
    """The command uses splice(2) for a pipe. The bytes are the same as in a file, also where the image
    ends inside a cluster."""
    image = build("cluster_bits 16\nsize 1M\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\n"
                  "l2 9-12 data\nl2 15 last 100\n")
    out = image.with_name("out")
    with open(out, "wb") as file:
        assert qcow2("cat", image, stdout=file).code == 0
    assert qcow2_ok("cat", image) == out.read_bytes()
    assert qcow2_ok("cat", "-s", "100", "-n", "200000", image) == out.read_bytes()[100:200100]


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


def test_closed_descriptors(build):
    """If standard error is closed, the output file must not get its number, or the progress bar would
    be written to it."""
    image = build(PLAIN)
    out = image.with_name("out")
    for line in ('"$0" convert -p "$1" "$2" <&- >&- 2>&-', '"$0" convert -p - "$2" <"$1" 2>&-'):
        run("sh", "-c", line, QCOW2, image, out)
        assert not out.exists() or out.read_bytes() == qcow2_ok("cat", image)


def test_broken_pipe(build):
    image = build("size 64M\n")
    done = run("bash", "-c", '"$0" cat "$1" | head -c 10 | wc -c', QCOW2, image)
    assert done.out.strip() == b"10" and done.err == "", done


@pytest.mark.parametrize("args", [("info",), ("map",), ("snapshots",), ("info", "--json"), ("cat",)])
def test_nobody_reads(args, build):
    """The reader of the pipe is gone: the command fails without a message, or SIGPIPE ends it."""
    image = build(PLAIN)
    for ignore, code in (((), -signal.SIGPIPE), ((signal.SIGPIPE,), 1)):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = run(QCOW2, *args, image, stdout=write_end, ignore=ignore)
        os.close(write_end)
        assert done.code == code and done.err == "", done
