# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Keeps what QEMU answers, for the runs of these tests that follow with another build of the command.

check-all runs these tests with several builds. QEMU sees nothing of the build: its answer depends
on the files and the arguments. If the environment variable QEMU_ANSWERS names a directory, an answer
goes there under a hash of everything that QEMU can see: its version, the arguments, standard input,
and the name, mode, content, holes and used space of each file in the directory of the test. An
answer is the exit status, what QEMU printed, and each file that it changed. A run that finds its
answer there does not start QEMU.

So each build is still compared with QEMU in each test. What is not covered by the hash is not kept:
files outside the directory of the test, pipes, environments, limits.
"""
import functools
import hashlib
import os
import pickle
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

PLACE = os.environ.get("QEMU_ANSWERS")
TOOLS = ("qemu-img", "qemu-io")
LARGEST = 4 << 20  # the most bytes of files in an answer
HERE = b"@the directory of the test@"
base = None  # the directory that pytest makes for a run; it has a directory for each test


class NotKept(Exception):
    """The hash would not cover everything that QEMU can see, or the answer is too large."""


@functools.cache
def version(tool):
    program = shutil.which(tool)
    out = subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=True).stdout
    return f"{program} {os.stat(program).st_size} ".encode() + out


def home_of(argv, cwd):
    """The directory of the test: all paths must be in it."""
    paths = [Path(arg) for arg in argv if arg.startswith("/")] + [Path(cwd)]
    homes = set()
    for path in paths:
        if base is None or base not in path.parents or ".." in path.parts:
            raise NotKept
        homes.add(base / path.relative_to(base).parts[0])
    if len(homes) != 1:
        raise NotKept
    return homes.pop()


def extents(path, size):
    """Yields the offset and the bytes of each run of data, and leaves out the holes: what QEMU says
    depends on these, and they take no time."""
    with open(path, "rb") as file:
        end = 0
        while end < size:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                return
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            file.seek(begin)
            yield begin, file.read(end - begin)


def hash_file(path):
    """QEMU also sees the space that a file takes: `info` prints it, and `map` compares it with the
    refcounts to find out if the image is preallocated."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode):
        raise NotKept
    digest = hashlib.blake2b(f"{info.st_mode} {info.st_size} {info.st_blocks} ".encode())
    for begin, content in extents(path, info.st_size):
        if os.fsencode(base) in content:  # this image names files in a directory of this run
            raise NotKept
        digest.update(f"{begin} {len(content)} ".encode())
        digest.update(content)
    return digest.digest()


def hash_files(home):
    """Returns a hash for each file, by name."""
    hashes = {}
    for directory, subdirectories, names in os.walk(home):
        for name in subdirectories:
            if os.path.islink(os.path.join(directory, name)):
                raise NotKept
        for name in names:
            path = os.path.join(directory, name)
            hashes[os.path.relpath(path, home)] = hash_file(path)
    return hashes


def key_of(argv, home, cwd, stdin, hashes):
    digest = hashlib.blake2b(version(argv[0]), digest_size=20)
    parts = [text.replace(os.fsencode(home), HERE)
             for text in (*map(os.fsencode, argv), os.fsencode(cwd), stdin)]
    if any(os.fsencode(base) in part for part in parts):
        raise NotKept
    for name in sorted(hashes):
        parts += [os.fsencode(name), hashes[name]]
    for part in parts:
        digest.update(b"%d " % len(part) + part)
    return digest.hexdigest()


def read_changes(home, before, after):
    """The mode, the size and the data of each file that QEMU changed; None for one that is gone."""
    changes, total = {}, 0
    for name in before.keys() | after.keys():
        if before.get(name) == after.get(name):
            continue
        changes[name] = None
        if name in after:
            info = os.lstat(home / name)
            runs = list(extents(home / name, info.st_size))
            total += sum(len(content) for _, content in runs)
            if total > LARGEST:
                raise NotKept
            changes[name] = (stat.S_IMODE(info.st_mode), info.st_size, runs)
    return changes


def write_changes(home, changes):
    for name, change in changes.items():
        if change is None:
            os.unlink(home / name)
            continue
        mode, size, runs = change
        with open(os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.truncate(size)
            for begin, content in runs:
                file.seek(begin)
                file.write(content)


def keep(path, answer):
    """Other processes may do the same at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pickle.dump(answer, file)
    os.rename(file.name, path)


def ask(argv, cwd, stdin, run):
    """Returns what run() returns, (exit status, stdout, stderr), or what it returned before for the
    same files and arguments."""
    try:
        home = home_of(argv, cwd)
        before = hash_files(home)
        path = Path(PLACE) / key_of(argv, home, cwd, stdin, before)
    except NotKept:
        return run()
    here = os.fsencode(home)
    if path.exists():
        code, out, err, changes = pickle.loads(path.read_bytes())
        write_changes(home, changes)
        return code, out.replace(HERE, here), err.replace(HERE, here)
    code, out, err = run()
    try:
        changes = read_changes(home, before, hash_files(home))
    except NotKept:
        return code, out, err
    keep(path, (code, out.replace(here, HERE), err.replace(here, HERE), changes))
    return code, out, err
