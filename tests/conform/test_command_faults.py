# SPDX-License-Identifier: MIT
"""The command where each call fails, one after the other (tests/conform/faults.c).

What comes of it is an error that says why and leaves nothing behind, or what would have come
without the fault. `info` alone may tell less, with a warning.
"""
import errno
import json
import os
import signal
import zlib

import pytest

from conform import FAULTS, K, MEMORY, assert_subset, qcow2_ok, run, succeed

PACKER = zlib.compressobj(wbits=-12)
ZEROS = PACKER.compress(bytes(4096)) + PACKER.flush()
DISK = ("cluster_bits 12\nsize 256k\nl2 0-7 data\nl2 9 zero\nl2 12 compressed\n"
        f"l2 13 packed {ZEROS.hex()}\nl2 14 compressed\nl2 20-21 data\nl2 40-47 data\n")
LISTED = 'size 64k\nbacking "base.raw" raw\nl2 0 data\nsnapshot 1 first\nactive\n'
COMMANDS = {
    "cat": ("cat", "disk"), "cat standard input": ("cat", "-"), "map": ("map", "disk"),
    "map --json": ("map", "--json", "disk"), "convert": ("convert", "disk", "new"),
    "convert over": ("convert", "disk", "old"), "snapshots": ("snapshots", "listed"),
    "info": ("info", "listed"), "info --json": ("info", "--json", "listed"),
}
CALLS = {
    "malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "strdup": errno.ENOMEM,
    "realpath": errno.ELOOP, "open": errno.EMFILE, "fcntl": errno.EMFILE,
    "fstat": errno.EOVERFLOW, "stat": errno.EACCES, "lstat": errno.EACCES, "lseek": errno.EINVAL,
    "pread": errno.EREMOTEIO, "pwrite": errno.ENOSPC, "write": errno.ENOSPC,
    "splice": errno.EINVAL, "ftruncate": errno.EDQUOT, "mkostemp": errno.EROFS,
    "fchmod": errno.EPERM, "fsync": errno.EIO, "close": errno.EIO, "rename": errno.EXDEV,
    "pthread_create": errno.EAGAIN,
}
# There is another way, or it does not matter.
HARMLESS = ("splice", "lseek", "pthread_create", "lstat")
# Some of these do not matter either: memory to read ahead, a size that is only shown.
SOME_HARMLESS = ("malloc", "fstat", "close")


@pytest.fixture
def home(build, tmp_path):
    """A directory with images and a file to be replaced, as files are called in COMMANDS."""
    build(DISK, "disk")
    image = build(LISTED, "listed")
    image.with_name("base.raw").write_bytes(bytes(64 * K))
    succeed("qemu-img", "bitmap", "--add", image, "a bitmap")
    image.with_name("old").write_bytes(b"old content")
    return tmp_path


def read_counts(path):
    return {name: int(n) for name, n in map(str.split, path.read_text().splitlines())}


class Outcome:
    """What the command did: its answer, how often it made which call, and what of its directory is
    new. Then the directory is as it was."""

    def __init__(self, home, args, fault=None, to_pipe=True):
        counts = home.parent / "calls"
        counts.unlink(missing_ok=True)
        env = dict(os.environ, QCOW2_CALLS=str(counts))
        if fault:
            env["QCOW2_FAULT"] = "%s %d %d %d" % fault
        before = {name: (home / name).read_bytes() for name in os.listdir(home)}
        with open(home / "disk", "rb") as stdin, open(home.parent / "out", "w+b") as out:
            more = {} if to_pipe else {"stdout": out}
            self.result = run(FAULTS, *args, cwd=home, env=env, stdin=stdin, memory=MEMORY, **more)
            out.seek(0)
            self.out = self.result.out if to_pipe else out.read()
        after = {name: (home / name).read_bytes() for name in os.listdir(home)}
        self.changed = {name: after.get(name) for name in before | after
                        if before.get(name) != after.get(name)}
        for name in self.changed:
            (home / name).unlink(missing_ok=True)
            if name in before:
                (home / name).write_bytes(before[name])
        self.code, self.err = self.result.code, self.result.err
        # Threads take turns as they like: a call may not come as often as another time.
        self.calls = read_counts(counts) if counts.exists() else None
        self.hit = fault is not None and (not self.calls or self.calls[fault[0]] >= fault[1])

    def same_as(self, other):
        return (self.code, self.out, self.err, self.changed) == (
            other.code, other.out, other.err, other.changed)

    def __repr__(self):
        return f"{self.result}changed: {sorted(self.changed)}"


def says(result, number):
    """One line on standard error, with the reason in words."""
    reason = "out of memory" if number == errno.ENOMEM else os.strerror(number)
    words = result.err.replace("Cannot allocate memory", "out of memory")
    assert result.err.startswith("qcow2: ") and result.err.count("\n") == 1, result
    assert reason in words, result


def tells_less(good, bad, args):
    """`info` goes on without what it cannot read. There is no warning for what it adds itself: how
    much of the disk the file takes, and from where the backing file's name is to be read."""
    if args[0] != "info" or bad.code != 0:
        return False
    if "--json" in args:
        left, whole = json.loads(bad.out), json.loads(good.out)
        assert left.pop("actual-size") in (0, whole.pop("actual-size"))
        assert_subset(left, whole)
        lost = set(whole) - set(left) - {"full-backing-filename"}
    else:
        left, whole = set(bad.out.decode().splitlines()), set(good.out.decode().splitlines())
        assert left - whole <= {"disk usage: 0 B (0 bytes)"}, bad
        lost = {line for line in whole - left if not line.startswith("disk usage: ")}
    assert bad.err.count("warning: ") == bad.err.count("\n") >= bool(lost), bad
    return True


def is_harmless(good, bad, args, call, number):
    if bad.same_as(good):
        return True
    if tells_less(good, bad, args):
        return False
    assert bad.code == 1 and not bad.changed and good.out.startswith(bad.out), bad
    if bad.err != "" or call != "fcntl":  # before it is sure of its standard error, it is silent
        says(bad.result, number)
    return False


def fail_each(home, args, call, number, good, to_pipe, how_many):
    """The n-th call fails, for each n; says of each whether that was harmless."""
    outcomes = [Outcome(home, args, (call, n, n + how_many - 1, number), to_pipe)
                for n in range(1, good.calls[call] + 1)]
    return [is_harmless(good, bad, args, call, number) for bad in outcomes
            if bad.hit or not bad.same_as(good)]


@pytest.mark.parametrize("how_many", (1, 1000), ids=("once", "from then on"))
@pytest.mark.parametrize("to_pipe", (True, False), ids=("pipe", "file"))
@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_fails(name, to_pipe, how_many, home):
    """What fails but once, the command may have tried again."""
    args = COMMANDS[name]
    good = Outcome(home, args, to_pipe=to_pipe)
    assert good.code == 0 and good.err == "", good
    if args[0] in ("cat", "convert"):
        assert qcow2_ok("cat", home / "disk") == (good.changed[args[2]] if good.changed else good.out)
    assert set(good.calls) == set(CALLS)
    for call, number in CALLS.items():
        harmless = fail_each(home, args, call, number, good, to_pipe, how_many)
        if call in HARMLESS:
            assert all(harmless), call
        elif call not in SOME_HARMLESS:
            assert how_many == 1 or not any(harmless), (call, harmless)
        elif call != "close" or args[0] == "convert":
            assert not all(harmless), call


def test_all_calls_are_tried(home):
    tried = set()
    for args in COMMANDS.values():
        for to_pipe in (True, False):
            calls = Outcome(home, args, to_pipe=to_pipe).calls
            tried.update(call for call, n in calls.items() if n)
    assert tried == set(CALLS)


@pytest.mark.parametrize("what", (0, errno.EINTR), ids=("half", "interrupted"))
@pytest.mark.parametrize("name", ("cat", "convert", "map"))
def test_half_and_interrupted(name, what, home):
    """Less is done than was asked for, or nothing yet: it is done all the same."""
    args = COMMANDS[name]
    for to_pipe in (True, False):
        good = Outcome(home, args, to_pipe=to_pipe)
        for call in ("pread", "pwrite", "write", "splice"):
            for n in range(1, good.calls[call] + 1):
                assert Outcome(home, args, (call, n, n, what), to_pipe).same_as(good), (call, n)


DEADLY = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGXFSZ,
          signal.SIGPIPE)
# What is called while there is a file that is not complete.
MEANWHILE = ("mkostemp", "fchmod", "ftruncate", "pwrite", "fsync")


@pytest.fixture
def signals_end():
    """SIGINT and SIGQUIT, too: what a shell starts in the background ignores them."""
    ignored = [n for n in (signal.SIGINT, signal.SIGQUIT) if signal.getsignal(n) == signal.SIG_IGN]
    for n in ignored:
        signal.signal(n, signal.SIG_DFL)
    yield
    for n in ignored:
        signal.signal(n, signal.SIG_IGN)


@pytest.mark.usefixtures("signals_end")
@pytest.mark.parametrize("number", DEADLY)
@pytest.mark.parametrize("name", ("convert", "convert over"))
def test_signal_at_each_call(name, number, home):
    """It ends the command and nothing is left, or it comes too late and all is there."""
    args = COMMANDS[name]
    good = Outcome(home, args)
    for call in CALLS:
        for n in range(1, good.calls[call] + 1):
            bad = Outcome(home, args, (call, n, n, -number))
            if bad.code == 0:
                assert bad.same_as(good) and not (bad.hit and call in MEANWHILE), (call, bad)
            else:
                assert bad.code == -number and not bad.changed and bad.err == "", (call, bad)
    made = Outcome(home, args, ("mkostemp", 1, 1, -100 - number))
    assert made.code == -number and not made.changed, made
    for what in (-number, -100 - number):
        assert Outcome(home, args, ("rename", 1, 1, what)).same_as(good)


def test_ignored_signal(home):
    """What nohup(1) lets it ignore stays ignored."""
    args = COMMANDS["convert"]
    good = Outcome(home, args)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert Outcome(home, args, ("pwrite", 1, 1, -signal.SIGHUP)).same_as(good)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert Outcome(home, args, ("pwrite", 1, 1, -signal.SIGHUP)).code == -signal.SIGHUP
