#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Checks that calls and includes go only to lower layers.

    layers.py BUILD-DIR            fails if a call or an include goes up, or sideways
    layers.py BUILD-DIR --edges    prints each of them

layers.txt names every file of the library and its ports, one layer on each line, the lowest first. A
file may call and include what is in a lower layer, and its own header. A call is an undefined symbol
of an object that another object defines; an include is a line `#include "..."`. Calls through
pointers may go up: they are callbacks, and no symbol shows them.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("include", "src", "port/common", "port/crypto", "port/posix", "port/nbdkit", "port/uefi",
           "port/baremetal")
# This only includes the files of src/.
NO_OBJECT = {"port/posix/core.c"}


def sources():
    """Each .c and .h file of the folders, as a path from the top of the tree."""
    found = []
    for folder in FOLDERS:
        for place, _, names in os.walk(folder):
            found += [os.path.join(place, n) for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def read_layers():
    """{file, with or without its suffix: number of its layer}"""
    layers, number = {}, 0
    with open(os.path.join(HERE, "layers.txt"), encoding="utf-8") as f:
        for line in f:
            names = line.split("#")[0].split()
            if not names:
                continue
            number += 1
            prefix = ""
            for name in names:
                if name.endswith(":"):
                    prefix = name[:-1] + "/"
                elif prefix + name in layers:
                    sys.exit("layers.txt names %s twice" % (prefix + name))
                else:
                    layers[prefix + name] = number
    return layers


def stem(path):
    return os.path.splitext(path)[0]


def entry(path, layers):
    """The name of a file in layers.txt: its own, or the one for the .c file and its header."""
    return path if path in layers else stem(path)


def include_edges(files):
    known = set(files)
    for path in files:
        with open(path, encoding="utf-8") as f:
            for name in re.findall(r'^#include "([^"]+)"', f.read(), re.M):
                tries = [os.path.normpath(os.path.join(os.path.dirname(path), name)),
                         os.path.join("include", name)]
                if path.startswith("port/baremetal/"):  # a board has its disk.h in its directory
                    tries += ["port/baremetal/" + name, "port/baremetal/semihosting/" + name]
                for target in tries:
                    if target in known:
                        yield path, target, "includes"
                        break
                else:
                    if not name.startswith(("../../src/", "core_sources")):
                        sys.exit("%s includes %s, which is not here" % (path, name))


def symbols(obj):
    """The symbols that an object defines for others, and those that it needs from them."""
    out = subprocess.run(["nm", "-g", obj], capture_output=True, text=True, check=True).stdout
    defined, needed = set(), set()
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        (needed if kind == "U" else defined).add(name)
    return defined, needed


def call_edges(files, build):
    owner, needs = {}, {}
    for path in files:
        obj = os.path.join(build, stem(path) + ".o")
        if path in NO_OBJECT or not path.endswith(".c"):
            continue
        if not os.path.exists(obj):
            if is_elsewhere(path):
                continue
            sys.exit("%s is not compiled: run `make all programs` first" % path)
        defined, needs[path] = symbols(obj)
        for name in defined:
            owner.setdefault(name, path)
    for path, names in needs.items():
        for name in names:
            if owner.get(name, path) != path:
                yield path, owner[name], "calls " + name + " of"


def is_elsewhere(path):
    """Is this a file without an object here: firmware, a plugin, or a library that this build leaves out?"""
    return re.match(r"src/mem\.c|port/baremetal/|port/nbdkit/|port/crypto/|"
                    r"port/posix/codec/(deflate|zstd)|port/posix/key/crypto_", path) is not None


def main():
    build = sys.argv[1]
    os.chdir(os.path.join(HERE, "../.."))
    files, layers, wrong = sources(), read_layers(), 0
    for name in sorted({entry(p, layers) for p in files} ^ set(layers)):
        wrong += 1
        print("FAILED: %s is %s" % (name, "in layers.txt only" if name in layers
                                    else "not in layers.txt"))
    edges = list(include_edges(files)) + list(call_edges(files, build))
    for source, target, how in edges:
        one, other = entry(source, layers), entry(target, layers)
        a, b = layers.get(one, 0), layers.get(other, 0)
        if "--edges" in sys.argv:
            print("%2d %s %s %d %s" % (a, source, how, b, target))
        if one != other and b >= a:
            wrong += 1
            print("FAILED: %s (layer %d) %s %s (layer %d)" % (source, a, how, target, b))
    print("layers: %d edges of %d files" % (len(edges), len(files)))
    print("%d passed, %d failed" % (1 if wrong == 0 else 0, wrong))
    return wrong != 0


sys.exit(main())
