# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Reads qcow2 disk images of QEMU as seekable binary files, with the library libqcow2.

    import qcow2

    with qcow2.open("disk.qcow2") as disk:
        print(disk.size)
        boot_sector = disk.read(512)
        for segment in disk.map():
            print(segment.start, segment.length, segment.data)

A disk is an io.RawIOBase, so io.BufferedReader, hashlib and shutil take it like any other file. It
is never written to. All offsets, lengths and sizes are in bytes.

The library is libqcow2.so.0. The environment variable LIBQCOW2 names another file. Importing this
module raises ImportError if the library cannot be loaded.

Errors: if the file cannot be opened, open raises what os.open does. A failure of the library is an
OSError, of the subclass that belongs to its errno. Its `strerror` is the message of the library;
include/qcow2.h lists what each errno means. It also has these attributes:

    status       a Status, or None if the failure has none
    file         the path of the file that the failure is about, or None if unknown
    depth        of this file in the backing chain; 0 is the image that was opened
    position     where in this file the failure is, or None
    offset       where the damaged part of the disk begins, or None if there is none
    length       the length of the damaged part; to read on after it, continue at offset + length
    looks_cut    whether the file seems to have lost its end, and allow_truncated reads the rest
    names_file   whether follow=True may find the missing file

A closed disk raises ValueError, like every file of Python.

Threads: any number of threads may use one disk, and their reads run in parallel. They share the
file position, so they use pread and pread_into, which have none.
"""
from __future__ import annotations

import contextlib
import ctypes
import enum
import errno
import io
import os
import threading
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

__all__ = ["Bitmap", "DirtyRange", "Disk", "Info", "KeyRequest", "Segment", "Snapshot", "Status",
           "open", "printable"]

PathOrFd = Union[str, bytes, "os.PathLike[Any]", int]
BackingFile = Union[PathOrFd, Tuple[PathOrFd, str]]
Password = Union[bytes, bytearray]


# ---- What the headers declare ----

class Status(enum.IntEnum):
    """Why a call failed, more exactly than errno: QCOW2_E_* of include/qcow2/status.h."""
    ARGUMENT = -1
    RANGE = -2
    MEMORY = -3
    BACKING = -4
    DATA_FILE = -5
    DEPTH = -6
    NOT_FOUND = -7
    KEY = -8
    LIMIT = -9
    IO = -16
    CRYPTO = -17
    NOT_QCOW2 = -32
    VERSION = -33
    FEATURE = -34
    ENCRYPTED = -35
    COMPRESSION = -36
    CODEC = -37
    TOO_BIG = -38
    CLUSTER_BITS = -39
    SNAPSHOT_DATA_FILE = -40
    HEADER = -48
    EXTENSION = -49
    L1 = -50
    L2_ENTRY = -51
    COMPRESSED = -52
    SNAPSHOT = -53
    TRUNCATED = -54
    REFCOUNT = -55
    BITMAP = -56
    INCONSISTENT = -57
    LUKS = -58


class _Open(enum.IntFlag):
    ALLOW_TRUNCATED = 1
    LAYER_ONLY = 2
    FOLLOW = 4
    FOLLOW_ANY = 8
    INSPECT = 16
    VM_STATE = 32
    WITHOUT_KEYS = 64


class _SegmentFlag(enum.IntFlag):
    PRESENT = 1
    ZERO = 2
    DATA = 4
    COMPRESSED = 8
    AT = 16
    ENCRYPTED = 32


class _BitmapFlag(enum.IntFlag):
    IN_USE = 1
    AUTO = 2


class _FindFlag(enum.IntFlag):
    IN_USE = 1


class _InfoFlag(enum.IntFlag):
    DIRTY = 1
    CORRUPT = 2
    EXTENDED_L2 = 4
    LAZY_REFCOUNTS = 8
    DATA_FILE = 16
    DATA_FILE_RAW = 32


class _File(ctypes.Structure):
    _fields_ = [("path", ctypes.c_char_p), ("fd", ctypes.c_int), ("format", ctypes.c_char_p)]


class _KeyRequest(ctypes.Structure):
    _fields_ = [("depth", ctypes.c_uint), ("method", ctypes.c_char_p), ("uuid", ctypes.c_char_p),
                ("path", ctypes.c_char_p)]


class _Key(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("len", ctypes.c_size_t)]


_GetKey = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_KeyRequest),
                           ctypes.POINTER(_Key), use_errno=True)


class _Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("flags", ctypes.c_uint),
                ("max_readers", ctypes.c_uint), ("reader_memory", ctypes.c_size_t),
                ("path", ctypes.c_char_p), ("snapshot", ctypes.c_char_p),
                ("data_file", ctypes.POINTER(_File)), ("backing", ctypes.POINTER(_File)),
                ("n_backing", ctypes.c_size_t), ("backing_format", ctypes.c_char_p),
                ("open_file", ctypes.c_void_p), ("open_file_ctx", ctypes.c_void_p),
                ("image_offset", ctypes.c_uint64), ("image_length", ctypes.c_uint64),
                ("format", ctypes.c_char_p), ("get_key", _GetKey), ("get_key_ctx", ctypes.c_void_p),
                ("max_iterations", ctypes.c_uint32)]


class _Failure(ctypes.Structure):
    _fields_ = [("error", ctypes.c_int), ("status", ctypes.c_int), ("has_pos", ctypes.c_int),
                ("pos", ctypes.c_uint64), ("depth", ctypes.c_uint), ("text", ctypes.c_char_p),
                ("message", ctypes.c_char * 1024), ("offset", ctypes.c_uint64),
                ("length", ctypes.c_uint64), ("looks_cut", ctypes.c_int),
                ("names_file", ctypes.c_int)]


class _Segment(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("length", ctypes.c_uint64), ("flags", ctypes.c_uint),
                ("depth", ctypes.c_uint), ("fd", ctypes.c_int), ("file_offset", ctypes.c_uint64)]


class _String(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Info(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("format", ctypes.c_char_p),
                ("version", ctypes.c_uint), ("flags", ctypes.c_uint), ("incomplete", ctypes.c_int),
                ("size", ctypes.c_uint64), ("file_size", ctypes.c_uint64),
                ("cluster_size", ctypes.c_uint64), ("refcount_bits", ctypes.c_uint),
                ("compression", ctypes.c_char_p), ("encryption", ctypes.c_char_p),
                ("backing_file", _String), ("backing_format", _String), ("data_file", _String),
                ("incompatible", ctypes.c_uint64), ("compatible", ctypes.c_uint64),
                ("autoclear", ctypes.c_uint64), ("l1_offset", ctypes.c_uint64),
                ("refcount_table_offset", ctypes.c_uint64), ("snapshots_offset", ctypes.c_uint64),
                ("header_length", ctypes.c_uint32), ("crypt_method", ctypes.c_uint32),
                ("l1_entries", ctypes.c_uint32), ("refcount_table_clusters", ctypes.c_uint32),
                ("n_snapshots", ctypes.c_uint32), ("file_start", ctypes.c_uint64)]


class _SnapshotEntry(ctypes.Structure):
    _fields_ = [("id", ctypes.c_void_p), ("name", ctypes.c_void_p), ("id_len", ctypes.c_size_t),
                ("name_len", ctypes.c_size_t), ("disk_size", ctypes.c_uint64),
                ("vm_state_size", ctypes.c_uint64), ("vm_clock_nsec", ctypes.c_uint64),
                ("icount", ctypes.c_uint64), ("date_sec", ctypes.c_uint64),
                ("date_nsec", ctypes.c_uint32)]


class _BitmapEntry(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_len", ctypes.c_size_t),
                ("granularity", ctypes.c_uint64), ("flags", ctypes.c_uint),
                ("table_entries", ctypes.c_uint32), ("table_offset", ctypes.c_uint64)]


class _DirtyRange(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("length", ctypes.c_uint64), ("dirty", ctypes.c_int)]


# The name of each struct in include/qcow2.h, and the prefix of each enumeration.
_STRUCTS = {_File: "qcow2_file", _KeyRequest: "qcow2_key_request", _Key: "qcow2_key",
            _Options: "qcow2_options", _Failure: "qcow2_failure", _Segment: "qcow2_segment",
            _String: "qcow2_string", _Info: "qcow2_info", _SnapshotEntry: "qcow2_snapshot_entry",
            _BitmapEntry: "qcow2_bitmap_entry", _DirtyRange: "qcow2_dirty_range"}
_ENUMS = {Status: "QCOW2_E_", _Open: "QCOW2_", _SegmentFlag: "QCOW2_SEGMENT_",
          _BitmapFlag: "QCOW2_BITMAP_ENTRY_", _FindFlag: "QCOW2_BITMAPS_", _InfoFlag: "QCOW2_INFO_"}

_CALLS = {
    "qcow2_open_options": (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Options),
                           ctypes.c_void_p),
    "qcow2_close": (None, ctypes.c_void_p),
    "qcow2_get_size": (ctypes.c_uint64, ctypes.c_void_p),
    "qcow2_get_path": (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint),
    "qcow2_read": (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                   ctypes.c_uint64),
    "qcow2_last_failure": (ctypes.POINTER(_Failure),),
    "qcow2_map": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64,
                  ctypes.POINTER(_Segment)),
    "qcow2_get_info": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.POINTER(_Info)),
    "qcow2_list_snapshots": (ctypes.c_int, ctypes.c_void_p,
                             ctypes.POINTER(ctypes.POINTER(_SnapshotEntry))),
    "qcow2_list_bitmaps": (ctypes.c_int, ctypes.c_void_p,
                           ctypes.POINTER(ctypes.POINTER(_BitmapEntry))),
    "qcow2_find_bitmaps": (ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p),
                           ctypes.c_size_t, ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)),
    "qcow2_map_bitmaps": (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64,
                          ctypes.c_uint64, ctypes.POINTER(_DirtyRange)),
    "qcow2_printable": (ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                        ctypes.c_size_t),
}


def _load() -> ctypes.CDLL:
    name = os.environ.get("LIBQCOW2") or "libqcow2.so.0"
    try:
        library = ctypes.CDLL(name)
        for call, (result, *arguments) in _CALLS.items():
            function = getattr(library, call)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise ImportError(f"cannot load the library qcow2: {error}. Install {name}, or set the "
                          "environment variable LIBQCOW2 to the path of the library") from error
    return library


_lib = _load()
_free = ctypes.CDLL(None).free
_free.restype, _free.argtypes = None, [ctypes.c_void_p]


# ---- Values that this module returns ----

class Segment(NamedTuple):
    """A part of the disk that is all of one kind. The next one may be of the same kind."""
    start: int                  # offset in the disk, bytes
    length: int                 # bytes
    depth: int                  # of the image in the chain that has it; 0: the one that was opened
    present: bool               # an image of the chain has an entry for it
    zero: bool                  # reads as zeros
    data: bool                  # holds data
    compressed: bool            # holds data that is compressed
    encrypted: bool             # holds data that is encrypted
    file_offset: Optional[int]  # where the bytes are in the file of the image, or in its external
    #                             data file; None: they are not there as the disk has them


class Snapshot(NamedTuple):
    """An internal snapshot. Its id and its name may hold anything: see printable."""
    id: str
    name: str
    disk_size: int         # bytes
    vm_state_size: int     # bytes; 0: the snapshot has the disk only
    vm_clock_nsec: int     # how long the guest had run, nanoseconds
    icount: Optional[int]  # instructions that the guest had run; None: not recorded
    date_sec: int          # when it was taken, seconds since 1970
    date_nsec: int         # and nanoseconds


class Bitmap(NamedTuple):
    """A persistent dirty bitmap. Its name may hold anything: see printable."""
    name: str
    granularity: int  # bytes of the disk that a bit stands for
    in_use: bool      # it may lack changes
    auto: bool        # it records writes to the disk all the time


class DirtyRange(NamedTuple):
    """A part of the disk that is all dirty or all clean."""
    start: int   # offset in the disk, bytes
    length: int  # bytes
    dirty: bool


class Info(NamedTuple):
    """What the header of an image says. The names may hold anything: see printable."""
    format: str                    # "qcow2", "qcow" (version 1) or "raw"
    version: int                   # 2 or 3; 1: qcow; 0: raw
    size: int                      # of the virtual disk, bytes; never that of a snapshot
    file_size: int                 # of the image file, bytes
    file_start: int                # where the image begins in this file, bytes
    cluster_size: int              # bytes; 0: raw
    refcount_bits: int             # bits of a refcount; 0: raw
    compression: Optional[str]     # "zlib" or "zstd"; None: raw
    encryption: Optional[str]      # "aes" or "luks"; None: not encrypted
    backing_file: Optional[str]    # as the image names it
    backing_format: Optional[str]  # of the backing file, as the image has it
    data_file: Optional[str]       # the external data file, as the image names it
    dirty: bool                    # refcounts may be out of date
    corrupt: bool                  # QEMU found damage and refuses to write
    extended_l2: bool              # has subclusters
    lazy_refcounts: bool           # QEMU updates refcounts late
    data_file_raw: bool            # the external data file is a raw disk by itself
    incomplete: bool               # a name above could not be read and is None


class KeyRequest(NamedTuple):
    """The encrypted image that a password is asked for."""
    depth: int           # in the backing chain; 0: the image that is opened
    method: str          # "luks" or "aes"
    uuid: Optional[str]  # of LUKS
    path: Optional[str]  # None: unknown


Key = Union[Password, Callable[[KeyRequest], Optional[Password]]]


# ---- Conversions ----

def _text(pointer: Optional[int], length: int) -> str:
    """A string that may hold any bytes. They survive the way to str and back, as in os.fsdecode."""
    return ctypes.string_at(pointer, length).decode("utf-8", "surrogateescape") if length else ""


def _bytes(text: Union[str, bytes]) -> bytes:
    """The bytes of a name, for a C string: a NUL in it would silently end it."""
    coded = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if b"\0" in coded:
        raise ValueError("embedded null byte")
    return coded


def _maybe(text: Optional[bytes]) -> Optional[str]:
    return None if text is None else os.fsdecode(text)


def _error(handle: Optional[int], path: Optional[bytes]) -> OSError:
    """Makes an exception of the last failure of this thread. path: of the image, if there is no
    handle."""
    failure = _lib.qcow2_last_failure().contents
    error = OSError(failure.error, failure.message.decode("utf-8", "replace"))
    known = failure.status in Status._value2member_map_
    more: Any = error  # OSError declares none of these
    more.status = Status(failure.status) if known else (failure.status or None)
    more.depth = failure.depth
    more.position = failure.pos if failure.has_pos else None
    more.offset = failure.offset if failure.length else None
    more.length = failure.length
    more.looks_cut = bool(failure.looks_cut)
    more.names_file = bool(failure.names_file)
    if handle is not None:
        path = _lib.qcow2_get_path(handle, more.depth)
    more.file = _maybe(path) if handle is not None or more.depth == 0 else None
    return error


def printable(text: Union[str, bytes]) -> str:
    r"""Returns untrusted text in a form that is safe to show: control characters, invisible ones
    and malformed bytes become \xNN."""
    coded = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    room = 4 * len(coded) + 1
    buffer = ctypes.create_string_buffer(room)
    _lib.qcow2_printable(buffer, room, coded, len(coded))
    return buffer.value.decode("utf-8")


# ---- Opening ----

class _Opening:
    """What the library needs during the call that opens an image. `fds` are descriptors that the
    library does not own yet."""

    def __init__(self) -> None:
        self.fds: List[int] = []
        self.options: Any = _Options(struct_size=ctypes.sizeof(_Options))
        self.keep: Any = None  # the password that the library is using
        self.raised: Optional[BaseException] = None

    def descriptor(self, file: PathOrFd) -> int:
        """Opens a path, or duplicates a descriptor, so that the caller keeps its own."""
        if isinstance(file, int):
            fd = os.dup(file)
        else:
            # O_NONBLOCK: opening a FIFO must not wait for a writer.
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        self.fds.append(fd)
        return fd

    def file(self, file: BackingFile) -> _File:
        given, file_format = file if isinstance(file, tuple) else (file, None)
        if isinstance(given, int):
            return _File(None, self.descriptor(given), _format(file_format))
        return _File(_bytes(os.fsencode(given)), -1, _format(file_format))

    def ask(self, key: Key) -> None:
        """Makes the library ask for passwords. If `key` raises, open raises the same."""
        def get_key(_: Any, request: Any, answer: Any) -> int:
            try:
                of = request.contents
                password = key(KeyRequest(of.depth, of.method.decode(), _maybe(of.uuid),
                                          _maybe(of.path))) if callable(key) else key
                if password is None:
                    return 0
                if not isinstance(password, (bytes, bytearray)):
                    raise TypeError(f"a key is bytes, not {type(password).__name__}")
                self.keep, answer[0].bytes = _address(password)
                answer[0].len = len(password)
                return 1
            except BaseException as error:  # it cannot go through the library
                self.raised = error
                ctypes.set_errno(errno.ECANCELED)
                return -1
        self.options.get_key = _GetKey(get_key)

    def open(self, fd: int, path: Optional[bytes]) -> int:
        self.fds.clear()  # the library owns them
        handle = _lib.qcow2_open_options(fd, ctypes.byref(self.options), None)
        if handle is None:
            error = _error(None, path)
            raise self.raised if self.raised is not None else error
        return int(handle)

    def end(self) -> None:
        """Closes what the library does not own, and lets go of the password at once: the options
        and the function that they hold refer to each other."""
        for fd in self.fds:
            os.close(fd)
        self.options = self.keep = None


def _address(password: Password) -> Tuple[Any, Optional[int]]:
    """The address of the bytes themselves, so that the caller can wipe a bytearray, and what keeps
    them there."""
    if not password:
        return None, None
    if isinstance(password, bytearray):
        view = (ctypes.c_char * len(password)).from_buffer(password)
        return view, ctypes.addressof(view)
    return password, ctypes.cast(ctypes.c_char_p(password), ctypes.c_void_p).value


def _format(name: Optional[str]) -> Optional[bytes]:
    return None if name is None else _bytes(name)


def _listed(backing: Union[None, BackingFile, Iterable[BackingFile]]) -> List[BackingFile]:
    """The backing files: one of them may be given by itself."""
    if backing is None:
        return []
    if isinstance(backing, (str, bytes, os.PathLike, int, tuple)):
        return [backing]
    return list(backing)


def open(file: PathOrFd, *,
         backing: Union[None, BackingFile, Iterable[BackingFile]] = None,
         backing_format: Optional[str] = None,
         data_file: Optional[PathOrFd] = None,
         follow: Union[bool, str] = False,
         snapshot: Union[None, str, bytes] = None,
         vm_state: bool = False,
         key: Optional[Key] = None,
         without_keys: bool = False,
         allow_truncated: bool = False,
         layer_only: bool = False,
         inspect: bool = False,
         format: Optional[str] = None,
         image_offset: int = 0,
         image_length: int = 0,
         max_iterations: int = 0,
         max_readers: int = 0,
         reader_memory: int = 0) -> Disk:
    """Opens a disk image and returns its disk.

    file             its path, or a descriptor, which stays the caller's: the disk has a duplicate.
    backing          the file below the image, or a list: this file, the one below it, and so on.
                     Each is a path or a descriptor, or a tuple of that and its format. So a
                     tuple is always one file.
    backing_format   "raw", "qcow2" or "qcow", for backing files whose format nothing else says.
                     Formats are never guessed.
    data_file        the external data file.
    follow           True: open the other files that images name, inside the directory of the
                     image. "any": wherever they are, only for images that you trust. Without it,
                     no file is opened only because an image names it.
    snapshot         the id, or else the name, of the internal snapshot to read.
    vm_state         read the saved state of the machine of this snapshot, instead of the disk.
    key              the password of encrypted images: bytes, or a function that gets a KeyRequest
                     and returns bytes, or None if it has no password. A newline belongs to it.
    without_keys     open encrypted images without a password: map works, reading them fails.
    allow_truncated  what a file that was cut short lacks reads as zeros, instead of failing.
    layer_only       without its backing file, whose data then reads as zeros.
    inspect          open no other file and ask for no key; enough for info, snapshots and bitmaps.
    format           "qcow2", "qcow" for version 1, or "raw"; None: qcow2 or qcow, by the header.
    image_offset     where the image begins in the file, for an image inside another file.
    image_length     its length there; 0: up to the end of the file.
    max_iterations   the most iterations that a LUKS header may ask for; 0: a hundred million.
    max_readers      how many threads can read at once, at most 1024; 0: one for each processor.
    reader_memory    bytes for each of these readers; 0: a good size.

    Raises OSError; among others FileNotFoundError if a file or the snapshot does not exist,
    PermissionError if the password is wrong (EACCES) or a name leads out of the directory (EPERM),
    and OSError with ENOTSUP if a file or a key is needed and not given, or if the library cannot
    read this kind of image, with EINVAL if the file is no image or its header is invalid, and with
    EIO if the file ends before its tables. Raises ValueError or TypeError if an argument cannot be
    passed on. What a `key` function raises comes out of this call.
    """
    if follow not in (False, True, "any"):
        raise ValueError('follow is False, True or "any"')
    size_bits = 8 * ctypes.sizeof(ctypes.c_size_t)
    for name, number, bits in (("image_offset", image_offset, 64),
                               ("image_length", image_length, 64),
                               ("max_iterations", max_iterations, 32),
                               ("max_readers", max_readers, 32),
                               ("reader_memory", reader_memory, size_bits)):
        if not 0 <= number < 1 << bits:
            raise ValueError(f"{name} is out of range")
    flags = {_Open.ALLOW_TRUNCATED: allow_truncated, _Open.LAYER_ONLY: layer_only,
             _Open.FOLLOW: follow and follow != "any", _Open.FOLLOW_ANY: follow == "any",
             _Open.INSPECT: inspect, _Open.VM_STATE: vm_state, _Open.WITHOUT_KEYS: without_keys}
    path = None if isinstance(file, int) else os.fsencode(file)
    opening = _Opening()
    options = opening.options
    try:
        options.flags = sum(flag for flag, wanted in flags.items() if wanted)
        options.path = path
        options.snapshot = None if snapshot is None else _bytes(snapshot)
        options.format, options.backing_format = _format(format), _format(backing_format)
        options.image_offset, options.image_length = image_offset, image_length
        options.max_iterations, options.max_readers = max_iterations, max_readers
        options.reader_memory = reader_memory
        below = [opening.file(each) for each in _listed(backing)]
        options.n_backing = len(below)
        options.backing = (_File * len(below))(*below) if below else None
        if data_file is not None:
            options.data_file = ctypes.pointer(opening.file(data_file))
        if key is not None:
            opening.ask(key)
        handle = opening.open(opening.descriptor(file), path)
    finally:
        opening.end()
    return Disk(handle, file)


class Disk(io.RawIOBase):
    """An open disk image: a seekable, read-only binary file that holds the disk of the guest.

    `open` makes it. Closing it is safe while other threads use it: calls that have begun end
    normally, the last of them frees the image, and every later call raises ValueError. The
    attribute `name` is what `open` was given.
    """

    def __init__(self, handle: int, name: PathOrFd) -> None:
        """For `open` alone."""
        # A signal handler may use the disk in the middle of a call, so the lock is reentrant.
        self._lock = threading.RLock()
        self._users = 0
        self._handle: Optional[int] = handle
        self._position = 0
        self._size = int(_lib.qcow2_get_size(handle))
        self.name = name

    def __repr__(self) -> str:
        return f"<qcow2.Disk {self.name!r}, {self._size} bytes{', closed' if self.closed else ''}>"

    # ---- Closing ----

    @contextlib.contextmanager
    def _using(self) -> Iterator[int]:
        """Keeps the image open during a call of the library."""
        # It counts before it checks: a close in between, by a signal handler, is not missed.
        with self._lock:
            self._users += 1
        try:
            handle = self._handle
            if self.closed or handle is None:
                raise ValueError("I/O operation on closed file")
            yield handle
        finally:
            with self._lock:
                self._users -= 1
                self._free()

    def _free(self) -> None:
        """Frees the image, if it is closed and no call uses it. The caller has the lock."""
        if self.closed and self._users == 0 and self._handle is not None:
            handle, self._handle = self._handle, None
            _lib.qcow2_close(handle)

    def close(self) -> None:
        """Closes the disk. If other threads are in a call, the last of them frees the image and its
        descriptors. A second call has no effect."""
        if not hasattr(self, "_lock"):
            return
        with self._lock:
            super().close()
            self._free()

    # ---- A binary file ----

    @property
    def size(self) -> int:
        """The size of the disk in bytes, as the guest sees it."""
        return self._size

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readable(self) -> bool:
        """Returns True."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Returns True."""
        self._check_open()
        return True

    def write(self, data: Any) -> int:
        """Raises io.UnsupportedOperation: a disk is never written to."""
        raise io.UnsupportedOperation("not writable")

    def fileno(self) -> int:
        """Raises io.UnsupportedOperation: the image file does not hold the bytes of the disk."""
        raise io.UnsupportedOperation("a disk has no file descriptor of its own")

    def tell(self) -> int:
        """Returns the position in the disk, in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position, which may go past the end of the disk, and returns it. Raises OSError
        (EINVAL) if it would be negative, and ValueError if whence is none of 0, 1 and 2."""
        self._check_open()
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in origins:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        position = origins[whence] + offset
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        """Reads into a writable buffer and moves the position. Returns the number of bytes: the
        length of the buffer, or fewer at the end of the disk. Errors: as pread."""
        n = self.pread_into(buffer, self._position)
        self._position += n
        return n

    def read(self, size: Optional[int] = -1) -> bytes:
        """Reads up to size bytes, or up to the end of the disk, and moves the position. Errors: as
        pread."""
        data = self.pread(self._size if size is None or size < 0 else size, self._position)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        """Reads up to the end of the disk. Errors: as pread."""
        return self.read()

    # ---- Reading without a position ----

    def pread(self, length: int, offset: int) -> bytes:
        """Returns length bytes of the disk at offset, or fewer if the disk ends before that.

        Parts that no image allocates read as zeros. Raises OSError with EIO if a table entry or
        compressed data is damaged or a file ends too early, with ENOTSUP if the data is encrypted
        and there is no key, with ENOMEM, and with the errno of pread(2). `offset` and `length` of
        the exception are the damaged part of the disk. The same call may succeed later.
        """
        if length < 0:
            raise ValueError("negative length")
        buffer = bytearray(max(0, min(length, self._size - offset)))
        self.pread_into(buffer, offset)
        return bytes(buffer)

    def pread_into(self, buffer: Any, offset: int) -> int:
        """Reads at offset into a writable, contiguous buffer. Returns the number of bytes: the
        length of the buffer, or fewer at the end of the disk. If it raises, the buffer may hold
        anything. Errors: as pread."""
        if offset < 0:
            raise ValueError("negative offset")
        done = 0
        with self._using() as handle, memoryview(buffer).cast("B") as view:
            length = min(len(view), max(0, self._size - offset))
            room = (ctypes.c_char * len(view)).from_buffer(view)
            start = ctypes.addressof(room)
            try:
                while done < length:
                    n = _lib.qcow2_read(handle, start + done, length - done, offset + done)
                    if n <= 0:
                        self._check(n, handle)
                        break
                    done += n
            finally:
                del room  # or the view could not be released
        return done

    @staticmethod
    def _check(result: int, handle: int) -> None:
        if result < 0:
            raise _error(handle, None)

    # ---- What the disk and its images are ----

    def map(self, start: int = 0, length: Optional[int] = None) -> Iterator[Segment]:
        """Iterates over the segments of the disk from start on, up to its end or for length bytes.

        Reads tables only, never data. Raises OSError with EIO if a table is damaged; to go on after
        the damage, call it again with the offset + length of the exception.
        """
        if start < 0 or (length is not None and length < 0):
            raise ValueError("negative start or length")
        end = self._size if length is None else min(self._size, start + length)
        segment = _Segment()
        while start < end:
            with self._using() as handle:
                n = _lib.qcow2_map(handle, start, end - start, ctypes.byref(segment))
                self._check(n, handle)
            if n == 0:
                return
            flags = segment.flags
            start = segment.start + segment.length
            yield Segment(segment.start, segment.length, segment.depth,
                          bool(flags & _SegmentFlag.PRESENT), bool(flags & _SegmentFlag.ZERO),
                          bool(flags & _SegmentFlag.DATA), bool(flags & _SegmentFlag.COMPRESSED),
                          bool(flags & _SegmentFlag.ENCRYPTED),
                          segment.file_offset if flags & _SegmentFlag.AT else None)

    def _list(self, call: Any, entry: Any) -> Iterator[Any]:
        """The entries that a call lists, whose memory is freed afterwards."""
        entries = ctypes.POINTER(entry)()
        with self._using() as handle:
            n = call(handle, ctypes.byref(entries))
            self._check(n, handle)
        try:
            for i in range(n):
                yield entries[i]
        finally:
            _free(entries)

    def snapshots(self) -> List[Snapshot]:
        """Lists the internal snapshots. Raises OSError with EINVAL if the snapshot table is
        damaged, with EFBIG if it is larger than 64 MiB, and with EIO if the file ends before it
        does."""
        return [Snapshot(_text(e.id, e.id_len), _text(e.name, e.name_len), e.disk_size,
                         e.vm_state_size, e.vm_clock_nsec,
                         None if e.icount == (1 << 64) - 1 else e.icount, e.date_sec, e.date_nsec)
                for e in self._list(_lib.qcow2_list_snapshots, _SnapshotEntry)]

    def bitmaps(self) -> List[Bitmap]:
        """Lists the persistent dirty bitmaps. Raises OSError with EINVAL if the bitmap directory is
        damaged, and with EIO if the file ends before it does."""
        return [Bitmap(_text(e.name, e.name_len), e.granularity, bool(e.flags & _BitmapFlag.IN_USE),
                       bool(e.flags & _BitmapFlag.AUTO))
                for e in self._list(_lib.qcow2_list_bitmaps, _BitmapEntry)]

    def dirty(self, *names: Union[str, bytes], in_use: bool = False) -> Iterator[DirtyRange]:
        """Iterates over the disk in ranges. At least one of the named bitmaps marks all of a dirty
        range, and none marks any of a clean one.

        in_use: also use bitmaps that are in use, which may lack changes. Raises FileNotFoundError
        if there is no such bitmap, and OSError with ESTALE if one is in use, with EINVAL if a
        bitmap is damaged or a snapshot was opened, and with EIO if the file ends too early.
        """
        found, part, start = ctypes.c_void_p(), _DirtyRange(), 0
        wanted = (ctypes.c_char_p * len(names))(*[_bytes(name) for name in names])
        with self._using() as handle:
            self._check(_lib.qcow2_find_bitmaps(handle, wanted, len(names),
                                                _FindFlag.IN_USE if in_use else 0,
                                                ctypes.byref(found)), handle)
        try:
            while start < self._size:
                with self._using() as handle:
                    n = _lib.qcow2_map_bitmaps(handle, found, start, self._size - start,
                                               ctypes.byref(part))
                    self._check(n, handle)
                if n == 0:
                    return
                start = part.start + part.length
                yield DirtyRange(part.start, part.length, bool(part.dirty))
        finally:
            _free(found)

    def info(self, depth: int = 0) -> Info:
        """Describes the image at a depth of the backing chain; depth 0 is the one that was opened.
        Raises FileNotFoundError if the chain has no image at this depth."""
        if not 0 <= depth < 1 << 32:
            raise ValueError("depth is out of range")
        i = _Info(struct_size=ctypes.sizeof(_Info))
        with self._using() as handle:
            self._check(_lib.qcow2_get_info(handle, depth, ctypes.byref(i)), handle)
            names = [None if s.bytes is None else _text(s.bytes, s.len)
                     for s in (i.backing_file, i.backing_format, i.data_file)]
        flags = _InfoFlag(i.flags)
        return Info(i.format.decode(), i.version, i.size, i.file_size, i.file_start, i.cluster_size,
                    i.refcount_bits, _maybe(i.compression), _maybe(i.encryption), *names,
                    *(bool(flags & flag) for flag in (
                        _InfoFlag.DIRTY, _InfoFlag.CORRUPT, _InfoFlag.EXTENDED_L2,
                        _InfoFlag.LAZY_REFCOUNTS, _InfoFlag.DATA_FILE_RAW)), bool(i.incomplete))
