#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Makes the variables of a machine that trusts one key: uefi-keys.py VARIABLES CERTIFICATE OUTPUT

VARIABLES is the empty flash of OVMF. The certificate (DER) becomes the platform key, the key exchange
key and the only one in db, which switches Secure Boot on. Formats: the firmware volume of the PI
specification, the variable store of EDK2, and EFI_SIGNATURE_LIST of UEFI 32.4.1.
"""
import struct
import sys
import uuid

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
SECURITY = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
OWNER = uuid.UUID("6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d")
# Non-volatile, for boot services and at run time, authenticated by time.
ATTRIBUTES = 0x27


def signature_list(certificate):
    size = 16 + len(certificate)
    return X509.bytes_le + struct.pack("<3I", 28 + size, 0, size) + OWNER.bytes_le + certificate


def variable(vendor, name, data):
    name = (name + "\0").encode("utf-16-le")
    time = struct.pack("<H6BIhBB", 2024, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    head = struct.pack("<HBBIQ", 0x55AA, 0x3F, 0, ATTRIBUTES, 0) + time
    head += struct.pack("<3I", 0, len(name), len(data)) + vendor.bytes_le
    return (head + name + data).ljust(-(-(len(head) + len(name) + len(data)) // 4) * 4, b"\xff")


def main():
    with open(sys.argv[1], "rb") as f:
        flash = bytearray(f.read())
    with open(sys.argv[2], "rb") as f:
        data = signature_list(f.read())
    variables = b"".join(variable(*v, data) for v in ((GLOBAL, "PK"), (GLOBAL, "KEK"), (SECURITY, "db")))
    store = struct.unpack_from("<H", flash, 48)[0]  # after the header of the volume
    start = store + 28
    if flash[start:start + len(variables)] != b"\xff" * len(variables):
        sys.exit("the variables are not empty")
    flash[start:start + len(variables)] = variables
    with open(sys.argv[3], "wb") as f:
        f.write(flash)


main()
