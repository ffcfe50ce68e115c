#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Prints what uefi-probe.c must print about a disk: uefi-crc.py RAW-FILE BLOCK-SIZE"""
import os
import sys
import zlib

path, block = sys.argv[1], int(sys.argv[2])
MIB = 1 << 20
size = os.path.getsize(path)
n_blocks = -(-size // block)
with open(path, "rb") as f:

    def read(pos, length):  # zeros fill the last block
        f.seek(pos)
        return f.read(length).ljust(length, b"\0")

    crc = zlib.crc32(read(0, min(8 * MIB, n_blocks * block)))
    for pos in range(8 * MIB, n_blocks * block, MIB):
        crc = zlib.crc32(read(pos, block), crc)
    crc = zlib.crc32(read((n_blocks - 1) * block, block), crc)
print(f"blocks {n_blocks} of {block}")
print(f"crc {crc}")
