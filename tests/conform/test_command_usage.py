# SPDX-License-Identifier: MIT
"""The command line: help, options, operands, and files that are no images."""
import re

import pytest

from conform import BROKEN, ROOT, qcow2, qcow2_ok, refused

COMMANDS = ("info", "map", "cat", "convert", "snapshots")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version(command):
    assert b"Usage: qcow2 " + command.encode() in qcow2_ok(command, "--help")
    assert qcow2_ok(command, "--version") == qcow2_ok("--version")


HELP = """\
Usage: qcow2 COMMAND [OPTION]... IMAGE [OUT]
Read qcow2 disk images. Files that an image names are opened only on request.

  info       Show the header of IMAGE: sizes, features, names, snapshots.
  map        Show which parts of the disk hold data, and where in which file.
  cat        Write the content of the disk to standard output.
  convert    Write the content of the disk to the sparse raw file OUT.
  snapshots  List the internal snapshots.

If IMAGE is -, the image is standard input.
'qcow2 COMMAND --help' lists the options of a command. See also qcow2(1).
"""


def test_general_help_and_version():
    version = re.search(r"^VERSION = (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    for option in ("-h", "--help"):
        assert qcow2_ok(option).decode() == HELP
    for option in ("-V", "--version"):
        assert qcow2_ok(option).decode() == f"qcow2 {version}\n"
    assert qcow2().err == HELP
    assert qcow2("nonsense").err == ("qcow2: unknown command: nonsense\n"
                                     "Try 'qcow2 --help'.\n")


@pytest.mark.parametrize("args", [(), ("nonsense",), ("cat",), ("cat", "--nonsense", "x"),
                                  ("cat", "-s", "1X", "x"), ("cat", "-s", "-1", "x"),
                                  ("cat", "-s", "99999999T", "x"), ("convert", "x"),
                                  ("info", "x", "y"), ("cat", "--follow=some", "x")])
def test_usage(args):
    result = qcow2(*args)
    assert result.code == 2 and result.out == b"" and result.err, result


@pytest.mark.parametrize("args, words", [
    (("cat", "-s", "1X"), "-s: 1X"), (("cat", "--length=1X"), "--length: 1X"),
    (("map", "-s", "1"), "command: -s"), (("cat", "-n"), "needs a value: -n"),
    (("cat", "--backing"), "needs a value: --backing"), (("cat", "-Q"), "unknown option: -Q"),
    (("cat", "--nonsense"), "unknown option: --nonsense"),
    (("cat", "-n", "99999999999999999999", "x"), "invalid value for -n: 99999999999999999999"),
    (("cat", "--layer-only", "--backing", "x", "y"), "--layer-only and --backing cannot be")])
def test_usage_names_the_option(args, words):
    assert words in qcow2(*args).err


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
