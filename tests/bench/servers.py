# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Servers of a disk: they run while a client reads it, and their own CPU time is what counts.

However the work ends, also by a signal, the server is stopped and what it has mounted is unmounted.
"""
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

START_SECONDS = 30
STOP_SECONDS = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_held = {"depth": 0, "came": None}


class ServerError(Exception):
    """A server has not started."""


def _on_signal(number, _frame):
    if _held["depth"] == 0:
        raise SystemExit(128 + number)
    _held["came"] = number


def catch_signals():
    """From now on, a signal ends the program with an exception, so that all servers are stopped."""
    for number in _SIGNALS:
        signal.signal(number, _on_signal)


@contextlib.contextmanager
def _uninterrupted():
    """A signal that comes inside takes effect at the end."""
    _held["depth"] += 1
    try:
        yield
    finally:
        _held["depth"] -= 1
    if _held["depth"] == 0 and _held["came"] is not None:
        raise SystemExit(128 + _held["came"])


@dataclass
class Server:
    """A command that stays in the foreground. It serves at a place: a socket, or a directory or a file
    on which it mounts."""
    command: list
    place: str
    mounts: bool = False
    on_file: bool = False


def _is_mounted(place):
    with open("/proc/self/mounts") as f:
        return any(line.split()[1] == place for line in f)


def _is_ready(server):
    if server.mounts:
        return _is_mounted(server.place)
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(server.place) == 0


def _wait_ready(server, process, messages):
    end = time.monotonic() + START_SECONDS
    while not _is_ready(server):
        if process.poll() is not None or time.monotonic() > end:
            messages.seek(0)
            said = messages.read().decode(errors="replace").strip()
            raise ServerError(f"does not serve, exit status {process.poll()}: {said}")
        time.sleep(0.01)


def _prepare(server):
    """Makes the directory or the file to mount on; removes a socket that was left."""
    if server.mounts and not server.on_file:
        os.makedirs(server.place, exist_ok=True)
    elif server.mounts:
        with open(server.place, "w"):
            pass
    elif os.path.exists(server.place):
        os.unlink(server.place)


def _stop(server, process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if server.mounts and _is_mounted(server.place):
        subprocess.run(["fusermount3", "-u", "-z", server.place], check=True, timeout=STOP_SECONDS)


@contextlib.contextmanager
def running(server):
    """Yields the process of a server that is ready. Fails with ServerError."""
    _prepare(server)
    process = None
    with tempfile.TemporaryFile() as messages:
        try:
            with _uninterrupted():
                process = subprocess.Popen(server.command, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=messages,
                                           start_new_session=True)
            _wait_ready(server, process, messages)
            yield process
        finally:
            with _uninterrupted():
                if process is not None:
                    _stop(server, process)


def _family(pid):
    """The process and its descendants."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        children = [int(word) for word in f.read().split()]
    return [pid] + [p for child in children for p in _family(child)]


def cpu_seconds(process):
    """User and system time of all threads so far, also of those that have ended."""
    # clock_getcpuclockid(3), which Python lacks.
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in _family(process.pid))
