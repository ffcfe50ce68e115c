#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Types commands into the UEFI shell of OVMF as a user does: uefi-shell.py STICK

Prints the output of the shell, and "ok WHAT" or "FAILED WHAT" for each check. Loads the driver,
reads a file through it, unloads it and loads it again; starts the application with a boot loader
that returns, and with images that fail.
"""
import re
import sys

from console import Console

QEMU = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "512", "-vga", "none", "-nodefaults",
        "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
        "-bios", "/usr/share/ovmf/OVMF.fd", "-device", "ide-hd,drive=stick",
        "-drive", "if=none,id=stick,format=raw,snapshot=on,file=" + sys.argv[1]]
OURS = "VenHw(CF3F871F"
PROMPT = re.compile(r"\n(Shell|FS\d+:\\)> $")


class Shell(Console):
    def run(self, line):
        self.type(line + "\r")
        return self.wait(PROMPT)


def check(what, seen):
    print(("ok " if seen else "FAILED ") + what, flush=True)


def our_volume(text):
    """The name FSn of the partition inside the image, from the output of map."""
    found = re.search(r"(FS\d+):[^\n]*\n\s*" + re.escape(OURS) + r"[^\n]*/HD\(", text)
    return found.group(1) if found else None


def load(shell, again):
    check("the driver loads" + again, "Success" in shell.run("load fs0:\\qcow2drvx64.efi"))
    volume = our_volume(shell.run("map -r"))
    check("its disk has a file system" + again, volume is not None)
    text = shell.run(f"type {volume}:\\inside.txt")
    check("a file inside can be read" + again, "a file inside the image" in text)
    check("a directory can be read" + again,
          "BOOTX64.EFI" in shell.run(f"dir {volume}:\\EFI\\BOOT"))
    return volume


def unload(shell, again):
    found = re.search(r"([0-9A-F]+): [^\n]*qcow2drvx64", shell.run("dh -p LoadedImage"))
    check("the driver is among the handles" + again, found is not None)
    text = shell.run("unload -n " + (found.group(1) if found else "0"))
    check("it unloads" + again, "uccess" in text)
    check("it frees all memory" + again, "the disks are removed; memory: 0 KiB in use" in text)
    check("its disk is gone" + again, OURS not in shell.run("map -r"))


def application(shell):
    text = shell.run("fs0:\\qcow2x64.efi \\returns.qcow2")
    check("the application starts a loader", "probe: done" in text)
    check("the loader returns", "returned: no error" in text)
    check("the application removes its disk", OURS not in shell.run("map -r"))
    for words, message in (
            ("\\broken\\text.qcow2", "qcow2: \\broken\\text.qcow2: not a qcow2 image"),
            ("\\absent.qcow2", "qcow2: \\absent.qcow2: no such file"),
            ("\\inside\\..\\..\\x", "not a path on this volume"),
            ("blocksize=512", "this option must follow an image"),
            ("\\zero.qcow2 blocksize=1000", "the block size must be 512 or 4096"),
            ("\\zero.qcow2", "no \\EFI\\BOOT\\BOOTX64.EFI in any partition")):
        check(f"{words}: {message}", message in shell.run("fs0:\\qcow2x64.efi " + words))


def main():
    with Shell(QEMU) as shell:
        shell.wait(re.compile("skip startup.nsh"))
        shell.type("\x1b")
        shell.wait(PROMPT)
        check("no disk of this program at the start", OURS not in shell.run("map -r"))
        new = load(shell, "") + ":\\new.txt"
        shell.run(f"echo kept in memory > {new}")
        check("a file can be written", "kept in memory" in shell.run(f"type {new}"))
        unload(shell, "")
        new = load(shell, " again") + ":\\new.txt"
        check("what was written is gone", "kept in memory" not in shell.run(f"type {new}"))
        check("reconnecting all drivers does no harm", "fs0" in shell.run("reconnect -r") + shell.run("map -r").lower())
        unload(shell, " again")
        application(shell)
        shell.type("reset -s\r")
        check("the machine switches off", shell.is_off())
        print("shell: done")


main()
