# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Draws the table as a plot: one line for each row, one mark for each reader, placed by its cost
divided by ours on a logarithmic scale. Readers right of the line at 1 are slower than we are."""
import math
from html import escape

LEFT, WIDTH, RIGHT, STEP, TOP = 300, 610, 160, 20, 84
LOW, HIGH = 0.1, 1000.0  # the ends of the scale

# The mark of each reader. Readers of one program share a colour.
MARKS = {
    "raw": ("square", "#444444"),
    "qemu-img convert": ("circle", "#1f77b4"),
    "qemu-img bench": ("ring", "#1f77b4"),
    "qemu-img map": ("diamond", "#1f77b4"),
    "qemu-io": ("square", "#1f77b4"),
    "nbdcopy": ("circle", "#ff7f0e"),
    "libqcow": ("circle", "#2ca02c"),
    "7zz": ("circle", "#9467bd"),
    "zlib": ("diamond", "#8c564b"),
    "libdeflate": ("diamond", "#e377c2"),
    "one thread": ("ring", "#d62728"),
}
OTHER = ("ring", "#000000")


def x_of(ratio):
    return LEFT + WIDTH * math.log(ratio / LOW) / math.log(HIGH / LOW)


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def rule(x, bottom, colour, width):
    return (f'<path d="M{x:.1f} {TOP - 12}V{bottom}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def grid(bottom):
    for power in range(-1, 4):
        value = 10.0 ** power
        x = x_of(value)
        yield rule(x, bottom, "#d62728" if power == 0 else "#cccccc", 1.5 if power == 0 else 1)
        yield text(x, TOP - 18, f"{value:g}", "middle")
    for value in (0.2, 0.5, 2, 5, 20, 50, 200, 500):
        yield rule(x_of(value), bottom, "#eeeeee", 1)


def mark(x, y, name):
    shape, colour = MARKS.get(name, OTHER)
    title = f"<title>{escape(name)}</title>"
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y}" r="4.5" fill="{colour}">{title}</circle>'
    if shape == "ring":
        return (f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="white" stroke="{colour}" '
                f'stroke-width="2">{title}</circle>')
    if shape == "diamond":
        return (f'<path d="M{x:.1f} {y - 6}l6 6l-6 6l-6-6z" fill="{colour}">{title}</path>')
    return (f'<path d="M{x - 4:.1f} {y - 4}h8v8h-8z" fill="{colour}">{title}</path>')


def legend(names, y):
    x = 12
    for name in names:
        words = "yardstick (pread, cp, ...)" if name == "raw" else name
        yield mark(x, y, name)
        yield text(x + 10, y + 4, words)
        x += 32 + 5.9 * len(words)


def stripes(n):
    for y in range(TOP - STEP // 2, TOP - STEP // 2 + n * STEP, 2 * STEP):
        yield f'<path d="M0 {y}h{LEFT + WIDTH + RIGHT}v{STEP}H0z" fill="#f6f8fa"/>'


def marks(results):
    y = TOP
    for result in results:
        ours = result.median("ours")
        yield text(LEFT - 10, y + 4, result.row.name, "end")
        for name in result.costs:
            ratio = result.median(name) / ours
            if name != "ours" and LOW <= ratio <= HIGH:
                yield mark(x_of(ratio), y, name)
        if result.met() is not None:
            words = f"{result.ratio(result.row.against):.2f}, goal {result.row.limit:g}"
            colour = "#1a7f37" if result.met() else "#cf222e"
            yield text(LEFT + WIDTH + 22, y + 4, words, more=f' fill="{colour}"')
        y += STEP


def write(path, results, caption):
    """The caption is a list of lines."""
    results = [r for r in results if not r.row.counts]
    used = {name for r in results for name in r.costs}
    bottom = TOP + STEP * len(results) - STEP // 2
    width, height = LEFT + WIDTH + RIGHT, bottom + 34 + 14 * len(caption)
    head = "Cost of the others divided by ours, logarithmic: right of the red line we are faster"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="11">',
             f'<path d="M0 0h{width}v{height}H0z" fill="white"/>',
             text(12, 20, head, more=' font-size="14" font-weight="bold"'),
             text(LEFT + WIDTH + 22, TOP - 18, "our ratio, goal"),
             *legend([n for n in MARKS if n in used], 42),
             *stripes(len(results)), *grid(bottom), *marks(results)]
    parts += [text(12, bottom + 24 + 14 * i, words) for i, words in enumerate(caption)]
    with open(path, "w") as f:
        f.write("\n".join([*parts, "</svg>"]) + "\n")
