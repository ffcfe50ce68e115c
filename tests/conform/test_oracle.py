# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Kept answers of QEMU (oracle.py) are the same as new ones, and belong to one content only."""
import os

import pytest

import conform
import oracle
from conform import K, M, qemu_img, qemu_info, qemu_io, write_file


@pytest.fixture(autouse=True)
def starts(tmp_path, monkeypatch):
    """Keeps answers in an empty directory. Returns the list of the programs that are started."""
    started = []
    start = conform.start

    def counted(*argv, **more):
        started.append(argv[0])
        return start(*argv, **more)

    monkeypatch.setattr(conform, "start", counted)
    monkeypatch.setattr(oracle, "PLACE", tmp_path.with_name(tmp_path.name + "-answers"))
    return started


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Two directories that stand for those of two runs of the same test."""
    monkeypatch.setattr(oracle, "base", tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return tmp_path / "first", tmp_path / "second"


def create(home, size="1M"):
    qemu_img("create", "-q", "-f", "qcow2", home / "disk", size, cwd=home)
    return home / "disk"


def test_same_question(homes, starts):
    first, second = map(create, homes)
    assert first.read_bytes() == second.read_bytes()
    assert starts == ["qemu-img"]
    # The answers name the image, each its own.
    for image in (first, second):
        assert os.fspath(image).encode() in qemu_info(image).out


def test_other_content(homes, starts):
    image = create(homes[0])
    before = qemu_info(image)
    content = bytearray(image.read_bytes())
    content[27] ^= 1 << 1  # the size of the disk: one sector more
    image.write_bytes(content)
    assert qemu_info(image).out != before.out
    assert len(starts) == 3


@pytest.mark.parametrize("change", (
    lambda home: write_file(home / "source", b"other" * 200),
    lambda home: os.truncate(home / "source", 1025),
    lambda home: os.chmod(home / "source", 0o600),
    lambda home: write_file(home / "one more", b""),
    lambda home: os.rename(home / "source", home / "renamed"),
), ids=("content", "length", "mode", "file", "name"))
def test_other_files(change, homes, starts):
    for home in homes:
        write_file(home / "source", b"x" * 1000)
    change(homes[1])
    for home in homes:
        create(home)
    assert len(starts) == 2


def test_other_space(homes, starts):
    """The same bytes with and without a hole."""
    for home in homes:
        with open(home / "disk.raw", "wb") as file:
            if home is homes[0]:
                file.truncate(M)
            else:
                file.write(bytes(M))
        qemu_img("map", "-f", "raw", "--output=json", home / "disk.raw")
    assert len(starts) == 2


def test_other_words(homes, starts):
    for home in homes:
        image = create(home)
        qemu_io(image, "write -P 1 0 512" if home is homes[0] else "write -P 2 0 512")
    assert len(starts) == 3
    create(homes[1], "2M")
    assert len(starts) == 4


def test_changed_files(homes, starts):
    """What QEMU changes, makes and leaves empty is the same, holes included."""
    for home in homes:
        image = create(home, str(300 * K))
        qemu_io(image, "write -P 1 64k 64k")
        qemu_img("convert", "-f", "qcow2", "-O", "raw", image, home / "disk.raw")
        qemu_img("resize", "-q", "-f", "raw", home / "disk.raw", str(4 * M))
    assert len(starts) == 4
    for name in ("disk", "disk.raw"):
        first, second = (home / name for home in homes)
        assert first.read_bytes() == second.read_bytes()
        assert os.stat(first).st_mode == os.stat(second).st_mode
    assert os.stat(homes[1] / "disk.raw").st_blocks * 512 < M


def test_failure(homes, starts):
    for home in homes:
        result = qemu_info(write_file(home / "disk", b"no image"))
        assert result.code == 1 and os.fspath(home) in result.err
    assert len(starts) == 1


def test_not_kept(homes, starts):
    """Files elsewhere, links and names of this directory inside an image are not covered."""
    elsewhere = write_file(homes[1] / "base", bytes(M))
    for _ in range(2):
        qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", elsewhere, homes[0] / "disk")
    assert len(starts) == 2
    (homes[0] / "disk").unlink()
    os.symlink(elsewhere, homes[0] / "link")
    for _ in range(2):
        create(homes[0])
    assert len(starts) == 4
    (homes[0] / "link").unlink()
    write_file(homes[0] / "names", os.fsencode(homes[0]))
    for _ in range(2):
        create(homes[0])
    assert len(starts) == 6
