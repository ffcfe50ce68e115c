# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Every message of the command and the library, in messages.txt for a reviewer to read.

Each situation below provokes a message. The test compares the messages with messages.txt. It also
looks for each literal of the sources in them, so that no message is missing; the last section of
messages.txt lists the literals that no situation can show, with the reasons. After a change of a
message, run the test with UPDATE=1 in the environment to rewrite the file.
"""
import fcntl
import os
import re
import shlex
import signal
import subprocess

import c_literals
from conform import FAULTS, MEMORY, QCOW2, ROOT, SECONDS, make, make_chain, run, start
from test_command_dirty import BITS

LIST = ROOT / "tests/conform/messages.txt"

V3 = "version 3\ncluster_bits 12\nsize 64k\nl2 0 data as a\n"
LUKS = V3.replace("l2", "encrypt luks password=abc\nl2") + "layout\n"
DATA_FILE = 'version 3\ncluster_bits 12\nsize 64k\ndata_file "data"\nl2 0 data\n'
BITS_OF_A_SNAPSHOT = BITS.replace("layout", "snapshot 1 one\nactive\nlayout")
OVERLAY = 'size 64k\nbacking "base" qcow2\n'


def over(name, form="raw"):
    """A recipe for an image with such a backing file."""
    return f'size 64k\nbacking "{name}" {form}\n'


class Situation:
    """A call of the command in a directory of its own, where `disk` is made from the recipe.

    more: recipes of further images. files, links, fifos, directories: what else is there.
    fault: "CALL FIRST LAST WHAT" for tests/conform/faults.c. stdout: a file for standard output.
    """

    def __init__(self, args, recipe=None, *, more=(), files=(), links=(), fifos=(), directories=(),
                 fault=None, stdin=None, stdout=None, prepare=None):
        self.args, self.recipe, self.more, self.files, self.links = args, recipe, more, files, links
        self.fifos, self.directories, self.fault = fifos, directories, fault
        self.stdin, self.stdout, self.prepare = stdin, stdout, prepare

    def build(self, home):
        for name in self.directories:
            (home / name).mkdir()
        for name, recipe in [("disk", self.recipe), *dict(self.more).items()]:
            if recipe is not None:
                make(recipe, home / name, "-d", home / "data")
        for name, content in dict(self.files).items():
            (home / name).write_bytes(content)
        for name, target in dict(self.links).items():
            (home / name).symlink_to(target)
        for name in self.fifos:
            os.mkfifo(home / name)
        if self.prepare:
            self.prepare(home)

    def messages(self, home):
        self.build(home)
        more = {}
        if self.stdin:
            more["stdin"] = open(home / self.stdin, "rb")
        if self.stdout:
            more["stdout"] = open(self.stdout, "wb")
        if self.fault:
            more["env"] = dict(os.environ, QCOW2_FAULT=self.fault)
        done = run(FAULTS if self.fault else QCOW2, *shlex.split(self.args), cwd=home, memory=MEMORY,
                   **more)
        for file in more.values():
            if hasattr(file, "close"):
                file.close()
        assert done.err, done
        return messages_of(done.err)


class Shrinks(Situation):
    """The image gets shorter while it is read: the command stops before a read (SIGSTOP)."""

    def messages(self, home):
        self.build(home)
        env = dict(os.environ, QCOW2_FAULT=f"pread 2 2 {-int(signal.SIGSTOP)}")
        process = start(FAULTS, *self.args.split(), cwd=home, env=env, memory=MEMORY,
                        stdout=subprocess.DEVNULL)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.truncate(home / "disk", 4096)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=SECONDS)
        return messages_of(err.decode())


class InUse(Situation):
    """The tests hold the lock of a program that writes to the image, byte 101 of its file."""

    def messages(self, home):
        self.build(home)
        with open(home / "disk", "rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH, 1, 101)
            done = run(QCOW2, *shlex.split(self.args), cwd=home, memory=MEMORY)
        return messages_of(done.err)


def messages_of(err):
    """The messages in standard error, one on each line. The hint about --help joins the line before it.
    Very long names are shortened."""
    err = re.sub(r"(.)\1{99,}", r"\1\1\1...", err)
    return err.rstrip("\n").replace("\nTry ", " / Try ").split("\n")


def put(name, at, content):
    """Changes bytes of a file of the situation."""
    def change(home):
        with open(home / name, "r+b") as file:
            file.seek(at)
            file.write(content)
    return change


def long_chain(home):
    """A chain of one file more than is allowed."""
    make_chain(home, 257).rename(home / "disk")


def many_snapshots(home):
    """A snapshot table of more than 64 MiB; it is sparse."""
    step = (40 + 2 * 65535 + 7) // 8 * 8
    put("disk", 60, (600).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big"))(home)
    for i in range(600):
        put("disk", (1 << 20) + i * step, bytes(12) + b"\xff" * 4 + bytes(24))(home)
    os.truncate(home / "disk", (1 << 20) + 600 * step)


S = Situation
SITUATIONS = {
    "The command line": [
        S("nonsense"), S("cat"), S("convert disk"), S("map disk more"), S("convert disk ''"),
        S("map --svg= disk"), S("cat -Q disk"),
        S("info" + 257 * " disk"),
        S("cat --nonsense disk"), S("cat disk -n"), S("cat disk --backing"), S("map -s 1 disk"),
        S("map --progress disk"), S("map --json=1 disk"), S("version disk"), S("cat -s 1X disk"),
        S("cat --length=99999999999T disk"), S("help nonsense"),
        S("cat --follow=some disk"), S("cat --backing-format=vmdk disk"),
        S("cat --layer-only --backing base disk"), S("cat --report=r disk"),
        S("cat --vm-state disk"), S("compare --vm-state-b disk disk"),
        S("cat disk", V3, fault="calloc 1 1 12"),
        S("cat -s 65537 disk", V3), S("cat --f disk"), S("info --output=xml disk"),
        S("cat -f vmdk disk"), S("convert -O vmdk disk out"), S("cat -l snapshot.x=1 disk"),
        *(S(command) for command in ("amend bench bitmap commit create dd measure rebase resize "
                                     "snapshot").split()),
        S("check -r all disk", V3), S("check --memory=x disk"),
        S("check --max-reads=0 disk"), S("check --max-reads=1 disk", V3), S("cat --image-at=1,x disk", V3), S("map --json --picture disk"), S("map --color=blue disk"),
    ],
    "The image file": [
        S("cat missing"), S("cat disk", directories=["disk"]), S("cat disk", fifos=["disk"]),
        S("cat disk", files={"disk": b"not an image"}),
        S("cat disk", files={"disk": b""}), S("cat disk", files={"disk": b"\1\2\3\4"}), S("cat disk", V3, fault="fstat 1 9 75"),
        S("cat disk", V3, fault="pread 1 99 121"), S("map disk", V3, fault="pread 2 99 121"),
        Shrinks("cat disk", V3), S("cat --image-at=1G disk", V3), InUse("cat disk", V3),
        S("cat disk", V3, fault="malloc 1 99 12"),
    ],
    "Kinds of images that are not supported": [
        S("cat -f qcow2 disk", V3 + "header.version 1\n"), S("cat -f qcow disk", V3),
        S("cat disk", V3 + "header.version 4\n"), S("cat disk", V3 + "header.crypt_method 1\n"),
        S("cat disk", V3 + "header.crypt_method 2\n"),
        S("cat disk", V3 + "header.crypt_method 3\n"),
        S("cat disk", LUKS), S("cat --follow disk", OVERLAY, more={"base": LUKS}),
        S("info disk", LUKS + "put32 $luks 0\n"),
        S("cat --key-file key disk", LUKS.replace("luks", "luks cipher=aes-192") +
          'put $luks+8 "twofish"\n', files={"key": b"abc"}),
        S("cat disk", V3 + "header.incompatible_features 1<<9\n"),
        S("cat disk", V3 + 'feature 0 9 "time travel"\nheader.incompatible_features 1<<9\n'),
        S("cat disk", V3 + "header.compression_type 9\n"),
        S("cat disk", V3 + "header.cluster_bits 22\n"),
        S("cat disk", V3 + "header.size 1<<62\n"),
        S("cat --follow --snapshot=1 disk", DATA_FILE + "snapshot 1 one\nactive\n"),
    ],
    "Passwords": [
        S("cat --key-file missing disk", LUKS), S("cat --key-fd 77 disk", LUKS),
        S("cat --key-fd x disk", LUKS), S("cat --key-file 256=x disk", LUKS),
        S("cat --max-iterations 0 disk", LUKS),
        S("cat --key-file key disk", LUKS, files={"key": b"x" * ((1 << 20) + 1)}),
        S("cat --key-file key disk", V3, files={"key": b"abc"}),
        S("cat --key-file a --key-file b disk", LUKS), S("cat --key-file 1=a --key-file 1=b disk", LUKS),
        S("cat --key-file key disk", V3.replace("l2", "encrypt aes x\nl2"), files={"key": b"abc\n"}),
        S("cat --key-file key disk", LUKS, files={"key": b"wrong"}),
        S("cat --key-file key disk", LUKS, files={"key": b"abc\n"}),
        *(S("cat --key-file key disk", LUKS + change + "\n", files={"key": b"abc"}) for change in (
            "put8 $luks 0", "put8 $luks+7 2", "put8 $luks+8 0", "put8 $luks+40 0",
            "put8 $luks+72 0", "put32 $luks+108 31", "put32 $luks+164 0", "put32 $luks+256 0",
            "put64 $ext+8 1", "put32 $luks+164 0xffffffff")),
    ],
    "Damage": [
        S("cat disk", V3 + "header.header_length 103\n"),
        S("cat disk", V3 + "ext_len 0x12345678 5000 00\n"),
        S("cat disk", V3 + "header.l1_size 0\n"),
        S("cat disk", V3 + "l2 1 raw $a+512\n"),
        S("map disk", V3 + "layout\nput64 $l1 1<<63|513\n"),
        S("cat disk", V3 + "l2 1 packed 07070707\n"),
        S("cat disk", V3 + "l2 1 raw 1<<63|0x7000000\n"),
        S("cat --allow-truncated disk", V3 + "l2 1 last_packed sectors 8 00ff00\n"),
        S("snapshots disk", V3 + "snapshot 7 then extra=1025\nactive\n"),
        S("snapshots disk", V3 + "snapshot 1 one\nactive\nlayout\nput64 64 0x7000000\n"),
        S("snapshots disk", V3, prepare=many_snapshots),
        S("info disk", V3 + "layout\nput64 40 0x7000000\n"),
        S("info disk", V3 + "snapshot 1 one\nactive\nlayout\nput64 64 0x7000000\n"),
        S("info disk", "cluster_bits 12\nsize 64k\nbacking_at 1000 \"base.raw\"\nlayout\n"
          "truncate 1004\n"),
        S("info disk", 'size 64k\nbacking_at 8192 "base.raw"\n', fault="pread 2 99 121"),
        S("info disk", V3 + "ext bitmaps 00*32\nheader.autoclear_features 1\n"),
        S("cat --snapshot=7 disk", V3 + "snapshot 1 one\nactive\n"),
        S("cat -l 1 --vm-state disk", V3 + "snapshot 1 one\nactive\n"),
        S("cat -l 1 --vm-state disk", V3 + "snapshot 1 one vm_state_large=1\nactive\n"),
        S("cat --snapshot=snapshot.id=7 disk", V3 + "snapshot 1 one\nactive\n"),
        S("cat disk", V3 + "layout\ntruncate 71\n"), S("cat disk", V3 + "layout\ntruncate $l1\n"),
        S("cat disk", V3 + "layout\nput64 $l1 1<<63|0x7000000\n"),
        S("cat disk", "cluster_bits 12\nsize 0\nbacking_at 1000 \"base\"\nlayout\ntruncate 1004\n"),
        S("cat disk", V3 + "l2 1 raw 1<<62|0x7000000\n"),
        S("cat disk", V3 + "l2 15 last 100\n"), S("map disk", V3 + "l2 15 raw 0x7000001\n"),
        S("map --follow disk", OVERLAY, more={"base": V3 + "l2 15 last 100\n"}),
        S("cat --salvage disk", V3 + "l2 1 raw $a+512\n"),
        S("cat --salvage --report=disk disk", V3),
        S("cat --salvage --report=/dev/full disk", V3 + "l2 1 raw $a+512\n"),
        S("info disk", V3 + "ext bitmaps 00*24\nheader.autoclear_features 1\nlayout\n"
          "put32 $ext+8 1\nput64 $ext+16 24\nput64 $ext+24 0x7000000\n"),
        S("cat --follow disk", DATA_FILE + "layout\ndata_truncate 0\n"),
    ],
    "Bitmaps": [
        S("cat --inconsistent disk"), S("map --bitmap=b --svg=s disk"), S("map --bitmap=b disk", V3),
        S("map --bitmap=bits disk", BITS + "put32 $e+12 1\n"),
        S("map --bitmap=bits disk", BITS + "put8 $e+16 2\n"),
        S("map --bitmap=bits disk", BITS + "put64 $t 1<<40\n"),
        S("map --bitmap=bits --snapshot=1 disk", BITS_OF_A_SNAPSHOT),
        S("convert --bitmap=bits disk -", BITS), S("convert --bitmap=bits disk out", BITS, files={"out": b""}),
        S("convert --bitmap=bits --in-place disk out", BITS), S("bitmaps disk", BITS + "put32 $ext+8 2\n"),
    ],
    "Backing files": [
        S("cat disk", OVERLAY), S("cat disk", over("base", "")),
        S("cat --backing=b1,qcow2 disk", OVERLAY, more={"b1": OVERLAY}),
        S("cat --follow disk", over("base", "")), S("cat --follow disk", over("base", "vmdk")),
        S("cat --follow disk", over("base", ""), files={"base": b"\0" * 512}),
        S("cat --follow disk", over("base", ""), more={"base": V3}),
        S("cat --backing=base disk", V3, more={"base": V3}),
        S("cat --follow disk", over("base"), fault="fstat 2 9 75"),
        S("cat --backing=b1 disk", V3, files={"b1": b""}),
        S("cat --backing=b1,raw disk", over("base"), ),
        S("cat --backing=b1,raw --backing=b2,raw disk", over("base"), files={"b1": b"", "b2": b""}),
        S("cat --follow disk", over("base"), directories=["base"]),
        S("cat --follow disk", over("base"), fifos=["base"]),
        S("cat --follow disk", over("base")), S("cat --follow disk", over("disk", "qcow2")),
        S("cat --follow disk", over("link"), links={"link": "base"}, files={"base": b""}),
        S("cat --follow disk", over("../base")), S("cat --follow disk", over("/etc/hostname")),
        S("cat --follow disk", over("nbd://host/disk")), S("cat --follow disk", over("file:")),
        S("cat --follow disk", over("a\\x00b")), S("cat --follow=any disk", over("/missing")),
        S("cat --follow -", over("base"), stdin="disk"),
        S("cat --follow disk", prepare=long_chain),
        S("cat --follow disk", OVERLAY, more={"base": V3 + "l2 1 raw 1<<63|513\n"}),
        S("cat --follow disk", OVERLAY, more={"base": V3}, fault="strdup 2 2 12"),
    ],
    "Data files": [
        S("cat disk", DATA_FILE), S("cat disk", DATA_FILE.replace('"data"', '""')),
        S("cat --follow disk", DATA_FILE, prepare=lambda home: (home / "data").unlink()),
        S("cat --follow disk", DATA_FILE.replace('"data"', '"nbd:host:1"')),
        S("cat --data-file=missing disk", DATA_FILE), S("cat --data-file=data disk", V3),
        S("cat --follow disk", f'size 64k\ndata_file "{5000 * "x"}"\n'),
        S("cat --follow disk", DATA_FILE + "l2 9 raw 1<<63|0x7000000\n"),
    ],
    "Two disks": [
        S("compare disk"), S("compare -f vmdk disk disk"), S("compare disk missing", V3),
        S("compare disk disk", files={"disk": bytes(510) + b"\x55\xaa"}),
        S("compare -f raw disk disk", files={"disk": bytes(510) + b"\x55\xaa"}),
        S("compare disk other", V3, more={"other": "size 1M\n"}),
        S("compare disk disk", V3, fault="malloc 5 99 12"),
        S("compare disk disk", V3, stdout="/dev/full"),
    ],
    "Mounts": [
        S("mount disk dir", V3), S("mount disk disk", V3), S("mount missing dir", directories=["dir"]),
        S("mount -o nonsense disk dir", V3, directories=["dir"]), S("umount dir", directories=["dir"]),
    ],
    "What info finds on the disk": [
        S("info disk", V3 + "l2 1 raw 1<<63|513\n"), S("info disk", V3 + "l2 0 raw 1<<63|513\n"),
        S("info disk", V3, fault="malloc 3 99 12"),
    ],
    "Block devices": [
        S("attach disk out", V3, files={"out": b""}), S("attach disk /dev/nbd999", V3),
        S("attach --connections=0 disk /dev/nbd999"),
    ],
    "Standard output and the output file": [
        S("cat disk", V3, stdout="/dev/full"), S("info disk", V3, stdout="/dev/full"),
        S("convert disk missing/out", V3), S("convert disk disk", V3),
        S("convert disk out", V3, directories=["out"]),
        S("convert disk out", V3, links={"out": "out"}),
        S("convert disk out", V3, fault="create 1 1 28"),
        S("convert disk out", V3, fault="create 1 2 13"),
        S("convert disk out", V3, files={"out": b"old"}, fault="pwrite 1 1 28"),
        S("convert --in-place disk out", V3, files={"out": b"old"}, fault="pwrite 1 1 28"),
        S("convert --in-place disk out", V3, files={"out": b"old"}, fault="open 2 2 13"),
        S("convert --sparse=always disk -", V3), S("cat --sparse=maybe disk"),
        S("convert --sparse=maybe disk out"),
        S("convert disk out", V3, fault="pwrite 1 1 28"),
        S("convert disk out", V3, fault="malloc 4 99 12"),
        S("convert disk out", V3, fault="rename 1 1 18"),
    ],
}

# Literals that no situation shows, and why. They are the last section of messages.txt.
SHORT = "the short text of qcow2_open; the command shows the message of qcow2_last_failure"
STATUS = "the text of a status whose message says more"
MOUNT = "a mount: tests/conform/test_command_mount.py"
KERNEL = "a kernel with such devices, or the model of one: test_command_attach.py"
DEVICE = "a block device: tests/conform/test_command_output.py"
HIDDEN = {
    "another process serves this device already": KERNEL,
    "cannot detach: %s": KERNEL,
    "cannot limit the length of requests in /sys: %s": KERNEL,
    "cannot set up the device: %s": KERNEL,
    "cannot start a thread: %s": "a lack of memory while the device is set up",
    "cannot start the server: %s": "a lack of memory or descriptors while the device is set up",
    "in use; unmount it first": KERNEL,
    "nothing is attached to this device": KERNEL,
    "another process detached the device at once": KERNEL,
    "detached, but a process still has the device open": KERNEL,
    "the device did not start: %s": KERNEL,
    "the server was ended by signal %d": KERNEL,
    "warning: cannot lock memory: %s": KERNEL,
    "no bitmap is named": "a mistake in a program",
    "the image has no such bitmap": SHORT,
    "bitmap is inconsistent": STATUS,
    "size exceeds the limits": STATUS,
    "snapshot with external data": STATUS,
    "changed while it was opened": "another program exchanges the output file at that moment",
    "is a terminal; write to a file or a pipe, or use --force": "a terminal: the same file",
    "the %s cannot discard; use --sparse=auto": DEVICE,
    "the device is mounted or in use": DEVICE,
    "/dev/fuse": MOUNT,
    "fusermount3": MOUNT,
    "%s; a program still uses it": MOUNT,
    "%s; in Debian, the package fuse3 has it": MOUNT,
    "%s; is the module loaded? 'modprobe fuse' loads it": MOUNT,
    "%s; its mode should be 0666": MOUNT,
    "not found; it mounts for users other than root; in Debian, the package fuse3 has it": MOUNT,
    "unmounted, because signal %d ended the server": MOUNT,
    "warning: cannot read the list of snapshots: %s": MOUNT,
    "warning: partition table: %s": MOUNT,
    "warning: snapshots without an id of their own: %zu": MOUNT,
    "this build has no libfuse; in Debian, the package libfuse3-dev has what 'make' needs":
        "a build without libfuse3",
    "is a block device": DEVICE,
    "an image in this format has no refcounts": "the command then takes it for not preallocated",
    "an option is set that this version of the library lacks": "a program for a later version",
    "backing chain is too long or a loop": STATUS,
    "image is truncated: the header extensions are cut off at the end of the file (%llu bytes)":
        "usually the L1 table is cut as well, and named first",
    "the format of the backing file": "usually the L1 table is cut as well, and named first",
    "the name of the data file": "usually the L1 table is cut as well, and named first",
    "the name of the backing file": "with a disk of size 0 only",
    "cannot find the size of the device": "a block device that cannot seek",
    "cannot open a file that the image names": SHORT,
    "cannot open a file that was given": SHORT,
    "cannot get the key": "the get_key callback of a program",
    "the image is encrypted, and this build has no cipher: it needs libgcrypt or libcrypto (on Debian "
    "libgcrypt20-dev or libssl-dev)": "a build without a cryptographic library",
    "struct_size of the encryption is not set": "a mistake in a program",
    "cipher or hash failed": STATUS,
    "wrong password or key": STATUS,
    "invalid argument": "a mistake in a program",
    "invalid refcount table entry": "without refcounts, `map` shows data",
    "no decoder for compressed cluster": STATUS,
    "no error": "nothing failed",
    "not enough memory": "the library gives the core the memory that it asks for",
    "not found": STATUS,
    "opening a file that the image names was refused": SHORT,
    "opening the %s '%s' was refused: %s": "the open_file callback of a program",
    "outside the disk": "the library reads inside the disk only",
    "a raw image has nothing to check": "not a failure of reading: test_command_check.py",
    "an image of version 1 has no refcounts to check":
        "not a failure of reading: test_command_check.py",
    "ended before it was complete": "the result of a check that has a limit, for a program",
    "struct_size of the check options is not set": "a mistake in a program",
    "struct_size of the check result is not set": "a mistake in a program",
    "struct_size of the info is not set": "a mistake in a program",
    "struct_size of the options is not set": "a mistake in a program",
    "the backing chain has no image at this depth": "the end of the chain, for a program",
    "the format given for the image is neither raw, qcow2 nor qcow": "the command checks its options",
    "the format of the backing file is not supported": SHORT,
    "the image names a file by other means than a file name": SHORT,
    "cannot find the directory of the image": SHORT,
    "the image has no such snapshot": SHORT,
    "the image needs a backing file, which was not given": SHORT,
    "the saved state belongs to a snapshot; none was given": "the command checks its options",
    "the image needs an external data file, which was not given": SHORT,
    "the refcount table is larger than 8 MiB": "without refcounts, `map` shows data",
    "unknown compression type": STATUS,
    "unknown status": "a number that is no status",
    "unsupported cluster size": STATUS,
    "unsupported qcow version": STATUS,
}

LIBRARY = ["src/status.c", *(f"port/posix/{place}*.c" for place in ("", "open/", "read/", "key/"))]
PRINTERS = ("tool_error", "usage", "warn")


def source_messages():
    """The literals of the sources that are messages, or parts of one.

    In the library that is each literal with a space in it: the others are names and formats. In the
    command it is each argument of a function that prints a message, and each hint ("; use ...").
    """
    found = set()
    for glob in LIBRARY:
        # The lines of a check are compared with QEMU's in test_command_check.py.
        for path in (p for p in ROOT.glob(glob) if p.name != "check_text.c"):
            found |= {text for _, text in c_literals.literals(path.read_text()) if " " in text}
    for path in ROOT.glob("port/posix/tool/**/*.c"):
        source = path.read_text()
        found |= {text.rstrip("\n").replace("\nTry ", " / Try ")
                  for call, text in c_literals.literals(source)
                  if call in PRINTERS or text.startswith(("; ", "qcow2: "))}
    return {text for text in found if re.search("[a-z]{2}", c_literals.CONVERSION.sub("", text))}


def listing(tmp_path):
    """The text of messages.txt, and its messages."""
    text, shown = [], []
    for subject, situations in SITUATIONS.items():
        lines = set()
        for i, situation in enumerate(situations):
            home = tmp_path / f"{subject}{i}"
            home.mkdir()
            lines.update(situation.messages(home))
        shown += sorted(lines)
        text += [f"== {subject} ==", *sorted(lines), ""]
    text += ["== Texts of the sources that the command does not show, and why =="]
    text += [f"{literal}  [{reason}]" for literal, reason in sorted(HIDDEN.items())]
    return "\n".join(text) + "\n", shown


def test_messages(tmp_path):
    text, shown = listing(tmp_path)
    missing = {literal for literal in source_messages()
               if not any(c_literals.pattern(literal).search(line) for line in shown)}
    if os.environ.get("UPDATE") == "1":
        LIST.write_text(text)
    assert missing - set(HIDDEN) == set(), "no situation shows these"
    assert set(HIDDEN) - missing == set(), "these are shown, or no longer in the sources"
    assert text == LIST.read_text()
