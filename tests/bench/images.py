# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Makes the images of the benchmark with qemu-img and qemu-io. They are the same each time, because
all random numbers have a fixed seed."""
import array
import os
import random
import struct
import subprocess

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
CLUSTER = 64 * KIB
BLOCK = 4 * KIB
TIMEOUT = 300  # seconds, for each program
PASSWORD = "bench"  # of encrypted images; reader_qcow2.c has it as well


def name_of(size):
    for unit, scale in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"


def run(*command, script=None):
    subprocess.run([str(c) for c in command], check=True, timeout=TIMEOUT,
                   input=script.encode() if script is not None else b"",
                   stdout=subprocess.DEVNULL)


def create(path, size, *options):
    run("qemu-img", "create", "-q", "-f", "qcow2", *options, path, size)


def convert(source, target, *options):
    run("qemu-img", "convert", *options, source, target)


def write_commands(path, commands):
    run("qemu-io", "-t", "unsafe", "-f", "qcow2", path, script="\n".join(commands) + "\n")


def write_clusters(path, clusters):
    """Writes these clusters of the disk in this order, each filled with one byte value."""
    write_commands(path, [f"write -q -P {c % 251 + 1} {c * CLUSTER} {CLUSTER}" for c in clusters])


# ---- Data ----

def noise(path, size):
    rng = random.Random(1)
    with open(path, "wb") as f:
        for _ in range(size // MIB):
            f.write(rng.randbytes(MIB))


def _text(rng, words, weights):
    return b" ".join(rng.choices(words, cum_weights=weights, k=1024))[:BLOCK]


def _records(rng):
    first = rng.randrange(1 << 24)
    return b"".join(struct.pack("<QQQQ", first + i, rng.randrange(256),
                                1 << 32 | rng.randrange(1 << 16), 0) for i in range(BLOCK // 32))


def _mixed_blocks(n):
    """Blocks that deflate makes 2 to 3 times smaller, as it does programs and documents."""
    rng = random.Random(5)
    words = [bytes(rng.choices(b"etaoinshrdlucmfwypvbgkjqxz", weights=range(26, 0, -1),
                               k=rng.randrange(2, 11))) for _ in range(4096)]
    code = [rng.randbytes(rng.randrange(2, 9)) for _ in range(4096)]
    total, weights = 0.0, []
    for i in range(4096):
        total += 1 / (i + 8)
        weights.append(total)
    for _ in range(n):
        kind = rng.randrange(16)
        if kind < 6:
            yield _text(rng, words, weights)
        elif kind < 12:
            yield b"".join(rng.choices(code, cum_weights=weights, k=2048))[:BLOCK]
        elif kind < 14:
            yield _records(rng)
        else:
            yield bytes(BLOCK) if kind == 14 else rng.randbytes(BLOCK)


def mixture(path, size):
    rng = random.Random(6)
    blocks = list(_mixed_blocks(4096))
    with open(path, "wb") as f:
        for _ in range(size // (16 * MIB)):
            rng.shuffle(blocks)
            f.write(b"".join(blocks))


# ---- Places for random reads ----

def write_places(path, places):
    """Writes a list of offsets for the driver, and path.qemu, a script for qemu-io."""
    with open(path, "wb") as f:
        array.array("Q", places).tofile(f)
    with open(path + ".qemu", "w") as f:
        f.writelines(f"read -q {p} {BLOCK}\n" for p in places)


def places_on_disk(path, size, n):
    rng = random.Random(41)
    write_places(path, [rng.randrange(size // BLOCK) * BLOCK for _ in range(n)])


def places_in_clusters(path, clusters, n):
    rng = random.Random(42)
    write_places(path, [rng.choice(clusters) * CLUSTER + rng.randrange(CLUSTER // BLOCK) * BLOCK
                        for _ in range(n)])


# ---- Images: each function takes the path of the image that it makes ----

def full(path, size, cluster):
    """A disk whose clusters are all allocated, in order."""
    noise(path + ".raw", size)
    convert(path + ".raw", path, "-f", "raw", "-O", "qcow2", "-o", f"cluster_size={cluster}")
    os.unlink(path + ".raw")


def shuffled(path, size):
    clusters = list(range(size // CLUSTER))
    random.Random(3).shuffle(clusters)
    create(path, size)
    write_clusters(path, clusters)


def scattered(path, size, clusters, raw):
    """A large disk with few clusters, and a sparse raw file with the same content."""
    create(path, size)
    write_clusters(path, clusters)
    convert(path, raw, "-f", "qcow2", "-O", "raw")


def compressed(path, size, kind, raw):
    mixture(raw, size)
    convert(raw, path, "-c", "-f", "raw", "-O", "qcow2", "-o", f"compression_type={kind}")


def secret():
    """The arguments that give QEMU the password, as the object `key`."""
    return "--object", f"secret,id=key,data={PASSWORD}"


def create_luks(path, size):
    """qemu-img measures the processor, and fails if it cannot, as on a busy machine."""
    for rest in reversed(range(20)):
        try:
            create(path, size, *secret(), "-o",
                   "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10")
            return
        except subprocess.CalledProcessError:
            if rest == 0:
                raise


def encrypted(path, size, raw):
    """AES-256 in mode XTS, and a raw file with the same content."""
    noise(raw, size)
    create_luks(path, size)
    convert(raw, f"driver=qcow2,file.filename={path},encrypt.key-secret=key",
            "-n", *secret(), "-f", "raw", "--target-image-opts")


def chain_clusters(i, size):
    """The clusters that image number i, above the lowest, holds itself: one in 64."""
    n = size // CLUSTER
    return sorted(random.Random(80 + i).sample(range(n), n // 64))


def chain(paths, size):
    """A chain: each image but the first has the one before as its backing file."""
    full(paths[0], size, CLUSTER)
    for i, path in enumerate(paths[1:], 1):
        create(path, size, "-F", "qcow2", "-b", os.path.basename(paths[i - 1]))
        write_clusters(path, chain_clusters(i, size))
