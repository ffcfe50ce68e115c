# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The command line: help, options, operands, and files that are no images."""
import json
import re

import pytest

from conform import BROKEN, ROOT, qcow2, qcow2_ok, qemu_img, refused

COMMANDS = ("info", "map", "cat", "convert", "compare", "check", "snapshots", "bitmaps", "mount", "umount",
            "attach", "detach", "help", "version")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(command):
    assert b"Usage: qcow2 " + command.encode() in qcow2_ok(command, "--help")
    assert qcow2_ok(command, "--version") == qcow2_ok("--version")


HELP = """\
Usage: qcow2 COMMAND [OPTION]... IMAGE [OUT]
Read qcow2 disk images. Files that an image names are opened only on request.

  info       Show what an image is: sizes, features, names, partitions, snapshots.
  map        Show which parts of the disk hold data, and where in which file.
  cat        Write the content of the disk to standard output.
  convert    Write the content of the disk to OUT: a sparse raw file, a device or a pipe.
  compare    Compare the content of two disks. Exit status: 0 equal, 1 different, 2 trouble.
  check      Find damage. Exit status: 0 none, 1 trouble, 2 corruption, 3 only leaks.
  snapshots  List the internal snapshots.
  bitmaps    List the persistent dirty bitmaps.
  mount      Show the disk, its partitions and snapshots as files in the directory DIR.
  umount     End what mount has begun.
  attach     Show the disk as the block device DEVICE, /dev/nbd0 or the like (Linux, root).
  detach     End what attach has begun.
  help       Print this help, or that of COMMAND.
  version    Print the version and the built-in decoders.

If IMAGE is -, the image is standard input.
'qcow2 COMMAND --help' lists the options of a command. See also qcow2(1).
"""


def test_general_help_and_version():
    version = re.search(r"^VERSION = (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    for option in ("-h", "--help", "help"):
        assert qcow2_ok(option).decode() == HELP
    for option in ("-V", "--version"):
        assert qcow2_ok(option).decode() == f"qcow2 {version}\n"
    assert qcow2().err == HELP
    assert qcow2("nonsense").err == ("qcow2: unknown command: nonsense\n"
                                     "Try 'qcow2 --help'.\n")
    assert qcow2("help", "nonsense").err == qcow2("nonsense").err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    text = qcow2_ok("help", command)
    assert text == qcow2_ok(command, "--help") == qcow2_ok(command, "-h")
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.decode().split("\n"))


def test_version_names_the_decoders():
    """Each build has a decoder for both."""
    first, *decoders = qcow2_ok("version").decode().splitlines()
    assert first == qcow2_ok("--version").decode().strip()
    assert [line.split(":")[0] for line in decoders] == ["zlib", "zstd", "encryption"]
    assert decoders[0].split(": ")[1] in ("libdeflate", "zlib", "built in")
    assert decoders[1].split(": ")[1] in ("libzstd", "built in")


def test_table_lists_what_help_shows():
    """`help --table` has a line for each option that --help shows, with the same text."""
    rows = [line.split("\t") for line in qcow2_ok("help", "--table").decode().splitlines()]
    assert all(len(row) == 5 for row in rows)
    assert tuple(row[0] for row in rows if not row[1]) == COMMANDS
    for command in COMMANDS:
        text = " ".join(qcow2_ok(command, "--help").decode().split()) + " "
        for name, letter, argument, words in (row[1:] for row in rows if row[0] == command):
            option = f"-{letter}, --{name}" if letter else f"--{name}" if name else command
            space = "" if argument.startswith("[=") or not argument else " "
            shown = f"{option}{space}{argument} {words} " if name else f"{words} "
            assert shown in text, shown
            text = text.replace(shown, "")
        assert "--" not in text, "options that the table lacks"


@pytest.mark.parametrize("args", [(), ("nonsense",), ("cat",), ("cat", "--nonsense", "x"),
                                  ("cat", "-s", "1X", "x"), ("cat", "-s", "-1", "x"),
                                  ("cat", "-s", "99999999T", "x"), ("convert", "x"),
                                  ("map", "x", "y"), ("cat", "--follow=some", "x"),
                                  ("info", "x", ""), ("convert", "x", ""), ("umount", ""),
                                  ("map", "--svg=", "x"), ("cat", "--salvage", "--report=", "x"),
                                  ("cat", "--key-file=", "x"), ("cat", "--key-file=1=", "x")])
def test_usage(args):
    result = qcow2(*args)
    assert result.code == 2 and result.out == b"" and result.err, result


@pytest.mark.parametrize("args, words", [
    (("cat", "-s", "1X"), "-s: 1X; expected a number of bytes"),
    (("cat", "--length=1X"), "--length: 1X; expected a number of bytes"),
    (("map", "--skip=1", "x"), "command: --skip=1"),
    (("convert", "-qs", "1"), "command: -s"), (("convert", "-pQ"), "unknown option: -Q"),
    (("info", "--json=1", "x"), "takes no value: --json=1"), (("version", "x"), "expected none"),
    (("cat", "--table", "x"), "command: --table"), (("map", "-n", "1"), "command: -n"),
    (("map", "-s", "1"), "command: -s"), (("cat", "-n"), "needs a value: -n"),
    (("cat", "--backing"), "needs a value: --backing"), (("cat", "-Q"), "unknown option: -Q"),
    (("cat", "--nonsense"), "unknown option: --nonsense"),
    (("cat", "-n", "99999999999999999999", "x"), "invalid value for -n: 99999999999999999999"),
    (("convert", "x", ""), "an operand is empty; expected IMAGE OUT"),
    (("cat", "-s", "\x1b[31m\n", "x"), "invalid value for -s: \\x1b[31m\\x0a; expected"),
    (("cat", "--\x1b[31m", "x"), "unknown option: --\\x1b[31m\n"),
    (("\x1b[31m",), "unknown command: \\x1b[31m\n"),
    (("map", "--svg=", "x"), "--svg: ; expected the name of a file"),
    (("cat", "--layer-only", "--backing", "x", "y"), "--layer-only and --backing cannot be")])
def test_usage_names_the_option(args, words):
    assert words in qcow2(*args).err


K, M, G = 1 << 10, 1 << 20, 1 << 30
SIZES = {
    "512": 512, "0x200": 512, "0X2aB": 683, "00512": 512, "512B": 512, "512b": 512,
    "1k": K, "1K": K, "1KiB": K, "1kib": K, "1m": M, "3MiB": 3 * M, "2G": 2 * G, "1GIB": G,
    "1T": 1024 * G, "1P": 1 << 50, "1e": 1 << 60, "15E": 15 << 60, "1.5K": 1536, "1.5G": 3 * G // 2,
    "0.25k": 256, "1.0": 1, "2.500MiB": 5 * M // 2, "1.0009765625M": M + K, "15.5E": 31 << 59,
    "0.000000000931322574615478515625G": None, "18446744073709551615": (1 << 64) - 1,
    "0xffffffffffffffff": (1 << 64) - 1, "16E": None, "18446744073709551616": None,
    "0x10000000000000000": None, "15.99999999999999999E": None, "1.1K": None, "0.5": None,
    "0.5B": None, "0.0001k": None, "": None, " 1": None, "1 ": None, "1 K": None, "+1": None,
    "-1": None, ".5K": None, "1.": None, "1.K": None, "1KB": None, "1Ki": None, "1iB": None,
    "1BiB": None, "1KiBs": None, "1KK": None, "1e3": None, "0x": None, "0x1K": None, "K": None,
    "1.5.5K": None, "1.5 K": None, "1\u2003": None, "1\x8b": None,
}


@pytest.mark.parametrize("text, size", SIZES.items())
def test_size(text, size, build):
    """The message about an offset past the end of the disk shows what a size means."""
    result = qcow2("cat", f"--skip={text}", build("size 1\n"))
    if size is None:
        assert result.code == 2, result
        assert ("; expected a number of bytes such as 4096, 64K, 64KiB or 1.5M\n") in result.err
    elif size > 1:
        assert f": offset {size} is past the end of the disk (1 bytes)\n" in result.err
    else:
        assert result.code == 0, result


@pytest.mark.parametrize("text", ("512", "0x200", "1k", "3M", "2G", "1T", "1.5G", "0.5k", "1.25m"))
def test_size_as_qemu_img(text, build):
    """qemu-img takes the same sizes, and means the same."""
    measured = json.loads(qemu_img("measure", "--output=json", "-O", "raw", "--size", text))
    assert f"offset {measured['fully-allocated']} is" in qcow2("cat", "-s", text, build("size 1\n")).err


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


def test_damage_is_told(build):
    image = build(BROKEN)
    result = qcow2("cat", image)
    assert result.code == 1 and "at file offset" in result.err, result
    result = qcow2("map", image)
    assert result.code == 1 and "at file offset" in result.err, result
