# SPDX-License-Identifier: MIT
"""Puts what a run has found into the README, between the lines <!-- NAME --> and <!-- /NAME -->."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
README = os.path.join(HERE, "../../README.md")
PLOT = os.path.join(HERE, "bench.svg")


def update(name, text):
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    with open(README) as f:
        before, rest = f.read().split(begin)
    after = rest.split(end)[1]
    with open(README, "w") as f:
        f.write(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")
