# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The console of a machine in QEMU, for scripts that read from it and type into it."""
import os
import re
import select
import signal
import subprocess
import sys
import time


class Console:
    def __init__(self, command):
        # timeout(1) stops this program with SIGTERM, and the machine must not outlive it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        self.qemu = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()

    def wait(self, pattern, seconds=1800):
        """Returns the output up to the first match of the pattern."""
        end = time.monotonic() + seconds
        raw, text = b"", ""
        while not pattern.search(text):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.qemu.stdout], [], [], left)[0]:
                break
            data = os.read(self.qemu.stdout.fileno(), 65536)
            if not data:
                break
            raw += data  # two reads may share an escape sequence
            text = re.sub(rb"\x1b\[[0-9;=?]*[A-Za-z]|\r", b"", raw).decode(errors="replace")
        print(text, flush=True)
        return text

    def type(self, line):
        self.qemu.stdin.write(line.encode())
        self.qemu.stdin.flush()

    def is_off(self, seconds=1800):
        """Does the machine switch itself off within this time?"""
        self.wait(re.compile(r"(?!)"), seconds)
        return self.qemu.wait(timeout=seconds) == 0
