# SPDX-License-Identifier: MIT
"""The console of a machine in QEMU, for scripts that read it and type."""
import os
import re
import select
import signal
import subprocess
import sys
import time


class Console:
    def __init__(self, command):
        # timeout(1) ends this program so: the machine must not outlive it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        self.qemu = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()

    def wait(self, pattern, seconds=20):
        """All that comes until the text ends as the pattern says."""
        end = time.monotonic() + seconds
        raw, text = b"", ""
        while not pattern.search(text):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.qemu.stdout], [], [], left)[0]:
                break
            data = os.read(self.qemu.stdout.fileno(), 65536)
            if not data:
                break
            raw += data  # an escape sequence may come in two pieces
            text = re.sub(rb"\x1b\[[0-9;=?]*[A-Za-z]|\r", b"", raw).decode(errors="replace")
        print(text, flush=True)
        return text

    def type(self, line):
        self.qemu.stdin.write(line.encode())
        self.qemu.stdin.flush()

    def is_off(self, seconds=20):
        """Has the machine switched itself off, and said no more than it said before?"""
        self.wait(re.compile(r"(?!)"), seconds)
        return self.qemu.wait(timeout=seconds) == 0
