# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The command while its system calls fail, one after the other (tests/conform/faults.c).

Either the command says why it fails and leaves nothing behind, or it does the same as without the
fault. Only `info` may print less, with a warning.
"""
import errno
import json
import os
import re

import pytest

from conform import K, assert_subset, qcow2_ok
from fault_runs import CALLS, COMMANDS, Outcome

# Calls that the command can do without, or whose failure means the same as success.
HARMLESS = ("splice", "lseek", "pthread_create", "fchmod")
# Some of these calls may fail without harm: memory to read ahead or to remember holes, a size that is
# only shown, the sticky bit of a directory, the directory of the image or of the sandbox, the question who
# writes to the image.
SOME_HARMLESS = ("malloc", "calloc", "fstat", "stat", "readlink", "close", "open", "fcntl")


def assert_one_message(result, number):
    """Checks that the command printed one message, with the text of this errno."""
    reason = "out of memory" if number == errno.ENOMEM else os.strerror(number)
    words = result.err.replace("Cannot allocate memory", "out of memory")
    assert result.err.startswith("qcow2: ") and result.err.count("\n") == 1, result
    assert reason in words, result


def prints_less(good, bad, args):
    """`info` warns and leaves out what it cannot read, and counts apart what is damaged. It does not warn
    about what is not in the image: the disk usage, and the full path of the backing file. It fails
    only if it cannot open an image, maybe after others, which it shows."""
    if args[0] != "info" or bad.code != 0 and bad.out == b"":
        return False
    if "--json" in args:
        left, whole = json.loads(bad.out), json.loads(good.out)
        assert left.pop("actual-size") in (0, whole.pop("actual-size"))
        if "damaged" in left.get("usage", {}):
            del left["usage"]
        assert_subset(left, whole)
        lost = set(whole) - set(left) - {"full-backing-filename"}
    else:
        # The full path is shown if the library cannot tell that the directory is this one.
        left, whole = (set(re.sub("(?m)^image: /.*/", "image: ", run.out.decode()).splitlines())
                       for run in (bad, good))
        counted = {line for line in left - whole if line.startswith(("allocated: ", "damaged: "))}
        assert len(counted) in (0, 2), bad
        assert left - whole - counted <= {"disk usage: 0 B (0 bytes)"}, bad
        lost = {line for line in whole - left if not line.startswith("disk usage: ")}
    assert bad.err.count("\n") == bad.err.count("warning: ") + bad.code >= bool(lost), bad
    return True


def shows_damage(bad, args, call, number):
    """`map` goes on where it cannot read a table: it shows what that maps as damaged, and says why."""
    if args[0] != "map" or call != "pread" or ": damaged ranges: " not in bad.err:
        return False
    assert bad.code == 1 and bad.err.count("\n") == 1 and os.strerror(number) in bad.err, bad
    shown = bad.out
    if "--svg" in args:
        shown = bad.changed.pop(args[2])
    elif "--picture" not in args:
        assert os.strerror(number).encode() in bad.out, bad
    assert b"damaged" in shown and not bad.changed, bad
    assert "--json" not in args or any("reason" in entry for entry in json.loads(bad.out))
    return True


def counts_error(bad, args, call, number):
    """`check --deep` goes on where it cannot read data, and counts each such part."""
    if "--deep" not in args or call != "pread" or not bad.err.startswith("ERROR "):
        return False
    assert bad.code == 1 and os.strerror(number) in bad.err and not bad.changed, bad
    assert f"{bad.err.count('ERROR ')} internal errors" in bad.out.decode(), bad
    return True


def is_harmless(good, bad, args, call, number):
    if bad.same_as(good):
        return True
    if prints_less(good, bad, args) or shows_damage(bad, args, call, number) or \
            counts_error(bad, args, call, number):
        return False
    begun = bad.out
    if args[:2] == ("map", "--json") and begun:
        json.loads(begun)  # it is complete even if the command fails
        begun = begun.removesuffix(b"]\n")
    assert bad.code == (2 if args[0] == "compare" else 1), bad
    assert not bad.changed and good.out.startswith(begun), bad
    if bad.err != "" or call != "fcntl":  # it prints nothing before it knows stderr is open
        assert_one_message(bad.result, number)
    return False


def fail_each(home, args, call, number, good, to_pipe, how_many):
    """Lets the n-th call fail, for each n. Returns a list: whether each failure was harmless."""
    outcomes = [Outcome(home, args, (call, n, n + how_many - 1, number), to_pipe)
                for n in range(1, good.calls[call] + 1)]
    return [is_harmless(good, bad, args, call, number) for bad in outcomes
            if bad.hit or not bad.same_as(good)]


@pytest.mark.parametrize("how_many", (1, 1000), ids=("once", "from then on"))
@pytest.mark.parametrize("to_pipe", (True, False), ids=("pipe", "file"))
@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_fails(name, to_pipe, how_many, home):
    """The command may repeat a call that fails once. It must report one that keeps failing."""
    args = COMMANDS[name]
    good = Outcome(home, args, to_pipe=to_pipe)
    assert good.code == 0 and good.err == "", good
    if args[0] in ("cat", "convert"):
        written = good.changed[args[-1]] if good.changed else good.out
        # The bitmap is clean: nothing of the disk is written.
        assert written == (bytes(64 * K) if "--bitmap" in args else qcow2_ok("cat", home / "disk"))
    assert set(good.calls) == set(CALLS)
    for call, number in CALLS.items():
        harmless = fail_each(home, args, call, number, good, to_pipe, how_many)
        if call in HARMLESS:
            assert all(harmless), call
        elif call not in SOME_HARMLESS and (args[0], call) != ("info", "pread"):
            # `info` also looks for what is odd in the tables, if it can read them.
            assert how_many == 1 or not any(harmless), (call, harmless)
        elif call not in ("close", "open", "stat", "readlink") or args[0] == "convert":
            assert not harmless or not all(harmless), call


def test_every_call_is_made(home):
    tried = set()
    for args in COMMANDS.values():
        for to_pipe in (True, False):
            calls = Outcome(home, args, to_pipe=to_pipe).calls
            tried.update(call for call, n in calls.items() if n)
    assert tried == set(CALLS)


@pytest.mark.parametrize("what", (0, errno.EINTR), ids=("half", "interrupted"))
@pytest.mark.parametrize("name", ("cat", "convert", "map"))
def test_half_and_interrupted(name, what, home):
    """Calls that transfer only a part, or that a signal interrupts, do not change the result."""
    args = COMMANDS[name]
    for to_pipe in (True, False):
        good = Outcome(home, args, to_pipe=to_pipe)
        for call in ("pread", "pwrite", "write", "splice"):
            for n in range(1, good.calls[call] + 1):
                assert Outcome(home, args, (call, n, n, what), to_pipe).same_as(good), (call, n)
