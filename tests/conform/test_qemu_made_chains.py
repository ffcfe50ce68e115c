# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Backing chains made by QEMU: content, map and info must be the same as those of qemu-img."""
import pytest

from conform import (K, assert_same, assert_same_bytes, assert_same_content, assert_same_map,
                     qcow2_ok, qemu_img, qemu_raw)
from qemu_made import layer

# From the bottom: (format, size, options of create).
CHAINS = {
    "over-raw": [("raw", 300 * K, ""), ("qcow2", 300 * K, "")],
    "over-shorter-raw": [("raw", 100000 // 512 * 512, ""), ("qcow2", 300 * K, "")],
    "over-longer-raw": [("raw", 500 * K, ""), ("qcow2", 99 * K, "")],
    "over-qcow2": [("qcow2", 300 * K, ""), ("qcow2", 300 * K, "")],
    "depth-3": [("raw", 300 * K, ""), ("qcow2", 300 * K, ""), ("qcow2", 300 * K, "")],
    "depth-4": [("raw", 300 * K, ""), ("qcow2", 310 * K, "cluster_size=512"),
                ("qcow2", 290 * K, "cluster_size=4K"), ("qcow2", 400 * K, "")],
    "depth-5": [("qcow2", 300 * K, "compat=0.10"), ("qcow2", 300 * K, "compression_type=zstd"),
                ("qcow2", 300 * K, "extended_l2=on"), ("qcow2", 300 * K, "cluster_size=512"),
                ("qcow2", 300 * K, "")],
    "shorter-middle": [("raw", 400 * K, ""), ("qcow2", 123 * K, ""), ("qcow2", 400 * K, "")],
    "shorter-middle-odd": [("qcow2", 400 * K, ""), ("qcow2", 99 * K + 512, "cluster_size=4K"),
                           ("qcow2", 400 * K, "extended_l2=on,cluster_size=16K")],
    "longer-middle": [("raw", 100 * K, ""), ("qcow2", 500 * K, ""), ("qcow2", 200 * K, "")],
    "empty-middle": [("raw", 300 * K, ""), ("qcow2", 0, ""), ("qcow2", 300 * K, "")],
    "large-over-small-clusters": [("qcow2", 400 * K, "cluster_size=512"),
                                  ("qcow2", 400 * K, "cluster_size=2M")],
    "small-over-large-clusters": [("qcow2", 400 * K, "cluster_size=2M"),
                                  ("qcow2", 400 * K, "cluster_size=512")],
    "extended-over-extended": [("qcow2", 400 * K, "extended_l2=on"),
                               ("qcow2", 300 * K, "extended_l2=on,cluster_size=16K"),
                               ("qcow2", 350 * K, "extended_l2=on,cluster_size=128K")],
    "preallocated": [("raw", 300 * K, ""), ("qcow2", 300 * K, "extended_l2=on,preallocation=metadata")],
}


def chain(directory, layers):
    """Builds the files of a chain. Returns their paths, the top one last."""
    paths = []
    for i, (form, size, options) in enumerate(layers):
        paths.append(layer(directory, i, form, size, options, paths[-1] if paths else None))
    return paths


def given(paths):
    """The options --backing that name each file of a chain."""
    return [f"--backing={path},{path.suffix[1:]}" for path in reversed(paths[:-1])]


@pytest.mark.parametrize("name", CHAINS)
def test_chain(name, tmp_path):
    paths = chain(tmp_path, CHAINS[name])
    assert_same(paths[-1], tmp_path, "--follow")
    assert_same_map(paths[-1], *given(paths))
    assert_same_content(paths[-1], tmp_path, *given(paths))


@pytest.mark.parametrize("name", ["over-raw", "depth-4", "depth-5"])
def test_chain_alone(name, tmp_path):
    """--layer-only reads what QEMU reads after the name of the backing file is removed."""
    top = chain(tmp_path, CHAINS[name])[-1]
    ours = qcow2_ok("cat", "--layer-only", top)
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", "", top)
    assert_same_bytes(qemu_raw(top, tmp_path), ours, "layer")
    assert_same(top, tmp_path)


@pytest.mark.parametrize("how", [(), ("-u",)], ids=["safe", "unsafe"])
def test_rebased(how, tmp_path):
    _, middle, top = chain(tmp_path, CHAINS["depth-3"])
    other = layer(tmp_path, 7, "qcow2", 256 * K, "cluster_size=4K", None)
    qemu_img("rebase", *how, "-f", "qcow2", "-b", other.name, "-F", "qcow2", top.name, cwd=tmp_path)
    middle.unlink()
    assert_same(top, tmp_path, "--follow")


@pytest.mark.parametrize("more", [("-d",), ()], ids=["kept", "emptied"])
def test_committed(more, tmp_path):
    paths = chain(tmp_path, CHAINS["depth-3"])
    qemu_img("commit", "-q", "-f", "qcow2", *more, paths[-1].name, cwd=tmp_path)
    for path in paths[1:]:
        assert_same(path, tmp_path, "--follow")
