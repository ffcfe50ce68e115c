# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Runs of the command with a fault, without a new process image for each (fault_server.h).

The server is qcow2-faults, which has started and waits. For each run it makes a copy of itself, which
then does the same as a process of its own: it has the same arguments, directory, descriptors, signals
and limits, and its exit status and signal are reported apart.
"""
import functools
import os
import select
import socket
import subprocess

from conform import FAULTS, MEMORY, SECONDS, Result, start


class Server:
    def __init__(self):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)
        fd = other.fileno()
        self.process = start(FAULTS, env=dict(os.environ, QCOW2_SERVER=str(fd)), memory=MEMORY,
                             stdout=subprocess.DEVNULL, pass_fds=(fd,))
        other.close()

    def ask(self, strings, descriptors):
        text = b"".join(os.fsencode(string) + b"\0" for string in strings)
        socket.send_fds(self.socket, [text], descriptors)

    def answer(self):
        """The exit status of the run that was asked for, or minus the signal that ended it."""
        status = self.socket.recv(4)
        assert len(status) == 4, self.process.communicate()[1]
        return os.waitstatus_to_exitcode(int.from_bytes(status, "little"))

    def end(self, must_kill=False):
        """Ends the server. If it is killed, a run that hangs ends with it."""
        self.socket.close()
        if must_kill:
            self.process.kill()
        _, err = self.process.communicate()
        server.cache_clear()
        assert must_kill or (self.process.returncode, err) == (0, b""), err


@functools.cache
def server():
    return Server()


def end():
    if server.cache_info().currsize:
        server().end()


def read_pipe(fd):
    parts = []
    while select.select([fd], [], [], SECONDS)[0]:
        part = os.read(fd, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
    raise TimeoutError


def run_fault(args, home, stdin, out, err, fault="", counts="", ignore=()):
    """Runs the command in the directory `home`. `out`: the file that standard output goes to, or None
    for a pipe; `err`: the file for standard error. Returns a Result."""
    place = server()
    reading, writing = os.pipe() if out is None else (None, None)
    try:
        target = writing if out is None else out.fileno()
        place.ask((home, " ".join(str(int(number)) for number in ignore), fault, counts, FAULTS,
                   *args), (stdin.fileno(), target, err.fileno()))
        content = b""
        if out is None:
            os.close(writing)
            content = read_pipe(reading)
        code = place.answer()
    except BaseException:
        place.end(must_kill=True)
        raise
    finally:
        if out is None:
            os.close(reading)
    err.seek(0)
    return Result([FAULTS, *args], code, content, err.read())
