# SPDX-License-Identifier: MIT
"""Fixtures of the conformance tests. The helpers are in conform.py."""
import os
import shutil

import pytest

import conform


@pytest.fixture(scope="session", autouse=True)
def tools():
    """A tool that is missing is a failure: nothing is skipped."""
    for tool in (conform.QCOW2, conform.FAULTS, conform.MKIMAGE, "qemu-img", "qemu-io"):
        assert shutil.which(tool), f"{tool} is missing"
    conform.QCOW2 = os.path.abspath(conform.QCOW2) if "/" in conform.QCOW2 else conform.QCOW2


@pytest.fixture
def image(tmp_path):
    """Where the image of a test goes."""
    return tmp_path / "disk.qcow2"


@pytest.fixture
def build(image):
    """Builds the image of a test from a recipe, with its data file beside it."""
    def build_it(recipe, name=None):
        path = image.with_name(name) if name else image
        return conform.make(recipe, path, "-d", path.with_suffix(".raw"))
    return build_it
