# SPDX-License-Identifier: MIT
"""The table as a picture: one line for each row, a mark for each reader, by its CPU time divided by
ours on a logarithmic scale. Right of the line in the middle are those that we beat."""
import math
from html import escape

LEFT, WIDTH, STEP, TOP = 290, 640, 22, 60
COLOURS = {"ours": "#d62728", "raw": "#555555", "qemu-img convert": "#1f77b4",
           "qemu-img bench": "#17becf", "qemu-img map": "#1f77b4", "qemu-io": "#1f77b4",
           "libqcow": "#2ca02c", "7zz": "#9467bd", "nbdcopy": "#ff7f0e", "zlib": "#8c564b",
           "libdeflate": "#e377c2", "one thread": "#d6a728"}
LOW, HIGH = 0.1, 1000.0  # of the scale


def x_of(ratio):
    ratio = min(max(ratio, LOW), HIGH)
    return LEFT + WIDTH * math.log(ratio / LOW) / math.log(HIGH / LOW)


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x, bottom, colour):
    return (f'<line x1="{x:.1f}" y1="{TOP - 10}" x2="{x:.1f}" y2="{bottom}" '
            f'stroke="{colour}" stroke-width="1"/>')


def grid(bottom):
    value = LOW
    while value <= HIGH * 1.001:
        x = x_of(value)
        yield rule(x, bottom, "#d62728" if abs(value - 1) < 1e-9 else "#dddddd")
        yield text(x, TOP - 15, f"{value:g}", "middle")
        value *= 10


def mark(x, y, name):
    colour = COLOURS.get(name, "#000000")
    title = f"<title>{escape(name)}</title>"
    if name == "raw":
        return (f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" '
                f'fill="{colour}">{title}</rect>')
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">{title}</circle>'


def legend(y):
    x = 10
    for name in COLOURS:
        words = "yardstick" if name == "raw" else name
        yield mark(x, y, name)
        yield text(x + 9, y + 4, words)
        x += 22 + 6.5 * len(words)


def lines(results):
    y = TOP
    for result in results:
        ours = result.median("ours")
        yield text(LEFT - 12, y + 4, result.row.name, "end")
        for name in result.costs:
            yield mark(x_of(result.median(name) / ours), y, name)
        y += STEP


def write(path, results):
    results = [r for r in results if not r.row.counts]
    bottom = TOP + STEP * len(results)
    width, height = LEFT + WIDTH + 40, bottom + 50
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             text(LEFT, 20, "CPU time of the others, divided by ours: right of 1 we are faster"),
             *grid(bottom), *lines(results), *legend(bottom + 25), "</svg>"]
    with open(path, "w") as f:
        f.write("\n".join(parts) + "\n")
