# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Writes results into RESULTS.md, between the lines <!-- NAME --> and <!-- /NAME -->."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "RESULTS.md")
PLOT = os.path.join(HERE, "bench.svg")


def update(name, text, path=RESULTS):
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    with open(path) as f:
        before, rest = f.read().split(begin)
    after = rest.split(end)[1]
    with open(path, "w") as f:
        f.write(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")
