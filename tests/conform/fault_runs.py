# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the tests of faults share: runs of the command with a fault (tests/conform/faults.c)."""
import errno
import os
import zlib

from fault_server import run_fault

PACKER = zlib.compressobj(wbits=-12)
ZEROS = PACKER.compress(bytes(4096)) + PACKER.flush()
DISK = ("cluster_bits 12\nsize 256k\nl2 0-7 data\nl2 9 zero\nl2 12 compressed\n"
        f"l2 13 packed {ZEROS.hex()}\nl2 14 compressed\nl2 20-21 data\nl2 40-47 data\n")
LISTED = 'size 64k\nbacking "base.raw" raw\nl2 0 data\nsnapshot 1 first\nactive\n'
COMMANDS = {
    "cat": ("cat", "disk"), "cat standard input": ("cat", "-"), "map": ("map", "disk"),
    "map --json": ("map", "--json", "disk"),
    "map --svg": ("map", "--svg", "new", "disk"), "map --picture": ("map", "--picture", "disk"),
    "convert": ("convert", "disk", "new"), "convert over": ("convert", "disk", "old"),
    "convert never sparse": ("convert", "--sparse=never", "disk", "new"),
    "snapshots": ("snapshots", "listed"),
    "info": ("info", "disk"), "info --json": ("info", "--json", "listed"),
    "info --backing-chain": ("info", "--backing-chain", "listed"),
    "map of a snapshot": ("map", "--layer-only", "-l", "snapshot.name=first", "listed"),
    "check": ("check", "listed"), "check --deep": ("check", "--deep", "disk"),
    "compare": ("compare", "disk", "disk"),
    "bitmaps": ("bitmaps", "listed"),
    "map of a bitmap": ("map", "--layer-only", "--bitmap", "a bitmap", "listed"),
    "convert of a bitmap": ("convert", "--layer-only", "--bitmap", "a bitmap", "listed", "new"),
}
CALLS = {
    "malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "strdup": errno.ENOMEM,
    "realpath": errno.ELOOP, "open": errno.EMFILE, "fcntl": errno.EMFILE,
    "fstat": errno.EOVERFLOW, "stat": errno.EACCES, "readlink": errno.EACCES, "lseek": errno.EINVAL,
    "pread": errno.EREMOTEIO, "pwrite": errno.ENOSPC, "write": errno.ENOSPC,
    "splice": errno.EINVAL, "ftruncate": errno.EDQUOT, "fallocate": errno.ENOSPC, "create": errno.ELOOP,
    "fchmod": errno.EPERM, "fsync": errno.EIO, "close": errno.EIO, "rename": errno.EXDEV,
    "pthread_create": errno.EAGAIN,
}


def read_counts(path):
    return {name: int(n) for name, n in map(str.split, path.read_text().rstrip("\0").splitlines())}


class Outcome:
    """Runs the command with a fault, and then restores its directory. Keeps how the command ended, how
    often it made each call, and which files it changed."""

    def __init__(self, home, args, fault=None, to_pipe=True, ignore=()):
        counts = home.parent / "calls"
        counts.unlink(missing_ok=True)
        before = {name: (home / name).read_bytes() for name in os.listdir(home)}
        modes = {name: (home / name).stat().st_mode for name in before}
        with open(home / "disk", "rb") as stdin, open(home.parent / "out", "w+b") as out, \
                open(home.parent / "err", "w+b") as err:
            self.result = run_fault(args, home, stdin, None if to_pipe else out, err,
                                    "%s %d %d %d" % fault if fault else "", counts, ignore)
            out.seek(0)
            self.out = self.result.out if to_pipe else out.read()
        after = {name: (home / name).read_bytes() for name in os.listdir(home)}
        self.changed = {name: after.get(name) for name in before | after
                        if before.get(name) != after.get(name)}
        for name in self.changed:
            (home / name).unlink(missing_ok=True)
            if name in before:
                (home / name).write_bytes(before[name])
                (home / name).chmod(modes[name])
        self.code, self.err = self.result.code, self.result.err
        # With threads, the number of calls differs between runs, so the call may not happen.
        self.calls = read_counts(counts) if counts.exists() else None
        self.hit = fault is not None and (not self.calls or self.calls[fault[0]] >= fault[1])

    def same_as(self, other):
        return (self.code, self.out, self.err, self.changed) == (
            other.code, other.out, other.err, other.changed)

    def __repr__(self):
        return f"{self.result}changed: {sorted(self.changed)}"
