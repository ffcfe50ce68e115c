#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Makes and damages files for the firmware tests.

    images.py content FILE LENGTH      writes text, noise and zeros, the same in each run
    images.py check FILE               prints what the program must print for this content
    images.py break-data FILE N        damages the compressed data of guest cluster N
    images.py break-entry FILE N       damages the L2 entry of guest cluster N
    images.py break-l1 FILE N          damages the L1 entry of guest cluster N

The last three print the position that the error message must name.
"""
import random
import struct
import sys
import zlib

PIECE = 65536
OFFSET = (1 << 56) - 512
NO_CLUSTER = 1 << 63 | 512  # an invalid entry: 512 is not the start of a host cluster


def piece(rng, number):
    kind = number % 4
    if number // 32 % 3 == 1 or kind == 3:
        return rng.randbytes(PIECE)
    if kind == 1:
        return bytes(PIECE)
    words = [rng.randbytes(rng.randrange(2, 40)) for _ in range(50)]
    text = b"".join(rng.choice(words) for _ in range(PIECE // 2))
    return text[:PIECE]


def content(path, length):
    rng = random.Random(20)
    with open(path, "wb") as out:
        for number in range((length + PIECE - 1) // PIECE):
            out.write(piece(rng, number)[: length - number * PIECE])


def check(path):
    crc = size = 0
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            crc = zlib.crc32(data, crc)
            size += len(data)
    print(f"{size} bytes, CRC-32 {crc:#x}")


def l1_entry_of(image, cluster):
    """The position and value of the L1 entry, and log2 of the entries in an L2 table."""
    cluster_bits, = struct.unpack_from(">I", image, 20)
    l1_pos, = struct.unpack_from(">Q", image, 40)
    l2_bits = cluster_bits - 3
    pos = l1_pos + 8 * (cluster >> l2_bits)
    return pos, struct.unpack_from(">Q", image, pos)[0], l2_bits


def entry_of(image, cluster):
    """The position and value of the L2 entry, and cluster_bits."""
    _, l1_entry, l2_bits = l1_entry_of(image, cluster)
    pos = (l1_entry & OFFSET) + 8 * (cluster & ((1 << l2_bits) - 1))
    assert l1_entry & OFFSET, "the L1 entry has no L2 table"
    return pos, struct.unpack_from(">Q", image, pos)[0], l2_bits + 3


def break_data(image, cluster):
    _, entry, cluster_bits = entry_of(image, cluster)
    assert entry & 1 << 62, "not a compressed cluster"
    pos = entry & ((1 << (62 - (cluster_bits - 8))) - 1)
    image[pos] = 0xFF  # a deflate block of the reserved type; no magic number of zstd
    return pos


def break_entry(image, cluster):
    pos, entry, _ = entry_of(image, cluster)
    assert entry, "the L2 entry has no cluster"
    struct.pack_into(">Q", image, pos, NO_CLUSTER)
    return pos


def break_l1(image, cluster):
    pos, entry, _ = l1_entry_of(image, cluster)
    assert entry, "the L1 entry has no L2 table"
    struct.pack_into(">Q", image, pos, NO_CLUSTER)
    return pos


BREAK = {"break-data": break_data, "break-entry": break_entry, "break-l1": break_l1}


def main(command, path, number="0"):
    if command == "content":
        content(path, int(number))
    elif command == "check":
        check(path)
    else:
        with open(path, "r+b") as file:
            image = bytearray(file.read())
            pos = BREAK[command](image, int(number))
            file.seek(0)
            file.write(image)
        print(f"{pos:#x}")


main(*sys.argv[1:])
