# SPDX-License-Identifier: MIT
"""What the conformance tests share: the command under test, the reference, the image writer.

QCOW2 and MKIMAGE in the environment say where the command and the image writer are; the command
whose calls fail (faults.c) is from the same build. QCOW2_MEMORY is the limit of the command's address
space in bytes, 0 for none (sanitizers need that).
"""
import json
import os
import re
import resource
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QCOW2 = os.environ.get("QCOW2", str(ROOT / "build/qcow2"))
FAULTS = str(Path(QCOW2).resolve().parent / "tests/conform/qcow2-faults")
MKIMAGE = os.environ.get("MKIMAGE", str(ROOT / "build/tests/image/mkimage"))
MEMORY = int(os.environ.get("QCOW2_MEMORY", 512 << 20))
FILE_SIZE = 256 << 20  # nothing here writes more
SECONDS = 60

K = 1 << 10
M = 1 << 20
EIO = None  # as the answer to a read


class Result:
    """What a program did: code, out (bytes), err (text)."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out = argv, code, out
        self.err = err.decode(errors="backslashreplace")

    def __repr__(self):
        return f"{' '.join(self.argv)}\nexit {self.code}, {len(self.out)} bytes\n{self.err}"


def limit(memory):
    """For the child before it starts."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def run(*argv, stdin=subprocess.DEVNULL, memory=0, **more):
    argv = [os.fspath(a) for a in argv]
    more.setdefault("stdout", subprocess.PIPE)
    if isinstance(stdin, bytes):
        more["input"] = stdin
    else:
        more["stdin"] = stdin
    done = subprocess.run(argv, stderr=subprocess.PIPE, timeout=SECONDS,
                          preexec_fn=lambda: limit(memory), **more)
    return Result(argv, done.returncode, done.stdout or b"", done.stderr)


def succeed(*argv, **more):
    result = run(*argv, **more)
    assert result.code == 0, result
    return result.out


# ---- The command under test ----

def qcow2(*args, **more):
    """Runs it, whatever it answers, as long as that is one of its three answers."""
    more.setdefault("memory", MEMORY)
    result = run(QCOW2, *args, **more)
    assert result.code in (0, 1, 2), result
    return result


def qcow2_ok(*args, **more):
    result = qcow2(*args, **more)
    assert result.code == 0 and result.err == "", result
    return result.out


def qcow2_json(command, *args):
    return json.loads(qcow2_ok(command, "--json", *args))


def refused(result, *words):
    """A failure as it should be: nothing on stdout, one line that names what is wrong."""
    assert result.code == 1 and result.out == b"", result
    assert result.err.startswith("qcow2: ") and result.err.count("\n") == 1, result
    for word in words:
        assert word in result.err, result


def cat_spans(image, spans, *options, directory):
    """Reads each (offset, length) by itself: a list of bytes, or EIO where that fails."""
    lines = [f'"$@" -s {off} -n {length} > {i}; echo $?' for i, (off, length) in enumerate(spans)]
    into = Path(directory) / "spans"
    into.mkdir(exist_ok=True)
    script = "ulimit -f %d\n" % (FILE_SIZE // 512) + "\n".join(lines)
    done = run("sh", "-c", script, "sh", QCOW2, "cat", *options, os.path.abspath(image), cwd=into)
    codes = [int(code) for code in done.out.split()]
    assert len(codes) == len(spans) and set(codes) <= {0, 1}, (done, codes)
    return [(into / str(i)).read_bytes() if code == 0 else EIO for i, code in enumerate(codes)]


# ---- The reference ----

# QEMU looks for an external data file from the current directory: it is run where the image is.

def qemu_img(*args, **more):
    paths = [arg for arg in args if isinstance(arg, Path) and arg.exists()]
    if paths:
        more.setdefault("cwd", paths[0].parent)
    return succeed("qemu-img", *args, **more)


def qemu_info(image, *more):
    return run("qemu-img", "info", "-U", "--output=json", "-f", "qcow2", *more, image,
               cwd=Path(image).parent)


def qemu_io(image, *commands, options=()):
    """Changes an image. Only compressed writes may fail: they never overwrite."""
    script = "\n".join(commands).encode()
    done = run("qemu-io", "-f", "qcow2", *options, image, stdin=script, cwd=Path(image).parent)
    compressed = sum("write -c" in command for command in commands)
    assert done.out.count(b"failed") <= compressed and not done.err, (done, done.out)


HEXDUMP = re.compile(r"[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)")


def qemu_spans(image, spans, *options):
    """As cat_spans, by one qemu-io, which reads them one by one."""
    script = "".join(f"read -v {off} {length}\n" for off, length in spans)
    done = run("qemu-io", "-r", "-f", "qcow2", *options, image, stdin=script.encode(),
               cwd=Path(image).parent)
    answers, dump = [], []
    for line in done.out.decode().replace("qemu-io> ", "").splitlines():
        if line.startswith("read failed"):
            answers.append(EIO)
        elif line.startswith("read "):
            answers.append(bytes.fromhex("".join(dump)))
            dump = []
        elif match := HEXDUMP.match(line):
            dump.append(match[1])
    assert len(answers) == len(spans), done
    return answers


def qemu_raw(image, directory, *options):
    """The whole disk by qemu-img convert."""
    out = Path(directory) / "qemu.raw"
    qemu_img("convert", "-U", *options, "-O", "raw", image, out)
    return out.read_bytes()


def cluster_spans(image):
    """The clusters of an image, the last one cut where the disk ends."""
    info = qcow2_json("info", image)
    cluster, size = info["cluster-size"], info["virtual-size"]
    return [(off, min(cluster, size - off)) for off in range(0, size, cluster)]


# ---- Images ----

def make(recipe, image, *options):
    """Builds an image with the image writer (tests/image/mkimage.c has the language)."""
    succeed(MKIMAGE, *options, image, stdin=recipe.encode("latin-1"))
    return image


def write_file(path, content):
    Path(path).write_bytes(content)
    return path


# ---- The two compared ----

def assert_subset(theirs, ours, where="info"):
    """All that they say, we say too, and the same."""
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


def assert_same(image, directory, *options):
    """Content, map and info of an image that both can read."""
    assert_same_content(image, directory, *options)
    assert_same_map(image, *options)
    assert_same_info(image)
