# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Signals while `convert` writes its output file.

The tests set the signals of the command themselves (conform.inherited), so that they pass under
nohup(1) and in background jobs, where some signals are ignored from the start.
"""
import os
import re
import signal

import pytest

from conform import QCOW2, SIGNALS, qemu_img, start
from fault_runs import CALLS, COMMANDS, Outcome

# The calls that the command makes while the temporary file exists and is not complete.
MEANWHILE = ("create", "fchmod", "ftruncate", "pwrite", "fsync")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", ("convert", "convert over"))
def test_signal_at_each_call(name, number, home):
    """The signal ends the command, which leaves nothing behind, or it comes after the work is done."""
    args = COMMANDS[name]
    good = Outcome(home, args)
    for call in CALLS:
        for n in range(1, good.calls[call] + 1):
            bad = Outcome(home, args, (call, n, n, -number))
            if bad.code == 0:
                assert bad.same_as(good) and not (bad.hit and call in MEANWHILE), (call, bad)
            else:
                assert bad.code == -number and not bad.changed and bad.err == "", (call, bad)
    made = Outcome(home, args, ("create", 1, 1, -100 - number))
    assert made.code == -number and not made.changed, made
    for what in (-number, -100 - number):
        assert Outcome(home, args, ("rename", 1, 1, what)).same_as(good)


@pytest.mark.parametrize("number", SIGNALS)
def test_ignored_signal(number, home):
    """A signal that the command starts with ignored, as under nohup(1), stays ignored."""
    args = COMMANDS["convert"]
    good = Outcome(home, args)
    assert Outcome(home, args, ("pwrite", 1, 1, -number), ignore=(number,)).same_as(good)
    assert Outcome(home, args, ("pwrite", 1, 1, -number)).code == -number


@pytest.mark.parametrize("name", ("convert", "convert over", "cat", "compare"))
def test_progress_on_request(name, home):
    """SIGUSR1 at any call, once the command is at work, prints one line and changes nothing else."""
    args = (*COMMANDS[name], "--quiet")
    good = Outcome(home, args)
    for call in ("open", "fstat", "malloc", "create", "ftruncate", "pread", "pwrite", "splice", "fsync"):
        for n in range(1, good.calls[call] + 1):
            bad = Outcome(home, args, (call, n, n, -signal.SIGUSR1))
            if not bad.hit and bad.same_as(good):
                continue
            assert re.fullmatch(r"\d+ %  [\d.]+ of 256\.0 KiB(  .*)?\n", bad.err), (call, n, bad)
            bad.err = ""
            assert bad.same_as(good), (call, n, bad)


def test_ignored_request(home):
    args = COMMANDS["convert"]
    good = Outcome(home, args)
    fault = ("pread", 1, 1, -signal.SIGUSR1)
    assert Outcome(home, args, fault, ignore=(signal.SIGUSR1,)).same_as(good)


def temporary_files(directory, before):
    return set(os.listdir(directory)) - before


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_signal_from_outside(number, tmp_path):
    """A signal while the copy runs: the command fails and leaves nothing behind, or it is done.

    The test waits until the temporary file exists, however long that takes. On a busy machine the
    command may be done before the signal, so the test repeats this until a signal has ended it.
    """
    image, out = tmp_path / "big.qcow2", tmp_path / "out"
    qemu_img("create", "-q", "-f", "qcow2", "-o", "preallocation=full", image, "64M")
    before = set(os.listdir(tmp_path))
    codes = []
    while -number not in codes:
        process = start(QCOW2, "convert", image, out)
        while process.poll() is None and not temporary_files(tmp_path, before):
            pass
        process.send_signal(number)
        process.communicate()
        codes.append(process.returncode)
        assert codes[-1] in (0, -number)
        if codes[-1] == 0:
            assert out.stat().st_size == 64 << 20
            out.unlink()
        assert set(os.listdir(tmp_path)) == before
