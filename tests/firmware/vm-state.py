#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Saves the state of a machine in QEMU, or starts a machine with one, and ends it.

    vm-state.py save IMAGE         makes the snapshot "saved" of a machine that has the image
    vm-state.py load IMAGE STATE   exit status 0 if QEMU takes the file STATE for its state
"""
import re
import sys

from console import Console

PROMPT = re.compile(r"\(qemu\) $")
NOT_LOADING = re.compile(r"VM status: (?!.*\(inmigrate\)).*\n")


def main(what, image, state=None):
    command = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "16", "-nodefaults", "-display",
               "none", "-S", "-monitor", "stdio", "-drive", f"if=ide,format=qcow2,file={image}"]
    if what == "load":
        command += ["-incoming", f"exec:cat {state}"]
    with Console(command) as console:
        console.wait(PROMPT)
        if what == "save":
            console.type("savevm saved\n")
            console.wait(PROMPT)
        # The machine shows its status at any time, and ends at once if the state is not good.
        text = ""
        while what == "load" and console.qemu.poll() is None and not NOT_LOADING.search(text):
            console.type("info status\n")
            text = console.wait(PROMPT)
        if console.qemu.poll() is None:
            console.type("quit\n")
        return 0 if console.is_off() else 1


sys.exit(main(*sys.argv[1:]))
