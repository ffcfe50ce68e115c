# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""The persistent bitmaps that `qcow2 info` lists, and damaged bitmap directories."""
import pytest

from conform import K, M, assert_same_info, qcow2, qcow2_json, qemu_img
from info_text import V3, assert_info, assert_warned


def bitmap_entry(name, flags=2, granularity=16, extra=0, extra_len=None, name_len=None):
    """An entry of the bitmap directory, padded to a multiple of 8 bytes."""
    name = name.encode()
    entry = bytes(12) + flags.to_bytes(4, "big") + bytes([1, granularity])
    entry += (len(name) if name_len is None else name_len).to_bytes(2, "big")
    entry += (extra if extra_len is None else extra_len).to_bytes(4, "big")
    entry += bytes(extra) + name
    return entry + bytes(-len(entry) % 8)


def with_directory(build, entries, n=None, length=None, at="$d", autoclear=1):
    """An image with such a bitmap directory, and with these numbers in its extension."""
    n = len(entries) if n is None else n
    directory = b"".join(entries)
    length = len(directory) if length is None else length
    return build(V3 + f"ext bitmaps 00*24\nheader.autoclear_features {autoclear}\nalloc d 1\n"
                 f"l2 1 data\nlayout\nput32 $ext+8 {n}\nput64 $ext+16 {length}\n"
                 f"put64 $ext+24 {at}\nput $d {directory.hex()}\n")


def test_bitmaps(image):
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    for words in ("--add -g 64K one", "--add -g 2M two", "--disable two", "--add in-use"):
        *flags, name = words.split()
        qemu_img("bitmap", *flags, image, name)
    content = bytearray(image.read_bytes())
    content[content.index(b"in-use") - 24 + 15] |= 1  # as after a crash
    image.write_bytes(content)
    assert_info(image, "bitmap: one (granularity 65536, auto)", "bitmap: two (granularity 2097152)",
                "bitmap: in-use (granularity 65536, auto, in use)", size=M, cluster=64 * K)
    assert_same_info(image)
    assert qcow2_json("info", image)["format-specific"]["data"]["bitmaps"] == [
        {"flags": ["auto"], "name": "one", "granularity": 64 * K},
        {"flags": [], "name": "two", "granularity": 2 * M},
        {"flags": ["in-use", "auto"], "name": "in-use", "granularity": 64 * K}]


def test_bitmaps_with_extra_data(build):
    """Entries with extra data before the name, and with lengths that are not multiples of 8."""
    image = with_directory(build, [bitmap_entry("a", extra=7), bitmap_entry("b" * 9, extra=8),
                                   bitmap_entry("", flags=0, granularity=63)])
    assert_info(image, "bitmap: a (granularity 65536, auto)",
                "bitmap: bbbbbbbbb (granularity 65536, auto)",
                f"bitmap:  (granularity {1 << 63})")


def test_last_bitmap_without_padding(build):
    entry = bitmap_entry("abc")
    image = with_directory(build, [entry], length=len(entry) - 5)
    assert_info(image, "bitmap: abc (granularity 65536, auto)")


GOOD = bitmap_entry("good")
INVALID = "cannot list the bitmaps: invalid bitmap directory (at file offset "
CUT = "the bitmap directory at file offset "
DAMAGED = {
    "too many": {"entries": [GOOD], "n": 65536},
    "one more than there are": {"entries": [GOOD], "n": 2},
    "head cut short": {"entries": [GOOD, GOOD], "length": 2 * len(GOOD) - 9},
    "name cut short": {"entries": [GOOD], "length": len(GOOD) - 5},
    "no more after one without padding": {"entries": [bitmap_entry("abc")], "n": 2, "length": 27},
    "longer than entries can be": {"entries": [GOOD], "length": 1025},
    "granularity of 2^64": {"entries": [bitmap_entry("a", granularity=64)]},
    "name longer than all": {"entries": [bitmap_entry("a", name_len=9)]},
    "extra data longer than all": {"entries": [bitmap_entry("a", extra_len=9)]},
    "extra data of 4 GiB": {"entries": [bitmap_entry("a", extra_len=0xffffffff)]},
}
NOT_IN_THE_FILE = {
    "longer than the file": {"entries": [GOOD], "n": 1000, "length": 1000 * K},
    "past the end": {"entries": [GOOD], "at": "$end+1"},
    "across the end": {"entries": [GOOD], "at": "$end-8"},
    "wrapping around": {"entries": [GOOD], "at": "0-8"},
}


@pytest.mark.parametrize("name", [*DAMAGED, *NOT_IN_THE_FILE])
def test_damaged_bitmap_directory(name, build):
    image = with_directory(build, **(DAMAGED | NOT_IN_THE_FILE)[name])
    if name in NOT_IN_THE_FILE:
        info = assert_warned(image, "cannot list the bitmaps: ")
        assert CUT in qcow2("info", image).err
    else:
        info = assert_warned(image, INVALID)
    assert "bitmaps" not in info["format-specific"]["data"]


def test_bitmap_extension_of_another_length(build):
    image = build(V3 + "ext bitmaps 00*32\nheader.autoclear_features 1\n")
    assert_warned(image, INVALID)


def test_bitmaps_of_the_past(build):
    """If the autoclear bit is missing, a writer that does not know bitmaps has changed the image. The
    bitmaps are out of date, and `info` does not list them."""
    assert_info(with_directory(build, [GOOD], n=9, autoclear=0))
