# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""attach and detach. The tests are the kernel: the command sets up a device of a model
(nbd_kernel.c), and the tests read the disk through the sockets that the kernel would have.
tests/firmware/run-attach.sh does the same with a real kernel.
"""
import array
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import struct
import time
from pathlib import Path

import pytest

from conform import K, M, MEMORY, QCOW2, make, qcow2, qcow2_ok, refused, run, start

NBD = str(Path(QCOW2).resolve().parent / "tests/conform/qcow2-nbd")
DEVICE = "/dev/nbd7"
SET_SOCK, DO_IT, CLEAR_SOCK, DISCONNECT = 0, 3, 4, 8  # the numbers of requests in <linux/nbd.h>
FIND, BY_NETLINK, END_BY_NETLINK = 100, 101, 102  # the numbers of the model for commands of netlink
BLKRRPART = 95  # in <linux/fs.h>
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZERO = range(7)
REQUEST, REPLY = 0x25609513, 0x67446698
CAP_SYS_RESOURCE = 24
BUFFER = M  # the longest read
LIMIT = 600  # seconds; a failed test must end, even if the server still waits for the test
# 4 KiB clusters; the one at 16 KiB is damaged. The disk ends inside a sector.
DISK = "cluster_bits 12\nsize 1100000\nl2 0-2 data\nl2 4 data\nl2 6-9 compressed\nl2 200-268 data\nlayout\n"

LOCKS_MEMORY = pytest.mark.skipif(MEMORY == 0, reason="with sanitizers, mlockall does nothing")


class Device:
    """A device that the command serves. The test holds the kernel's ends of the sockets."""

    def __init__(self, control):
        self.control, self.sockets = control, []
        peer = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.pid = struct.unpack("3i", peer)[0]

    def take(self, n):
        """Receives n sockets and the settings, which come after the first socket."""
        for i in range(n + 1):
            data, more, _, _ = self.control.recvmsg(40, socket.CMSG_SPACE(4))
            if i == 1:
                self.settings = struct.unpack("5Q", data)
                continue
            [(_, _, fds)] = more
            self.sockets.append(socket.socket(fileno=array.array("i", fds)[0]))
            self.sockets[-1].settimeout(LIMIT)

    def ends(self):
        """Waits until the process has ended."""
        return self.control.recv(1) == b""

    def close(self):
        """Does what the kernel does when the device is detached."""
        self.control.shutdown(socket.SHUT_WR)
        for connection in self.sockets:
            connection.close()
        assert self.ends()

    def status(self, name, value=r"\d+"):
        return re.search(rf"^{name}:\s*({value})", Path(f"/proc/{self.pid}/status").read_text(), re.M)[1]


def request(kind, offset=0, length=0, cookie=b"cookie!!", flags=0, magic=REQUEST):
    return struct.pack(">IHH8sQI", magic, flags, kind, cookie, offset, length)


def receive(connection, length):
    got = b""
    while len(got) < length:
        part = connection.recv(length - len(got))
        assert part, "the connection ends"
        got += part
    return got


def reply(connection, length=0, cookie=b"cookie!!"):
    """Returns the bytes, or the error."""
    magic, error, got = struct.unpack(">II8s", receive(connection, 16))
    assert (magic, got) == (REPLY, cookie)
    return error or receive(connection, length)


def ask(connection, *args, **more):
    connection.sendall(request(*args, **more))
    return reply(connection, args[2] if args[0] == READ else 0)


@pytest.fixture
def kernel(tmp_path):
    """A function that attaches an image, with a model of the kernel in a directory."""
    assert shutil.which(NBD), f"{NBD} is missing"
    place = tmp_path / "nbd"
    place.mkdir()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        here = os.getcwd()
        os.chdir(place)  # the name of a socket is short
        listener.bind("kernel")
        os.chdir(here)
        listener.listen()
        listener.settimeout(LIMIT)

        @contextlib.contextmanager
        def take_device(n):
            control = listener.accept()[0]
            with control:
                control.settimeout(LIMIT)
                device = Device(control)
                device.take(n)
                yield device

        def attach(image, *options, n=1, before=(), warning="", **env):
            process = start(*before, NBD, "attach", *options, image, DEVICE, env=environment(place, **env))
            device = stack.enter_context(take_device(n))
            (place / "pid").write_text("1\n")
            err = process.communicate(timeout=LIMIT)[1].decode()
            (place / "pid").unlink()
            assert process.returncode == 0 and (warning in err if warning else err == ""), err
            return device
        attach.place, attach.device = place, take_device
        yield attach


def environment(place, **more):
    return dict(os.environ, QCOW2_NBD=str(place), **more)


def in_nbd(kernel, *args, before=(), **more):
    return run(*before, NBD, *args, env=environment(kernel.place, **more))


def calls(kernel):
    """The numbers of the requests that the kernel got."""
    return [int(line) for line in (kernel.place / "calls").read_text().split()]


def expected(image):
    """The content of the disk up to the end of its last sector."""
    content = qcow2_ok("cat", image)
    return content + bytes(-len(content) % 512)


def oom_score(pid):
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.fixture(params=(False, True), ids=("ioctl", "netlink"))
def both(request, kernel):
    """The fixture `kernel` with each interface."""
    if request.param:
        (kernel.place / "netlink").touch()
    return kernel


def test_settings(build, both):
    """What the kernel is told: whole sectors, read-only, one connection, an hour for a request."""
    image = build(DISK)
    device = both(image)
    assert device.settings == (512, (1100000 + 511) // 512, 3600, 1 | 2 | 256, 1024)
    assert device.status("NoNewPrivs") in "01"
    assert Path(f"/proc/{device.pid}/cmdline").read_bytes().startswith(b"@")
    assert os.readlink(f"/proc/{device.pid}/cwd") == "/"
    own, may_lower = oom_score("self"), int(device.status("CapEff", r"\w+"), 16) >> CAP_SYS_RESOURCE & 1
    assert oom_score(device.pid) == (-1000 if may_lower else own)
    device.close()


def test_reads(build, both):
    """Every part of the disk, on each connection: single bytes, more than a cluster, all of it."""
    image = build(DISK)
    want = expected(image)
    device = both(image, "--connections=4", n=4)
    for i, connection in enumerate(device.sockets):
        for offset, length in ((0, 512), (0, 0), (len(want), 0), (len(want) - 512, 512), (4000 + i, 9999),
                               (0, BUFFER), (len(want) - BUFFER, BUFFER), (24 * K - 1, 20 * K)):
            assert ask(connection, READ, offset, length) == want[offset:offset + length]
    device.close()


def test_slow_request(build, kernel):
    """Three requests, each at a place that cannot be read yet, do not hold up a fourth, on one connection."""
    image = build(DISK)
    want = expected(image)
    extents = json.loads(qcow2_ok("map", image, "--output=json"))
    slow, = (extent["offset"] for extent in extents if extent["start"] == 800 * K)
    (kernel.place / "slow").touch()
    connection = kernel(image, "--no-sandbox", QCOW2_NBD_SLOW=str(slow)).sockets[0]
    for number in range(3):
        connection.sendall(request(READ, 800 * K, 512, b"slow %3d" % number))
    for _ in range(2):
        assert ask(connection, READ, 16 * K, 4 * K) == want[16 * K:20 * K]
    (kernel.place / "slow").unlink()
    cookies = set()
    for _ in range(3):
        header = receive(connection, 16)
        cookies.add(header[8:])
        assert header[:8] == struct.pack(">II", REPLY, 0) and receive(connection, 512) == want[800 * K:][:512]
    assert cookies == {b"slow %3d" % number for number in range(3)}


def test_requests_in_a_row(build, kernel):
    """Requests that wait are answered in order, and connections do not wait for each other."""
    image = build(DISK)
    want = expected(image)
    device = kernel(image, "--connections", "2", n=2)
    for connection in device.sockets:
        connection.sendall(b"".join(request(READ, 512 * i, 512 * i, b"%8d" % i) for i in range(9)))
    for connection in reversed(device.sockets):
        for i in range(9):
            assert reply(connection, 512 * i, b"%8d" % i) == want[512 * i:1024 * i]
    device.close()


@pytest.mark.parametrize("offset, length", [
    (1100288, 1), (0, BUFFER + 1), (0, 2**32 - 1), (2**64 - 1, 1), (2**64 - 512, 1024),
    (1100288 - 512, 513), (2**63, 512)])
def test_out_of_range(build, kernel, offset, length):
    device = kernel(build(DISK), "--connections=1", n=1)
    connection = device.sockets[0]
    assert ask(connection, READ, offset, length) == errno.EINVAL
    assert ask(connection, READ, 0, 512) == expected(Path(build(DISK)))[:512]
    device.close()


def test_writes_are_refused(build, kernel):
    """The data of a write does not pass for a request; nothing is written."""
    image = build(DISK)
    before = image.read_bytes()
    device = kernel(image)
    connection = device.sockets[0]
    for length in (0, 512, 3 * M + 1):
        connection.sendall(request(WRITE, 0, length, flags=1) + request(READ, 0, 16) * (length // 28) +
                           bytes(length % 28))
        assert reply(connection) == errno.EPERM
    assert ask(connection, TRIM, 0, 512) == ask(connection, ZERO, 0, 512) == errno.EPERM
    assert ask(connection, CACHE, 0, 512) == ask(connection, 99, 0, 512) == errno.EINVAL
    assert ask(connection, FLUSH) == b""
    assert ask(connection, READ, 0, 512) == expected(image)[:512]
    device.close()
    assert image.read_bytes() == before


def test_damage(build, kernel):
    """Only reads of the damaged cluster fail, and its neighbors can be read."""
    image = build(DISK.replace("l2 4 data", "l2 4 raw 0x400"))
    want = expected(build(DISK.replace("l2 4 data\n", ""), "sound"))
    device = kernel(image)
    connection = device.sockets[0]
    assert ask(connection, READ, 12 * K, 8 * K) == errno.EIO
    assert ask(connection, READ, 16 * K, 1) == ask(connection, READ, 20 * K - 1, 2) == errno.EIO
    assert ask(connection, READ, 0, 16 * K) == want[:16 * K]
    assert ask(connection, READ, 20 * K, M) == want[20 * K:20 * K + M]
    device.close()


def test_ends_of_connections(build, kernel):
    """A connection ends at DISC, at a wrong magic number, and in the middle of a request or of the data
    of a write. The others go on."""
    image = build(DISK)
    device = kernel(image, "--connections", "6", n=6)
    disc, magic, early, write, away, last = device.sockets
    disc.sendall(request(DISC))
    magic.sendall(request(READ, 0, 512, magic=REQUEST + 1))
    early.sendall(request(READ)[:27])
    write.sendall(request(WRITE, 0, 512) + bytes(511))
    for connection in (early, write):
        connection.shutdown(socket.SHUT_WR)
    for connection in (disc, magic, early, write):
        assert connection.recv(1) == b""
    away.sendall(request(READ, 0, BUFFER) * 3)  # the answers do not fit into the socket
    away.close()
    assert ask(last, READ, 0, 512) == expected(image)[:512]
    device.close()


def test_chain_and_snapshot(build, kernel):
    """The options of other commands have the same effect."""
    build("size 64k\nl2 0 data\n", "base")
    top = build('size 64k\nbacking "base" qcow2\nsnapshot 1 first\nl2 0 data\nactive\n', "top")
    for options in (("--follow",), ("--follow", "--snapshot", "first"), ("--layer-only",)):
        device = kernel(top, *options)
        assert ask(device.sockets[0], READ, 0, 64 * K) == qcow2_ok("cat", *options, top)
        device.close()


def test_netlink(build, kernel):
    """No process waits in the kernel."""
    (kernel.place / "netlink").touch()
    image = build(DISK)
    device = kernel(image)
    assert calls(kernel) == [FIND, BY_NETLINK, BLKRRPART]
    assert ask(device.sockets[0], READ, 0, 512) == expected(image)[:512]
    device.close()


def test_device_that_is_open_for_a_moment(build, kernel):
    """The kernel does not start a device by netlink that any process has open."""
    for name in ("netlink", "open"):
        (kernel.place / name).touch()
    kernel(build(DISK)).close()
    assert calls(kernel) == [FIND, BY_NETLINK] * 2 + [BLKRRPART]


@pytest.mark.parametrize("fault, files, attempts", (
    (f"{FIND} {errno.ENOENT}", (), [FIND]), ("", ("nameless",), [FIND]), ("", ("no-name",), []),
    (f"{BY_NETLINK} {errno.EPERM}", (), [FIND, BY_NETLINK]),
    (f"{BY_NETLINK} {errno.EBUSY}", ("fast",), [FIND, BY_NETLINK] * 20)))
def test_without_netlink(build, kernel, fault, files, attempts):
    """A kernel before Linux 4.12, a network namespace, a device that stays open: ioctl(2) takes over."""
    for name in ("netlink", *files):
        (kernel.place / name).touch()
    kernel(build(DISK), QCOW2_NBD_FAULT=fault or "255 1").close()
    assert calls(kernel)[:len(attempts) + 1] == [*attempts, SET_SOCK]


@pytest.mark.parametrize("before", ((), ("env", "--ignore-signal=CHLD")), ids=("", "no-SIGCHLD"))
def test_device_that_does_not_start(build, kernel, before):
    """NBD_DO_IT fails. A parent that ignores the end of its children makes no difference."""
    process = start(*before, NBD, "attach", build(DISK), DEVICE,
                    env=environment(kernel.place, QCOW2_NBD_FAULT=f"{DO_IT} {errno.EINVAL}"))
    _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err.decode()) == (
        1, f"qcow2: {DEVICE}: the device did not start: Invalid argument\n")


def test_device_that_is_detached_at_once(build, kernel):
    """NBD_DO_IT returns before the device was seen to work."""
    process = start(NBD, "attach", build(DISK), DEVICE, env=environment(kernel.place))
    with kernel.device(1) as device:
        device.close()
    _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err.decode()) == (
        1, f"qcow2: {DEVICE}: another process detached the device at once\n")


@pytest.mark.parametrize("number", (SET_SOCK, DO_IT))
def test_server_is_killed(build, kernel, number):
    """Before and after it is ready."""
    refused(in_nbd(kernel, "attach", build(DISK), DEVICE, QCOW2_NBD_FAULT=f"{number} 0"),
            DEVICE, "the server was ended by signal 9")


def test_device_that_cannot_be_opened_again(build, both):
    """The kernel cannot look for partitions. The device does not stay."""
    (both.place / "gone").touch()
    process = start(NBD, "attach", build(DISK), DEVICE, env=environment(both.place))
    with both.device(1) as device:
        (both.place / "pid").touch()
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 1 and "No such device or address" in err.decode()
        if (both.place / "netlink").exists():
            assert (both.place / "disconnected").exists()
            device.close()
        assert device.ends()


@pytest.mark.parametrize("number", (SET_SOCK, 1, 7, 9, 10))
def test_request_fails(build, kernel, number):
    done = in_nbd(kernel, "attach", build(DISK), DEVICE, QCOW2_NBD_FAULT=f"{number} {errno.EINVAL}")
    refused(done, DEVICE, "cannot set up the device: Invalid argument")
    assert calls(kernel)[-1] == (SET_SOCK if number == SET_SOCK else CLEAR_SOCK)


def test_device_of_another_process(build, kernel):
    """If the kernel refuses the socket, because another process has set up the device since, nothing
    else is called, because that would change or end what the other process serves."""
    done = in_nbd(kernel, "attach", build(DISK), DEVICE, QCOW2_NBD_FAULT=f"{SET_SOCK} {errno.EBUSY}")
    refused(done, DEVICE, "another process serves this device already")
    assert calls(kernel) == [SET_SOCK]


def test_device_that_stays_open(build, kernel):
    """Another process has attached and detached the device since, and still has it open. The number in
    /sys is not that of the new server."""
    (kernel.place / "taken").touch()
    refused(in_nbd(kernel, "attach", build(DISK), DEVICE), "another process serves this device already")
    assert calls(kernel) == [SET_SOCK, CLEAR_SOCK]


def test_without_sys(build, kernel):
    (kernel.place / "no-sys").touch()
    refused(in_nbd(kernel, "attach", build(DISK), DEVICE), "cannot limit the length of requests in /sys")


def test_refused(build, kernel, tmp_path):
    image = build(DISK)
    (tmp_path / "text").write_text("no image at all")
    refused(in_nbd(kernel, "attach", tmp_path / "text", DEVICE), "not a qcow2 image")
    refused(in_nbd(kernel, "attach", image, DEVICE + "p1"), "not a network block device")
    refused(qcow2("attach", image, image), "not a network block device")
    refused(in_nbd(kernel, "attach", image, "/dev/nbd8"), "modprobe nbd max_part=16")
    (kernel.place / "pid").touch()
    refused(in_nbd(kernel, "attach", image, DEVICE), "another process serves this device")


@pytest.mark.parametrize("value", ("0", "17", "", "4x", "-1", "99999999999999999999"))
def test_connections(value, build):
    result = qcow2("attach", f"--connections={value}", build(DISK), DEVICE)
    assert result.code == 2 and "expected a number from 1 to 16" in result.err


def test_most_connections(build, kernel):
    device = kernel(build(DISK), "--connections=16", n=16)
    assert all(ask(connection, FLUSH) == b"" for connection in device.sockets)
    device.close()


@LOCKS_MEMORY
def test_memory_is_locked(build, kernel):
    """The kernel may wait for this process before it can free memory."""
    assert int(kernel(build(DISK)).status("VmLck")) > 4 * K


@LOCKS_MEMORY
def test_memory_that_cannot_be_locked(build, kernel):
    """It works, with a warning."""
    image = build(DISK)
    before = ("setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "prlimit", "--memlock=0")
    device = kernel(image, before=before, warning=f"qcow2: {DEVICE}: warning: cannot lock memory: ")
    assert ask(device.sockets[0], READ, 0, 512) == expected(image)[:512]
    device.close()


def test_too_few_descriptors(build, kernel):
    """Neither the first process nor the one that serves goes on, and both say why."""
    image = build(DISK)
    reason = f"qcow2: {image}: cannot start the server: Too many open files\n"

    def message(limit):
        done = in_nbd(kernel, "attach", image, DEVICE, before=("prlimit", f"--nofile={limit}"))
        assert done.code == 1
        return done.err
    limit = next(n for n in range(4, 20) if message(n) == reason)
    assert message(limit + 1) == reason  # half a pipe
    assert message(limit + 2) == reason  # a pipe and no sockets


def end_the_device(kernel):
    """Waits until something has asked for the end of the device, and lets the kernel do it."""
    end = time.monotonic() + LIMIT
    while not (kernel.place / "disconnected").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    (kernel.place / "pid").unlink()


def test_detach(kernel):
    refused(in_nbd(kernel, "detach", DEVICE), "nothing is attached to this device")
    (kernel.place / "pid").touch()
    process = start(NBD, "detach", DEVICE, env=environment(kernel.place))
    end_the_device(kernel)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("ends", (True, False))
def test_detach_waits_for_the_server(kernel, ends):
    """It ends a moment after the device has gone; another client may go on."""
    server = start("sleep", str(LIMIT))
    (kernel.place / "pid").write_text(f"{server.pid}\n")
    process = start(NBD, "detach", DEVICE, env=environment(kernel.place))
    end_the_device(kernel)
    time.sleep(0.3)
    assert process.poll() is None
    if ends:
        server.kill()
        server.wait()
    began = time.monotonic()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"") and (not ends or time.monotonic() - began < 4)
    server.kill()
    server.wait()


def test_detach_of_an_open_device(kernel):
    """Another process, or the server, keeps the device for more than ten seconds."""
    (kernel.place / "pid").touch()
    (kernel.place / "fast").touch()
    refused(in_nbd(kernel, "detach", DEVICE), "detached, but a process still has the device open")
    assert calls(kernel) == [DISCONNECT, CLEAR_SOCK, BLKRRPART]


def test_detach_refused(kernel):
    (kernel.place / "pid").touch()
    (kernel.place / "busy").touch()
    refused(in_nbd(kernel, "detach", DEVICE), DEVICE, "in use; unmount it first")
    (kernel.place / "busy").unlink()
    refused(in_nbd(kernel, "detach", DEVICE, QCOW2_NBD_FAULT=f"8 {errno.EINVAL}"),
            "cannot detach: Invalid argument")
