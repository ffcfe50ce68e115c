# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What the conformance tests share: the command under test, the reference, the image writer.

The environment variables QCOW2 and MKIMAGE name the command and the image writer. The command whose
system calls fail on demand (faults.c), and core_cat, come from the same build. QCOW2_MEMORY limits
the address space of the command in bytes; 0 means no limit, which sanitizers need.
"""
import contextlib
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import time
from pathlib import Path

import oracle

ROOT = Path(__file__).resolve().parents[2]
QCOW2 = os.environ.get("QCOW2", str(ROOT / "build/qcow2"))
FAULTS = str(Path(QCOW2).resolve().parent / "tests/conform/qcow2-faults")
PLUGIN = Path(QCOW2).resolve().parent / "nbdkit/nbdkit-qcow2-plugin.so"
CORE_CAT = str(Path(QCOW2).resolve().parent / "tests/conform/core_cat")
MKIMAGE = os.environ.get("MKIMAGE", str(ROOT / "build/tests/image/mkimage"))
MEMORY = int(os.environ.get("QCOW2_MEMORY", 512 << 20))
FILE_SIZE = 256 << 20  # no test writes a longer file
# Only a program that hangs takes this long: a normal run takes seconds, also on a slow machine.
SECONDS = 1800

K = 1 << 10
M = 1 << 20
EIO = None  # what a read that failed returns

# Signals that a parent of the tests may ignore (nohup, a shell's background jobs) or block.
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE,
           signal.SIGXFSZ)


class Result:
    """How a program ended: exit status, standard output (bytes), standard error (text)."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out = argv, code, out
        self.err = err.decode(errors="backslashreplace")

    def __repr__(self):
        return f"{' '.join(self.argv)}\nexit {self.code}, {len(self.out)} bytes\n{self.err}"


@contextlib.contextmanager
def inherited(memory, ignore):
    """While a child starts, this process has the signals and limits that the child inherits. They do
    not depend on what the parent of the tests has set.

    subprocess could set them in the child, with preexec_fn. But then it must copy this process, and
    each start takes four times as long, which is most of the time of these tests.
    """
    limits = {resource.RLIMIT_FSIZE: FILE_SIZE, resource.RLIMIT_CORE: 0}
    if memory:
        limits[resource.RLIMIT_AS] = memory
    before = {which: resource.getrlimit(which) for which in limits}
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    handlers = {number: signal.signal(number, signal.SIG_IGN if number in ignore else signal.SIG_DFL)
                for number in (*SIGNALS, signal.SIGUSR1)}
    try:
        for which, soft in limits.items():
            resource.setrlimit(which, (soft, before[which][1]))
        yield
    finally:
        for which, limit in before.items():
            resource.setrlimit(which, limit)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def start(*argv, memory=0, ignore=(), stdin=subprocess.DEVNULL, **more):
    """Starts a program without waiting for it. The caller waits for it. `ignore`: signals that it
    starts with ignored."""
    with inherited(memory, ignore):
        # In a session of its own a program has no terminal, so it asks for no password.
        more.setdefault("start_new_session", True)
        # restore_signals would undo what `ignore` says about SIGPIPE and SIGXFSZ.
        return subprocess.Popen([os.fspath(arg) for arg in argv], stdin=stdin, stderr=subprocess.PIPE,
                                restore_signals=False, **more)


def run_it(*argv, stdin=subprocess.DEVNULL, **more):
    content = stdin if isinstance(stdin, bytes) else None
    more.setdefault("stdout", subprocess.PIPE)
    with start(*argv, stdin=stdin if content is None else subprocess.PIPE, **more) as process:
        try:
            out, err = process.communicate(content, timeout=SECONDS)
        except BaseException:
            process.kill()
            raise
    return process.returncode, out or b"", err


def run(*argv, **more):
    """Runs a program to its end; takes the parameters of start(). An answer of QEMU may come from an
    earlier run of the tests (oracle.py)."""
    argv = [os.fspath(arg) for arg in argv]
    stdin = more.get("stdin", b"")
    if oracle.PLACE and argv[0] in oracle.TOOLS and isinstance(stdin, bytes) and (
            more.keys() <= {"stdin", "cwd"}):
        answer = oracle.ask(argv, more.get("cwd", os.getcwd()), stdin,
                            lambda: run_it(*argv, **more))
    else:
        answer = run_it(*argv, **more)
    return Result(argv, *answer)


def succeed(*argv, **more):
    result = run(*argv, **more)
    assert result.code == 0, result
    return result.out


# ---- The command under test ----

def qcow2(*args, **more):
    """Runs the command; it may fail, but only with one of its exit statuses."""
    more.setdefault("memory", MEMORY)
    result = run(QCOW2, *args, **more)
    assert result.code in (0, 1, 2, 3, 63), result
    return result


EXPECTED_WARNINGS = (": warning: the file ends inside a data cluster",
                     ": warning: cannot count all that is allocated: ",
                     ": warning: cannot read the partition table: ")


def qcow2_ok(*args, **more):
    """Checks for success without a message. Some tests make damage of which a warning tells."""
    result = qcow2(*args, **more)
    messages = [line for line in result.err.splitlines()
                if not any(warning in line for warning in EXPECTED_WARNINGS)]
    assert result.code == 0 and messages == [], result
    return result.out


def core_cat(decoders, image):
    """What the core reads with its own decoders, "small" or "fast"."""
    return succeed(CORE_CAT, decoders, image, memory=MEMORY)


def qcow2_json(command, *args):
    return json.loads(qcow2_ok(command, "--json", *args))


def refused(result, *words):
    """Checks a failure: exit status 1, no output, one message that has these words."""
    assert result.code == 1 and result.out == b"", result
    assert result.err.startswith("qcow2: ") and result.err.count("\n") == 1, result
    for word in words:
        assert word in result.err, result


def cat_spans(image, spans, *options, directory):
    """Reads each (offset, length) with a call of `cat`. Returns a list of bytes, with EIO for each
    read that failed."""
    lines = [f'"$@" -s {off} -n {length} > {i}; echo $?' for i, (off, length) in enumerate(spans)]
    into = Path(directory) / "spans"
    into.mkdir(exist_ok=True)
    script = "ulimit -f %d\n" % (FILE_SIZE // 512) + "\n".join(lines)
    done = run("sh", "-c", script, "sh", QCOW2, "cat", *options, os.path.abspath(image), cwd=into)
    codes = [int(code) for code in done.out.split()]
    assert len(codes) == len(spans) and set(codes) <= {0, 1}, (done, codes)
    return [(into / str(i)).read_bytes() if code == 0 else EIO for i, code in enumerate(codes)]


# ---- The reference ----

# QEMU opens an external data file relative to the current directory, so that the tests run QEMU in
# the directory of the image.

def qemu_img(*args, **more):
    paths = [arg for arg in args if isinstance(arg, Path)]
    if paths:
        more.setdefault("cwd", paths[0].parent)
    return succeed("qemu-img", *args, **more)


def qemu_info(image, *more):
    return run("qemu-img", "info", "-U", "--output=json", "-f", "qcow2", *more, image,
               cwd=Path(image).parent)


def qemu_io(image, *commands, options=()):
    """Changes an image. Only compressed writes may fail: QEMU does not overwrite with them."""
    script = "\n".join(commands).encode()
    done = run("qemu-io", "-f", "qcow2", *options, image, stdin=script, cwd=Path(image).parent)
    compressed = sum("write -c" in command for command in commands)
    assert done.out.count(b"failed") <= compressed and not done.err, (done, done.out)


HEXDUMP = re.compile(r"[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)")


def qemu_reads(spans):
    return "".join(f"read -v {off} {length}\n" for off, length in spans)


def qemu_answers(lines, n):
    """The bytes of each of n reads that qemu-io has printed, EIO for each that failed."""
    answers, dump = [], []
    for line in lines:
        if line.startswith("read failed"):
            answers.append(EIO)
        elif line.startswith("read "):
            answers.append(bytes.fromhex("".join(dump)))
            dump = []
        elif match := HEXDUMP.match(line):
            dump.append(match[1])
    assert len(answers) == n, lines
    return answers


def qemu_spans(image, spans, *options):
    """Like cat_spans, with one call of qemu-io that reads the spans one by one. Returns None if QEMU
    does not open the image."""
    done = run("qemu-io", "-r", "-f", "qcow2", *options, image, stdin=qemu_reads(spans).encode(),
               cwd=Path(image).parent)
    if done.err.startswith("qemu-io: can't open"):
        return None
    return qemu_answers(done.out.decode().replace("qemu-io> ", "").splitlines(), len(spans))


def qemu_spans_of_each(images, spans):
    """qemu_spans of images in one directory, each with its spans, by one call of qemu-io: to start it
    takes much longer than to open a small image."""
    # `length` prints something only if the image is open, and `help quit` always prints this line.
    end = "quit -- exit the program"
    script = "".join(f"open -r -o driver=qcow2 {image.name}\nlength\n{qemu_reads(of_image)}close\n"
                     "help quit\n" for image, of_image in zip(images, spans))
    done = run("qemu-io", stdin=script.encode(), cwd=images[0].parent)
    *parts, rest = done.out.decode().replace("qemu-io> ", "").split(end)
    assert len(parts) == len(images) and rest.strip() == "", done
    lines = [part.strip().splitlines() for part in parts]
    return [qemu_answers(lines[i], len(spans[i])) if lines[i] else None for i in range(len(images))]


def qemu_raw(image, directory, *options):
    """The content of the disk, by qemu-img convert."""
    out = Path(directory) / "qemu.raw"
    qemu_img("convert", "-U", *options, "-O", "raw", image, out)
    return out.read_bytes()


def cluster_spans(image):
    """The spans of all clusters of an image; the last one ends with the disk."""
    info = qcow2_json("info", image)
    cluster, size = info["cluster-size"], info["virtual-size"]
    return [(off, min(cluster, size - off)) for off in range(0, size, cluster)]


def create_luks(image, size, password="abc"):
    """An encrypted image by qemu-img, which fails if it cannot measure the processor time. On a busy virtual
    machine, that can last for a while."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        done = run("qemu-img", "create", "-q", "-f", "qcow2", "--object", f"secret,id=s,data={password}",
                   "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", image, size)
        if done.code == 0:
            return
        assert "CPU" in done.err, done
        time.sleep(0.5)
    raise AssertionError(done)


# ---- Images ----

# An image with clusters of every kind, and one with a data cluster past the end of the file.
PLAIN = "cluster_bits 12\nsize 64k\nl2 0-3 data\nl2 5 zero\nl2 7 compressed\n"
BROKEN = "cluster_bits 12\nsize 64k\nl2 0-3 data\nl2 9 raw 1<<63|513\n"


def make(recipe, image, *options):
    """Builds an image with the image writer; tests/image/mkimage.c describes the recipes."""
    succeed(MKIMAGE, *options, image, stdin=recipe.encode("latin-1"))
    return image


def make_chain(directory, n):
    """Builds a chain of n images: 000 has data, 001 has 000 as its backing file, and so on. Returns
    the path of the top image."""
    make("size 64k\nl2 0 data\n", directory / "000")
    overlay = make('size 64k\nbacking "@@@" qcow2\n', directory / "template").read_bytes()
    assert overlay.count(b"@@@") == 1
    for i in range(1, n):
        (directory / f"{i:03}").write_bytes(overlay.replace(b"@@@", b"%03d" % (i - 1)))
    return directory / f"{n - 1:03}"


def write_file(path, content):
    Path(path).write_bytes(content)
    return path


# ---- Comparing with the reference ----

def assert_subset(theirs, ours, where="info"):
    """Our JSON has all keys and values of theirs, and may have more."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            assert key in ours, f"{where}: no {key!r}"
            assert_subset(value, ours[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        assert len(theirs) == len(ours), f"{where}: {theirs} / {ours}"
        for i, (a, b) in enumerate(zip(theirs, ours)):
            assert_subset(a, b, f"{where}[{i}]")
    else:
        assert theirs == ours, f"{where}: {theirs!r} / {ours!r}"


def assert_same_bytes(theirs, ours, what):
    if theirs == ours:
        return
    assert len(theirs) == len(ours), f"{what}: length {len(theirs)} / {len(ours)}"
    at = next(i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b)
    raise AssertionError(f"{what}: byte {at}: {theirs[at]:#x} / {ours[at]:#x}")


def assert_same_info(image):
    assert_subset(json.loads(qemu_info(image).out), qcow2_json("info", image))


def without_compressed(entries):
    return [{k: v for k, v in entry.items() if k != "compressed"} for entry in entries]


def assert_same_map(image, *options):
    theirs = json.loads(qemu_img("map", "-U", "--output=json", "-f", "qcow2", image))
    ours = qcow2_json("map", *options, image)
    if not any("compressed" in entry for entry in theirs):
        ours = without_compressed(ours)
    assert theirs == ours


def assert_same_content(image, directory, *options):
    theirs = qemu_raw(image, directory, "-f", "qcow2")
    assert_same_bytes(theirs, qcow2_ok("cat", *options, image), "cat")
    out = Path(directory) / "ours.raw"
    qcow2_ok("convert", *options, image, out)
    assert_same_bytes(theirs, out.read_bytes(), "convert")


def check_answer(result):
    """What a check found: exit status, numbers, and lines. Our notes, and what QEMU says about itself,
    are left out."""
    numbers = json.loads(result.out)
    lines = sorted(line for line in result.err.splitlines()
                   if not line.startswith(("note: ", "qcow2: ", "qemu-img: ", "Use qemu-img amend")))
    return result.code, {key: n for key, n in numbers.items()
                         if key not in ("notes", "snapshot-copied-flags")}, lines


def qemu_check(image):
    return run("qemu-img", "check", "-U", "--output=json", "-f", "qcow2", image,
               cwd=Path(image).parent)


def assert_same_check(image, *options):
    theirs = check_answer(qemu_check(image))
    assert check_answer(qcow2("check", "--json", *options, image)) == theirs
    return theirs


def serve(image, script, options, **more):
    """Runs a script while the plugin for nbdkit serves an image."""
    parameters = [option.lstrip("-") + "=true" for option in options]
    return run("nbdkit", "-U", "-", PLUGIN, image, *parameters, "--run", script, **more)


def assert_same_served(image, directory, *options):
    """Compares what the plugin for nbdkit serves with the image, by qemu-img."""
    done = serve(image, f'exec qemu-img compare -q -f raw -F qcow2 "$uri" {shlex.quote(str(image))}', options,
                 cwd=directory)
    assert done.code == 0, done


def served_spans(image, spans, *options):
    """Like cat_spans, by the plugin for nbdkit and one call of qemu-io."""
    done = serve(image, 'exec qemu-io -r -f raw "$uri"', options, stdin=qemu_reads(spans).encode(),
                 cwd=image.parent)
    return qemu_answers(done.out.decode().replace("qemu-io> ", "").splitlines(), len(spans))


def assert_same(image, directory, *options):
    """Compares content, map, info and check of an image with what QEMU prints."""
    assert_same_content(image, directory, *options)
    if PLUGIN.exists():  # it is built once, and not for sanitizers or from the two files
        assert_same_served(image, directory, *options)
    assert_same_map(image, *options)
    assert_same_info(image)
    assert_same_check(image)
