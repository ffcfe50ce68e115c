#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Waits for the prompt of U-Boot and switches the machine off: uboot-prompt.py QEMU ARGUMENT..."""
import re
import sys

from console import Console

PROMPT = re.compile(r"\n=> $")


def main(command):
    with Console(command) as console:
        console.wait(PROMPT)
        console.type("echo the shell goes on\r")
        console.wait(PROMPT)
        console.type("poweroff\r")
        return 0 if console.is_off() else 1


sys.exit(main(sys.argv[1:]))
