# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Fixtures of the conformance tests; conform.py has the functions."""
import os
import shutil

import pytest

import conform
import fault_runs
import fault_server
import oracle


@pytest.fixture(scope="session", autouse=True)
def tools(tmp_path_factory):
    """Fails if a tool is missing: no test is skipped. At the end, also ends the server."""
    oracle.base = tmp_path_factory.getbasetemp()
    for tool in (conform.QCOW2, conform.FAULTS, conform.CORE_CAT, conform.MKIMAGE, "qemu-img", "qemu-io",
                 "qemu-nbd", "nbdinfo", "nbdcopy", "nbdkit"):
        assert shutil.which(tool), f"{tool} is missing"
    conform.QCOW2 = os.path.abspath(conform.QCOW2) if "/" in conform.QCOW2 else conform.QCOW2
    yield
    fault_server.end()


@pytest.fixture
def image(tmp_path):
    """The path for the image of a test."""
    return tmp_path / "disk.qcow2"


@pytest.fixture
def build(image):
    """A function that builds the image of a test from a recipe, with its data file beside it."""
    def build_it(recipe, name=None):
        path = image.with_name(name) if name else image
        return conform.make(recipe, path, "-d", path.with_suffix(".raw"))
    return build_it


@pytest.fixture
def home(build, tmp_path):
    """A directory with the files that fault_runs.COMMANDS names."""
    build(fault_runs.DISK, "disk")
    image = build(fault_runs.LISTED, "listed")
    image.with_name("base.raw").write_bytes(bytes(64 * conform.K))
    conform.succeed("qemu-img", "bitmap", "--add", image, "a bitmap")
    image.with_name("old").write_bytes(b"old content")
    image.with_name("old").chmod(0o666)  # not what the umask gives a new file
    return tmp_path
