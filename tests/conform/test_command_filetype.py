# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Files that are no qcow2 images: the message says what they are."""
import pytest

from conform import K, qcow2, qemu_img, refused, run, write_file


def packed(*program):
    return run(*program, stdin=b"content" * 1000).out


def at(offset, content, size=8 * K):
    return (bytes(offset) + content).ljust(size, b"\0")


FILES = {
    "empty": b"", "packed with gzip; unpack it first": packed("gzip"),
    "packed with xz": packed("xz"), "packed with bzip2": packed("bzip2"),
    "packed with zstd": b"\x28\xb5\x2f\xfd....", "packed with lz4": b"\x04\x22\x4d\x18....",
    "packed with lzip": b"LZIP\1...", "packed with lzop": b"\x89LZO\0\r\n\x1a\n",
    "packed with zip": b"PK\3\4....", "packed with 7-Zip": b"7z\xbc\xaf\x27\x1c",
    "packed with rar": b"Rar!\x1a\x07\0", "a tar archive": at(257, b"ustar\00000"),
    "the format vmdk": b"KDMV\1\0\0\0", "the format vmdk;": b"COWD\1\0\0\0",
    "the description of a vmdk image": b"# Disk DescriptorFile\nversion=1\n",
    "the format vdi": at(64, b"\x7f\x10\xda\xbe"), "the format vpc (VHD)": b"conectix\0\0\0\2",
    "the format vpc (VHD);": at(8 * K - 512, b"conectix\0\0\0\2"), "the format vhdx": b"vhdxfile",
    "the format dmg": at(8 * K - 512, b"koly\0\0\0\4"),
    "the format qed": b"QED\0\0\0\1\0", "the format parallels": b"WithoutFreeSpace",
    "the format parallels;": b"WithouFreSpacExt", "the format bochs": b"Bochs Virtual HD Image\0",
    "a Windows image (wim)": b"MSWIM\0\0\0", "an Android sparse image": b"\x3a\xff\x26\xed\1\0\0\0",
    "an image of partclone": b"partclone-image0001",
    "a pointer of git-lfs; get the file with 'git lfs pull'":
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n",
    "a pointer of git-annex": b"/annex/objects/SHA256E-s7--00.qcow2\n",
    "a signature or a key": b"-----BEGIN PGP SIGNATURE-----\n", "a program (ELF)": b"\x7fELF\2\1\1\0",
    "a squashfs file system": b"hsqs\0\0\0\0", "encrypted with LUKS": b"LUKS\xba\xbe\0\2",
    "an ISO 9660 image": at(32769, b"CD001\1", 40 * K),
    "a raw disk with a GPT": at(512, b"EFI PART"), "a raw disk with a GPT,": at(4096, b"EFI PART"),
    "an NTFS file system": at(3, b"NTFS    "), "an exFAT file system": at(3, b"EXFAT   "),
    "a FAT file system": at(54, b"FAT16   "), "a FAT file system,": at(82, b"FAT32   "),
    "an XFS file system": b"XFSB\0\0\0\0", "ext2, ext3 or ext4": at(1080, b"\x53\xef"),
    "a btrfs file system": at(65600, b"_BHRfS_M", 70 * K), "of LVM": at(512, b"LABELONE"),
    "a raw disk with a boot sector (MBR); raw disks need --format raw": at(510, b"\x55\xaa"),
    "an HTML page; the download went wrong": b"\n<!DOCTYPE HTML PUBLIC>\n<title>404</title>",
    "an HTML page;": b"\xef\xbb\xbf<html>", "an XML file": b"<?xml version='1.0'?><Error/>",
    "a text file, not a disk image": "Grüße\n".encode(),
    "all zeros at its beginning": bytes(64 * K),
}


@pytest.mark.parametrize("what", FILES)
def test_file(what, tmp_path):
    path = write_file(tmp_path / "file", FILES[what])
    words = "not a qcow2 image", "; the file is ", what.rstrip(",;")
    refused(qcow2("info", path), *words)
    refused(qcow2("map", path), *words)
    with open(path, "rb") as stdin:
        refused(qcow2("cat", "-", stdin=stdin), *words)


@pytest.mark.parametrize("form", ("vmdk", "vdi", "vhdx", "vpc", "qed", "parallels"))
def test_image_of_another_format(form, tmp_path):
    qemu_img("create", "-q", "-f", form, tmp_path / "image", "1M")
    refused(qcow2("info", tmp_path / "image"), f"an image in the format {form}")


@pytest.mark.parametrize("content", (b"\1\2\3\4", b"QFI", b"text\0", bytes(100) + b"x", b"\x1b[2J",
                                     bytes(range(256)) * 40))
def test_unknown(content, tmp_path):
    """Nothing is invented: a file that looks like nothing gets no description."""
    path = write_file(tmp_path / "file", content)
    result = qcow2("info", path)
    refused(result, "not a qcow2 image")
    assert ("the file is" in result.err) == (content == b"QFI"), result


def test_cut_magic(tmp_path):
    """Each file cut at a byte of its beginning: no crash, and always a message."""
    for i, content in enumerate(FILES.values()):
        for n in range(1 + i % 5, min(len(content), 20), 7):
            refused(qcow2("info", write_file(tmp_path / "file", content[:n])), "not a qcow2 image")


def test_compare_names_its_option(tmp_path):
    path = write_file(tmp_path / "file", at(510, b"\x55\xaa"))
    for given, needed in ((), "--format"), (("-f", "raw"), "--format-b"):
        result = qcow2("compare", *given, path, path)
        assert result.code == 2 and f"; raw disks need {needed} raw\n" in result.err


def test_no_guess_inside_another_file(tmp_path):
    """The file begins like a tar archive; what is at the given place is something else."""
    path = write_file(tmp_path / "file", at(257, b"ustar\00000"))
    result = qcow2("info", "--image-at=512", path)
    refused(result, "not a qcow2 image")
    assert "the file is" not in result.err
