#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Types the lines of standard input into U-Boot's shell: uboot-type.py QEMU ARGUMENT...

The last line must lead to a machine that switches itself off.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "firmware"))
from console import Console  # noqa: E402

PROMPT = re.compile(r"\n=> $")


def main(lines, command):
    with Console(command) as console:
        console.wait(re.compile("Hit any key"), 60)
        console.type("\r")
        for line in lines:
            console.wait(PROMPT, 60)
            console.type(line + "\r")
        console.wait(re.compile("probe: done|\n=> $"), 120)
        return 0 if console.is_off(20) else 1


sys.exit(main(sys.stdin.read().splitlines(), sys.argv[1:]))
