# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The section "Where it plugs in" of the main page: each command does what it says. That of Python is
run by test_python.py. What a `make` command builds is built and tried by the steps of check-all."""
import os
import re
from pathlib import Path

from conform import QCOW2, ROOT, make, qcow2_ok, succeed
from test_command_attach import READ, ask, kernel  # pylint: disable=unused-import

BUILD = Path(QCOW2).resolve().parent


def rows():
    section = (ROOT / "README.md").read_text().split("## Where it plugs in")[1].split("\n## ")[0]
    table = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {command: cells[0] for cells in table[1:] for command in re.findall("`([^`]*)`", cells[1])}


def commands(kind):
    return [command for command in rows() if command.startswith(kind + " ")]


def disk(tmp_path):
    make("size 1M\nl2 0-9 data\n", tmp_path / "disk.qcow2")
    return qcow2_ok("cat", tmp_path / "disk.qcow2", text=False)


def shell(tmp_path, command):
    return succeed("sh", "-c", command, cwd=tmp_path, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})


def test_each_command_is_of_a_known_kind():
    assert {command.split()[0] for command in rows()} == {"qcow2", "nbdkit", "python3", "make"}
    assert [command.split()[1] for command in commands("qcow2")] == ["mount", "attach"]


def test_mount(tmp_path):
    content = disk(tmp_path)
    (tmp_path / "dir").mkdir()
    assert shell(tmp_path, f"{commands('qcow2')[0]} && cat dir/disk; qcow2 umount dir") == content


def test_attach(tmp_path, kernel):
    content = disk(tmp_path)
    _, command, image, device = commands("qcow2")[1].split()
    assert command == "attach" and re.fullmatch("/dev/nbd[0-9]+", device)
    attached = kernel(tmp_path / image)
    assert ask(attached.sockets[0], READ, 0, len(content)) == content
    attached.close()


def test_nbdkit(tmp_path):
    """nbdkit finds `qcow2` among its own files once the plugin is installed."""
    content = disk(tmp_path)
    (command,) = commands("nbdkit")
    command = command.replace("nbdkit qcow2 ", f"nbdkit -U - {BUILD}/nbdkit/nbdkit-qcow2-plugin.so ")
    assert shell(tmp_path, f"{command} --run 'nbdcopy \"$uri\" -'") == content


def test_each_target_of_make_has_its_line_in_the_help():
    targets = re.findall(r"^ *([a-z0-9-]+) ", succeed("make", "-s", "-C", ROOT, "help").decode(), re.M)
    assert commands("make") and {command.split()[1] for command in commands("make")} <= set(targets)
