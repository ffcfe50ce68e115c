# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Encrypted images: the same bytes as QEMU, with the passwords from files, descriptors, a terminal."""
import itertools
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time

import pytest

from conform import (K, M, QCOW2, SECONDS, SIGNALS, assert_same_bytes, assert_same_info, assert_subset,
                     create_luks, make, qcow2, qcow2_json, qcow2_ok, qemu_img, refused, run,
                     without_compressed)

SHAPE = "cluster_bits 12\nsize 64k\n"
CONTENT = "l2 0 data\nl2 2-5 data\nl2 6 compressed\nl2 7 zero\nl2 9 zero_alloc\nl2 15 data\n"
STORED = CONTENT.replace("l2 6 compressed\n", "")
LUKS = "encrypt luks password=abc\n"


def image_opts(*images):
    """The arguments by which qemu-img opens a chain; each image is (path, password or None)."""
    objects, opts, prefix = [], [], ""
    for i, (path, password) in enumerate(images):
        opts += [f"{prefix}driver=qcow2", f"{prefix}file.filename={path.name}"]
        if password is not None:
            objects += ["--object", f"secret,id=key{i},data={password}"]
            opts += [f"{prefix}encrypt.key-secret=key{i}"]
        prefix += "backing."
    return [*objects, "--image-opts", ",".join(opts)]


def qemu_disk(image, *images):
    out = image.with_name("qemu.raw")
    qemu_img("convert", *image_opts(*images), "-O", "raw", out)
    return out.read_bytes()


def key_file(image, password="abc", name="key"):
    path = image.with_name(name)
    path.write_bytes(password.encode())
    return path


def same_disk(image, recipe, password="abc", *options):
    """Builds an image; QEMU, the command and the image writer agree about its content."""
    expected = image.with_name("expected")
    make(recipe, image, "-e", expected, "-d", image.with_suffix(".raw"))
    ours = qcow2_ok("cat", *options, "--key-file", key_file(image, password), image)
    assert_same_bytes(expected.read_bytes(), ours, "the writer")
    assert_same_bytes(qemu_disk(image, (image, password)), ours, "QEMU")


# ---- What can be combined ----

IVS = ("plain", "plain64", "essiv:sha256", "essiv:md5", "plain64:sha1")
HASHES = ("sha256", "sha1", "md5", "sha224", "sha384", "sha512", "ripemd160")
# Each cipher in each mode, with IVs and hashes in turn. The first is what tools write unasked.
COMBINATIONS = [("aes-256", "xts", "plain64", "sha256"), ("aes-256", "cbc", "essiv:sha256", "sha1")] + [
    (cipher, mode, iv, hash_) for (cipher, mode), iv, hash_ in zip(
        [*itertools.product(("aes-128", "aes-256", "serpent-128", "serpent-256", "twofish-128",
                             "twofish-256"), ("ecb", "cbc", "ctr", "xts")),
         ("aes-192", "xts"), ("serpent-192", "xts")],
        itertools.cycle(IVS), itertools.cycle(HASHES))] + [
    ("cast5-128", "ecb", "plain", "sha1"), ("cast5-128", "cbc", "essiv:md5", "md5"),
    ("cast5-128", "ctr", "plain64", "sha256")]


@pytest.mark.parametrize("combination", COMBINATIONS, ids=" ".join)
def test_combination(combination, image):
    cipher, mode, iv, hash_ = combination
    same_disk(image, f"cluster_bits 9\nsize 8k\nencrypt luks cipher={cipher} mode={mode} ivgen={iv} "
              f"hash={hash_} password=abc\nl2 0 data\nl2 3-4 data\nl2 15 data\n")
    assert_subset(json.loads(run("qemu-img", "info", "--output=json", image).out), qcow2_json("info", image))


SHAPES = {
    "luks": SHAPE + LUKS + CONTENT,
    "aes": SHAPE + "encrypt aes abc\n" + CONTENT,
    "aes of 16 bytes": SHAPE + "encrypt aes 0123456789abcdef\n" + CONTENT,
    "aes of more bytes": SHAPE + "encrypt aes 0123456789abcdefgh\n" + CONTENT,
    "512": SHAPE.replace("12", "9") + LUKS + CONTENT + "l2 60-127 data\n",
    "2M": "cluster_bits 21\nsize 4M\n" + LUKS + "l2 0 data\nl2 1 compressed\n",
    "shuffled": SHAPE + "place shuffled\n" + LUKS + "l2 0-15 data\n",
    "version 2": "version 2\n" + SHAPE + LUKS + "l2 0-3 data\n",
    "data file": SHAPE + 'data_file "disk.raw"\n' + LUKS + STORED,
    "data file, aes": SHAPE + 'data_file "disk.raw"\nencrypt aes abc\n' + STORED,
    "subclusters": "cluster_bits 14\nsize 128k\nextended_l2\n" + LUKS + "".join(
        f"l2 {i} subclusters {bits:#x}\n" for i, bits in
        enumerate((1, 1 << 31, 0xffffffff, 0x5555aaaa, 1 << 32 | 2, 0xffff0000_0000ffff))),
    "empty password": SHAPE + "encrypt luks password=\n" + CONTENT,
    "the last slot": SHAPE + "encrypt luks slot=7 password=abc\n" + CONTENT,
    "the third of three": SHAPE + "encrypt luks slot=1 password=x slot=2 password=y slot=5 "
                          "password=abc\n" + CONTENT,
}
PASSWORDS = {"empty password": "", "aes of 16 bytes": "0123456789abcdef",
             "aes of more bytes": "0123456789abcdefgh"}


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name, image):
    more = ["--follow"] if "data file" in name else []
    same_disk(image, SHAPES[name], PASSWORDS.get(name, "abc"), *more)
    if "data file" not in name:
        assert_same_info(image)


def test_odd_size(image):
    """A disk that ends inside a sector. QEMU leaves the rest of that sector out."""
    expected = image.with_name("expected")
    make("cluster_bits 12\nsize 30000\n" + LUKS + "l2 0-7 data\n", image, "-e", expected)
    ours = qcow2_ok("cat", "--key-file", key_file(image), image)
    assert ours == expected.read_bytes() and ours[:-304] == qemu_disk(image, (image, "abc"))


@pytest.mark.parametrize("method", ("luks password=abc", "aes abc"))
def test_parts_of_sectors(method, image):
    expected = image.with_name("expected")
    make(SHAPE + f"encrypt {method}\nl2 0-3 data\nl2 5 data\n", image, "-e", expected)
    disk, key = expected.read_bytes(), key_file(image)
    for off, length in ((0, 1), (1, 511), (511, 2), (100, 1000), (512, 512), (4095, 4098), (16000, 8000)):
        assert qcow2_ok("cat", "-s", str(off), "-n", str(length), "--key-file", key,
                        image) == disk[off:off + length]


@pytest.mark.parametrize("method", ("luks password=abc", "aes abc"))
def test_snapshot(method, image):
    """A snapshot has the key of its image."""
    make(SHAPE + f"encrypt {method}\nl2 0-3 data\nsnapshot 1 one\nl2 1 share\nl2 2 data\nl2 6 data\nactive\n",
         image)
    key, out = key_file(image), image.with_name("qemu.raw")
    qemu_img("convert", "-l", "snapshot.name=one", *image_opts((image, "abc")), "-O", "raw", out)
    for name in ("one", "snapshot.name=one"):
        assert_same_bytes(out.read_bytes(), qcow2_ok("cat", "-l", name, "--key-file", key, image), name)


def test_chain(image):
    """Each image of a chain has its own method and key, or none."""
    names = [image.with_name(name) for name in ("top", "mid", "low", "base")]
    over = 'backing "{}" qcow2\n'
    make(SHAPE + "encrypt luks password=one key_seed=1\n" + over.format("mid") + "l2 0-1 data\n", names[0])
    make(SHAPE + "encrypt luks password=two key_seed=2\n" + over.format("low") + "seed 2\nl2 1-3 data\n",
         names[1])
    make(SHAPE + over.format("base") + "seed 3\nl2 3-5 data\n", names[2])
    make(SHAPE + "encrypt aes three\nseed 4\nl2 5-9 data\nl2 11 compressed\n", names[3])
    theirs = qemu_disk(image, *zip(names, ("one", "two", None, "three")))
    keys = [key_file(image, text, text) for text in ("one", "two", "three")]
    assert_same_bytes(theirs, qcow2_ok("cat", "--follow", "--key-file", keys[0], "--key-file",
                                       f"1={keys[1]}", f"--key-file=3={keys[2]}", names[0]), "cat")
    assert qcow2_ok("compare", "--key-file", keys[0], "--key-file", f"1={keys[1]}", "--key-file",
                    f"3={keys[2]}", "--follow", "-F", "raw", names[0], image.with_name("qemu.raw")) == \
        b"The disks are equal.\n"
    refused(qcow2("cat", "--follow", "--key-file", f"0={keys[0]}", names[0]), "'", "mid",
            "encrypted (luks), and no key was given; use --key-file DEPTH=FILE")
    refused(qcow2("cat", "--follow", "--key-file", keys[0], names[0]), "mid", "wrong password")
    shown = qcow2_json("map", "--follow", names[0])
    assert [e["depth"] for e in shown if e["data"]] == [0, 1, 2, 3, 3]
    assert len(qcow2_json("info", "--backing-chain", names[0])) == 4


def test_made_by_qemu(image):
    """A LUKS header by QEMU."""
    create_luks(image, "4M")
    objects, opts = image_opts((image, "abc"))[:2], image_opts((image, "abc"))[-1]
    subprocess.run(["qemu-io", *objects, "--image-opts", "-c", "write -P 7 1000 5000", "-c",
                    "write -P 8 1M 100k", opts], cwd=image.parent, check=True, stdout=subprocess.DEVNULL,
                   timeout=SECONDS)
    ours = qcow2_ok("cat", "--key-file", key_file(image), image)
    assert_same_bytes(qemu_disk(image, (image, "abc")), ours, "QEMU")
    assert ours[1000:6000] == bytes([7]) * 5000 and ours[0] == 0
    assert_same_info(image)


# ---- map, info, version ----

def test_map(image):
    make(SHAPE + LUKS + STORED, image)
    theirs = json.loads(qemu_img("map", "--output=json", *image_opts((image, "abc")), cwd=image.parent))
    assert without_compressed(qcow2_json("map", image)) == theirs
    assert without_compressed(qcow2_json("map", "--key-file", key_file(image), image)) == theirs
    assert not any("offset" in entry for entry in theirs)


def test_info(image):
    """`info` lists the slots without a key, says what is stored as plain text, and shows partitions
    if it gets the key."""
    make(SHAPE + "encrypt luks cipher=serpent-256 mode=cbc ivgen=essiv:sha256 hash=sha512 slot=2 "
         "password=abc slot=4 password=x iterations=1234\n" + CONTENT, image)
    text = qcow2_ok("info", image).decode()
    assert ("encrypted: luks\ncipher: serpent-256, cbc, essiv:sha256\n"
            "LUKS uuid: 01234567-89ab-cdef-0123-456789abcdef\nkey hash: sha512, 1234 iterations\n"
            "key slot 2: 1234 iterations\nkey slot 4: 1234 iterations\n") in text
    assert "allocated compressed, which is not encrypted: 4 KiB (4096 bytes)\n" in text
    assert text.endswith("partitions: unknown without the key\n")
    assert "partitions" not in qcow2_ok("info", "--key-file", key_file(image), image).decode()
    assert qcow2_json("info", image)["usage"]["not-encrypted"] == 4 * K
    make(SHAPE + "encrypt aes abc\nl2 0 data\n", image)
    assert "encrypted: aes\ncipher: aes-128, cbc, plain64\ndirty" in qcow2_ok("info", image).decode()


# ---- Damage ----

def test_cut(image):
    """Of a cluster that is cut, the whole sectors are read. QEMU decrypts zeros that are not there."""
    expected = image.with_name("expected")
    for n in (0, 1, 511, 512, 1000, 4095):
        make(SHAPE + LUKS + f"l2 0 data\nl2 3 last {n}\n", image, "-e", expected)
        disk, key = expected.read_bytes(), key_file(image)
        whole = 3 * 4 * K + n // 512 * 512
        assert qcow2_ok("cat", "--key-file", key, "-n", str(whole), image) == disk[:whole]
        done = qcow2("cat", "--key-file", key, "-s", str(whole), image)
        assert done.code == 1 and "--allow-truncated" in done.err, done
        assert qcow2_ok("cat", "--allow-truncated", "--key-file", key, image) == disk


DAMAGED_HEADERS = {
    "magic": ("put8 $luks 0", "the magic number is missing"),
    "version": ("put16 $luks+6 2", "the version is not 1"),
    "cipher": ('put $luks+8 "AES"', "the cipher is unknown"),
    "no end of the cipher": (f"put $luks+11 {'78' * 29}", "the cipher is unknown"),
    "mode": ('put $luks+40 "xtx"', "the cipher mode is unknown"),
    "ivgen": ('put $luks+44 "benbi" 00', "the cipher mode is unknown"),
    "iv hash": ('put $luks+44 "plain64:none" 00', "the cipher mode is unknown"),
    "essiv without a cipher": ('put $luks+44 "essiv:sha1" 00', "the cipher cannot be used in it"),
    "hash": ('put $luks+72 "SHA256"', "the hash is unknown"),
    "payload 0": ("put32 $luks+104 0", "key slot 0"),
    "payload before the last slot ends": ("put32 $luks+104 4039", "key slot 7"),
    "key of 31 bytes": ("put32 $luks+108 31", "the cipher has no keys of this length"),
    "key of 0 bytes": ("put32 $luks+108 0", "the cipher has no keys of this length"),
    "key of 2^30 bytes": ("put32 $luks+108 1<<30", "the cipher has no keys of this length"),
    "digest iterations": ("put32 $luks+164 0", "the digest has no iterations"),
    "slot state": ("put32 $luks+208+48 1", "key slot 1"),
    "slot iterations": ("put32 $luks+208+4 0", "key slot 0"),
    "slot stripes": ("put32 $luks+208+48*7+44 4001", "key slot 7"),
    "slot in the header": ("put32 $luks+208+48+40 7", "key slot 1"),
    "slot past the payload": ("put32 $luks+208+48*7+40 3537", "key slot 7"),
    "slot over another": ("put32 $luks+208+48*2+40 600", "key slot 2"),
    "header elsewhere": ("put64 $ext+8 513", "its place or length is invalid"),
    "header past the end": ("put64 $ext+8 1<<40", "truncated"),
    "short header": ("put64 $ext+16 591", "its place or length is invalid"),
}


@pytest.mark.parametrize("name", DAMAGED_HEADERS)
def test_damaged_header(name, image):
    change, words = DAMAGED_HEADERS[name]
    for i in range(8):
        change = change.replace(f"48*{i}", str(48 * i))
    make(SHAPE + LUKS + "l2 0 data\nlayout\n" + change + "\n", image)
    theirs = run("qemu-img", "convert", *image_opts((image, "abc")), "-O", "raw", "qemu.raw",
                 cwd=image.parent)
    assert theirs.code != 0, theirs
    done = qcow2("cat", "--key-file", key_file(image), image)
    refused(done, words, *([] if words == "truncated" else ["invalid LUKS header: ", "at file offset "]))
    # What is not encrypted is still shown.
    assert words in qcow2("info", image).err


def test_slot_near_the_end_of_numbers(image):
    """P27: QEMU adds its length to it in 32 bits, and does not use the slot, so it reads the image."""
    make(SHAPE + LUKS + f"l2 0 data\nlayout\nput32 $luks+208+{48 * 7}+40 0xffffffff\n", image)
    assert len(qemu_disk(image, (image, "abc"))) == 64 * K
    refused(qcow2("cat", "--key-file", key_file(image), image), "key slot 7", "at file offset ")


def test_no_header(image):
    make(SHAPE + "header.crypt_method 2\n", image)
    refused(qcow2("cat", image), "invalid LUKS header", "has none")


# ---- Passwords ----

def test_wrong_password(image):
    make(SHAPE + "encrypt luks slot=1 password=abc slot=6 password=x\nl2 0 data\n", image)
    refused(qcow2("cat", "--key-file", key_file(image, "abd"), image),
            "wrong password: it opens none of the 2 active key slots")
    refused(qcow2("cat", "--key-file", key_file(image, "abc\n"), image),
            "wrong password", "the newline at its end belongs to the password")
    make(SHAPE + "encrypt luks\nl2 0 data\n", image)
    refused(qcow2("cat", "--key-file", key_file(image), image), "none of the 0 active key slots")


def test_iterations(image):
    """A hostile image cannot ask for hours of work."""
    for at in ("164", "208+4"):
        make(SHAPE + LUKS + f"l2 0 data\nlayout\nput32 $luks+{at} 100000001\n", image)
        refused(qcow2("cat", "--key-file", key_file(image), image),
                "asks for more iterations than are allowed: 100000001, and the limit is 100000000; "
                "use --max-iterations N to try it anyway")
    make(SHAPE + "encrypt luks iterations=1234 password=abc\nl2 0 data\n", image)
    for command in (("cat",), ("compare", image)):
        limited = (*command, image, "--key-file", key_file(image), "--max-iterations")
        more = ("--key-file-b", key_file(image)) if command[0] == "compare" else ()
        assert "1234, and the limit is 1233; use" in qcow2(*limited, "1233", *more).err
        qcow2_ok(*limited, "1234", *more)
    for number in ("0", "x", "-1", "1K", "4294967296", ""):
        assert qcow2("cat", "--max-iterations", number, image).code == 2


def test_key_sources(image):
    expected = image.with_name("expected")
    make(SHAPE + LUKS + "l2 0 data\n", image, "-e", expected)
    disk, home = expected.read_bytes(), image.parent
    key_file(image), key_file(image, "abc", "0=abc"), key_file(image, "no", "wrong")
    (home / "long").write_bytes(b"a" * (1 << 20) + b"a" * K)
    for options in (["--key-file=key"], ["--key-file", "0=key"], ["--key-file=./0=abc"],
                    ["--key-fd=0"], ["--key-fd", "0=0"]):
        assert qcow2_ok("cat", *options, "disk.qcow2", cwd=home, stdin=b"abc") == disk, options
    assert qcow2("cat", "--key-file=none", "disk.qcow2", cwd=home).err == \
        "qcow2: none: No such file or directory\n"
    assert qcow2("cat", "--key-file=long", "disk.qcow2", cwd=home).err == \
        "qcow2: long: a password has at most 1 MiB\n"
    assert "qcow2: --key-fd 0: a password has" in qcow2("cat", "--key-fd=0", "disk.qcow2", cwd=home,
                                                       stdin=b"a" * (2 << 20)).err
    for number in ("3", "77", "x", "", "256=0"):
        assert qcow2("cat", f"--key-fd={number}", "disk.qcow2", cwd=home).code == 2
    assert qcow2("cat", "--key-file=256=key", "disk.qcow2", cwd=home).code == 2
    assert qcow2_ok("compare", "--key-file=key", "--key-file-b=0=key", "disk.qcow2", "disk.qcow2", cwd=home)
    assert qcow2_ok("compare", "--key-file=key", "--key-fd-b=0", "disk.qcow2", "disk.qcow2", cwd=home,
                    stdin=b"abc")


def test_one_source_for_several_images(image):
    """A pipe gives its bytes once. `info` also opens once an image that fails."""
    make(SHAPE + LUKS + "l2 0 data\n", image)
    assert qcow2_ok("compare", "--key-fd=0", "--key-fd-b=0", image, image, stdin=b"abc")
    assert qcow2_ok("compare", "--key-file=/dev/stdin", "--key-file-b=/dev/stdin", image, image, stdin=b"abc")
    assert qcow2_ok("info", "--key-fd=0", image, image, stdin=b"abc").count(b"partitions: unknown") == 0
    refused(qcow2("info", "--key-fd=0", image, stdin=b"abd"), "wrong password")


def test_descriptor_is_closed(image):
    """A program that takes over the process does not find the password there."""
    make("size 1M\n" + LUKS + "l2 0-15 data\n", image)
    read, write = os.pipe()
    os.write(write, b"abc")
    os.close(write)
    pipe = os.readlink(f"/proc/self/fd/{read}")
    with subprocess.Popen([QCOW2, "cat", f"--key-fd={read}", image], pass_fds=(read,),
                          stdout=subprocess.PIPE) as cat:
        assert cat.stdout.read(1)
        home = f"/proc/{cat.pid}/fd"
        assert pipe not in {os.readlink(f"{home}/{fd}") for fd in os.listdir(home)}
        cat.stdout.read()
    os.close(read)
    assert cat.returncode == 0


def test_password_that_nothing_needs(image):
    key, plain = key_file(image), image.with_name("plain")
    make(SHAPE + LUKS + "l2 0 data\n", image)
    make(SHAPE + "l2 0 data\n", plain)
    unused = "qcow2: {}: no image needs this password\n"
    for options, name in ((["--key-file", key, "--key-file=1=none"], "none"),
                          (["--key-file", f"0={key}", "--key-file", "none"], "none"),
                          (["--key-file", key, "--key-fd=7=0"], "--key-fd 0")):
        assert qcow2("cat", *options, image).err == unused.format(name)
    assert qcow2("cat", "--key-file", key, plain).err == unused.format(key)
    assert qcow2("info", "--key-file", key, plain).err == unused.format(key)
    qcow2_ok("info", "--key-file", key, plain, image)
    for command in ("snapshots", "bitmaps"):  # they ask for none
        qcow2_ok(command, "--key-file", key, image)
    for options, words in ((("--key-file=a", "--key-fd=0"), "two passwords without a depth"),
                           (("--key-file=3=a", "--key-file=3=b"), "two passwords for the image at depth 3")):
        done = qcow2("cat", *options, image)
        assert done.code == 2 and words in done.err, done
    done = qcow2("compare", "--key-file-b=a", "--key-file-b=b", image, image)
    assert done.code == 2 and "two passwords" in done.err, done


def test_newline_with_aes(image):
    """Nothing proves such a password wrong."""
    make(SHAPE + "encrypt aes abc\nl2 0 data\n", image)
    warning = "warning: the newline at the end of the password belongs to it"
    assert warning in qcow2("cat", "--key-file", key_file(image, "abc\n"), image).err
    assert warning not in qcow2("cat", "--key-file", key_file(image, "0123456789abcdef\n"), image).err


def test_options_of_the_second_image(image):
    """Messages about the second image name its options."""
    plain, over = image.with_name("plain"), image.with_name("over")
    make(SHAPE + LUKS + "l2 0 data\n", image)
    make(SHAPE + "l2 0 data\n", plain)
    make(SHAPE + 'backing "plain" qcow2\nl2 0 data\n', over)
    for other, words in ((image, "; use --key-file-b FILE\n"),
                         (over, "; use --follow, --backing-b FILE[,FORMAT] or --layer-only\n")):
        done = qcow2("compare", plain, other)
        assert done.code == 2 and words in done.err, done


def test_no_password_in_arguments():
    """Other users see the arguments of a process."""
    arguments = re.findall(r"--[a-z-]+ ([A-Z=|]+)", qcow2_ok("cat", "--help").decode())
    assert "FILE|DEPTH=FILE" in arguments
    assert not [words for words in arguments if re.search("PASS|SECRET|KEY", words)]


# ---- The terminal ----

def start_on_terminal(*argv):
    """Starts a program on a terminal of its own. It ignores no signal, whatever the parent of the tests
    ignores, and ends if it waits for SECONDS. Returns its pid and the other end of the terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        for number in (*SIGNALS, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.execvp(argv[0], list(map(os.fspath, argv)))
    return pid, fd


def wait_echo(fd, wanted):
    """Waits until the terminal shows what is typed, or until it does not."""
    end = time.monotonic() + SECONDS
    while bool(termios.tcgetattr(fd)[3] & termios.ECHO) != wanted:
        assert time.monotonic() < end
        time.sleep(0.001)


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, *args):
        self.pid, self.fd = start_on_terminal(QCOW2, *args)
        self.shown = b""

    def wait_for(self, text):
        while text not in self.shown:
            self.shown += os.read(self.fd, 4096)

    def wait_silent(self):
        wait_echo(self.fd, False)

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        """Returns the exit status. Reading fails when the terminal has no process any more."""
        try:
            while piece := os.read(self.fd, 4096):
                self.shown += piece
        except OSError:
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_terminal(image):
    expected, out = image.with_name("expected"), image.with_name("out")
    make(SHAPE + LUKS + "l2 0 data\n", image, "-e", expected)
    terminal = Terminal("convert", "-q", image, out)
    terminal.wait_for(b"Password of " + os.fsencode(image) + b": ")
    terminal.wait_silent()
    terminal.type(b"abc\n")
    assert terminal.end() == 0
    assert out.read_bytes() == expected.read_bytes()
    assert b"abc" not in terminal.shown


def test_terminal_interrupted(image):
    """Ctrl-C ends the command, and the terminal shows again what is typed."""
    make(SHAPE + LUKS + "l2 0 data\n", image)
    for what, code in ((b"\x03", -signal.SIGINT), (b"\x04", 1), (b"wrong\n", 1)):
        keeper = os.open(os.devnull, os.O_RDONLY)
        terminal = Terminal("cat", image)
        terminal.wait_for(b": ")
        terminal.wait_silent()
        terminal.type(what)
        wait_echo(terminal.fd, True)
        assert terminal.end() == code, what
        if what == b"\x04":  # the message has a line of its own
            assert b": \r\nqcow2: " in terminal.shown
        os.close(keeper)


def test_terminal_and_progress(image):
    """A request for progress does not end the prompt."""
    make(SHAPE + LUKS + "l2 0 data\n", image)
    terminal = Terminal("convert", "-q", image, image.with_name("out"))
    terminal.wait_for(b": ")
    terminal.wait_silent()
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.type(b"abc\n")
    assert terminal.end() == 0 and b"abc" not in terminal.shown


def test_terminal_stopped(image):
    """After Ctrl-Z and `fg`, the command asks again."""
    make(SHAPE + LUKS + "l2 0 data\n", image)
    # The shell is the leader of the session: a process in an orphaned group is not stopped.
    pid, fd = start_on_terminal(
        "sh", "-mc", '"$0" cat -n 1 "$1" >/dev/null; fg >/dev/null; echo "end $?"', QCOW2, image)
    shown = b""
    for answer in (b"\x1a", b"abc\n"):
        while b"Password of " not in shown:
            shown += os.read(fd, 4096)
        wait_echo(fd, False)
        os.write(fd, answer)
        shown = b""
    while b"end 0" not in shown:
        shown += os.read(fd, 4096)
    os.close(fd)
    os.waitpid(pid, 0)


def test_many_threads(image):
    """Threads decrypt at the same time, in the sandbox."""
    expected, out = image.with_name("expected"), image.with_name("out")
    make("size 8M\n" + LUKS + "l2 0-127 data\nl2 3 compressed\n", image, "-e", expected)
    qcow2_ok("convert", "--key-file", key_file(image), image, out)
    assert out.read_bytes() == expected.read_bytes()
    assert len(expected.read_bytes()) == 8 * M
