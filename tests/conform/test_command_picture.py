# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""`qcow2 map --summary`, `--picture` and `--svg`: each shows the bytes that `map --json` lists."""
import collections
import fcntl
import json
import os
import pty
import random
import re
import struct
import subprocess
import termios
import xml.etree.ElementTree as ElementTree

import pytest

from conform import K, M, QCOW2, ROOT, qcow2, qcow2_json, qcow2_ok, refused, start

SVG = "{http://www.w3.org/2000/svg}"
KINDS = {"damaged": "damaged", "data": "data", "compressed data": "compressed",
         "data of backing file 1": "backing1", "data of backing file 2": "backing2",
         "data of backing file 3": "backing3", "data of deeper ones": "backing4", "zeros": "zero",
         "absent": "absent"}
PLAIN = {"!": "damaged", "-": "zero", "·": "absent", ".": "absent", "1": "backing1",
         "2": "backing2", "3": "backing3", "4": "backing4",
         **dict.fromkeys("▁▂▃▄▅▆▇█:+#", "data"), **dict.fromkeys("░▒▓cC", "compressed")}


def environment(**changed):
    """An environment in which only these variables choose how the picture looks."""
    chosen = ("LC_ALL", "LC_CTYPE", "LANG", "COLUMNS", "NO_COLOR", "TERM")
    return {**{k: v for k, v in os.environ.items() if k not in chosen}, **changed}


def picture(image, *args, **changed):
    changed = changed or {"LC_ALL": "C.UTF-8"}
    return qcow2_ok("map", "--picture", *args, image, env=environment(**changed)).decode()


def svg(*args):
    return ElementTree.fromstring(qcow2_ok("map", "--svg", "-", *args))


def kind_of(entry):
    """The kind in the picture of an entry of map --json."""
    if entry.get("damaged"):
        return "damaged"
    if entry["zero"] and not entry["compressed"]:
        return "zero" if entry["present"] else "absent"
    if entry["depth"]:
        return f"backing{min(entry['depth'], 4)}"
    return "compressed" if entry["compressed"] else "data"


def cells_of(entries, cell):
    """The bytes of each kind in each cell of this size."""
    cells = collections.defaultdict(collections.Counter)
    for entry in entries:
        at, end = entry["start"], entry["start"] + entry["length"]
        while at < end:
            n = min(end, (at // cell + 1) * cell) - at
            cells[at // cell][kind_of(entry)] += n
            at += n
    return [cells[i] for i in range(len(cells))]


@pytest.fixture
def chain(build, image):
    """A disk with all kinds in many pieces, over five more files."""
    draw = random.Random(7)
    for depth in range(5, -1, -1):
        lines = ["cluster_bits 12", f"size {3 * M + 5 * K}"]
        if depth < 5:
            lines.append(f'backing "{depth + 1}" qcow2')
        for cluster in range(769):
            what = draw.choice(["data", "compressed", "zero"] + ["absent"] * (2 + 3 * depth))
            if what != "absent" and cluster < 640:
                lines.append(f"l2 {cluster} {what}")
        build("\n".join(lines) + "\n", image.name if depth == 0 else str(depth))
    return image


@pytest.fixture
def damaged(build):
    """A disk with all kinds in many pieces, where entries of the tables are bad."""
    draw = random.Random(11)
    kinds = ["data", "compressed", "zero", "absent"] * 7 + ["raw 1<<63|1<<40"]
    clusters = [n for n in range(6144) if n // 64 not in (5, 70)]
    return build("version 3\ncluster_bits 9\nsize 3M\nl1 5 1<<63|1<<40\nl1 70 1<<63|1<<40\n"
                 + "".join(f"l2 {n} {draw.choice(kinds)}\n" for n in clusters))


def damage_shown(image, *args, **more):
    """What `map` prints of a damaged disk. Each form reports the damage in the same way."""
    done = qcow2("map", *args, image, **more)
    bad = [entry for entry in json.loads(qcow2("map", "--json", image).out) if "damaged" in entry]
    assert done.code == 1 and done.err == (
        f"qcow2: {image}: damaged ranges: {len(bad)}, {sum(entry['length'] for entry in bad)} bytes "
        f"in all; the first: {bad[0]['reason']}\n")
    return done.out


def assert_sums(summary, entries):
    """Checks map --summary --json against map --json."""
    sums = {}
    for entry in entries:
        kind = "compressed" if entry["compressed"] else kind_of(entry)
        kind = "data" if kind.startswith("backing") else kind
        n, length = sums.get((kind, entry["depth"]), (0, 0))
        sums[kind, entry["depth"]] = n + 1, length + entry["length"]
    assert {(row["kind"], row["depth"]): (row["entries"], row["length"])
            for row in summary["kinds"]} == sums
    assert summary["entries"] == len(entries)
    assert summary["length"] == sum(entry["length"] for entry in entries)


def test_summary(chain):
    entries = qcow2_json("map", "--follow", chain)
    summary = qcow2_json("map", "--summary", "--follow", chain)
    assert_sums(summary, entries)
    assert summary["length"] == 3 * M + 5 * K
    head, *rows, total = qcow2_ok("map", "--summary", "--follow", chain).decode().splitlines()
    assert head.split() == ["KIND", "DEPTH", "ENTRIES", "BYTES", "SHARE"]
    assert [row.split()[:4] for row in rows] == [
        [row["kind"], str(row["depth"]), str(row["entries"]), str(row["length"])]
        for row in summary["kinds"]]
    assert total.split() == ["total", str(len(entries)), str(3 * M + 5 * K), "100", "%"]
    assert abs(sum(float(row.split()[4]) for row in rows) - 100) < 1
    assert len({len(row) for row in [head, *rows]}) == 1


def test_summary_for_people(build):
    image = build("cluster_bits 16\nsize 1024M\nl2 0-2 data\nl2 5 zero\n")
    assert qcow2_ok("map", "--summary", "--human", image).decode() == (
        "KIND       DEPTH    ENTRIES       SIZE    SHARE\n"
        "data           0          1    192 KiB  < 0.1 %\n"
        "zero           0          1     64 KiB  < 0.1 %\n"
        "absent         0          2      1 GiB > 99.9 %\n"
        "total                     4      1 GiB    100 %\n")


def test_summary_of_damage(damaged):
    summary = json.loads(damage_shown(damaged, "--summary", "--json"))
    assert_sums(summary, json.loads(damage_shown(damaged, "--json")))
    row = summary["kinds"][-1]
    assert row["kind"] == "damaged" and summary["length"] == 3 * M
    assert damage_shown(damaged, "--summary").decode().splitlines()[-2].split()[:4] == [
        "damaged", "0", str(row["entries"]), str(row["length"])]
    assert damage_shown(damaged).endswith(f", {row['length']} damaged\n".encode())
    assert b" KiB damaged\n" in damage_shown(damaged, "--human")


SMALL = "cluster_bits 12\nsize 64k\nl2 0-4 data\nl2 5 compressed\nl2 8 zero\nl2 9 data\n"
LEGEND = """
           ▁▂▃▄▅▆▇█ data                       24 KiB   37.5 %
           ░▒▓      compressed data             4 KiB    6.2 %
           -        zeros                       4 KiB    6.2 %
           ·        absent                     32 KiB   50.0 %
"""


def test_picture_as_text(build):
    """On a narrow terminal, a row has eight characters: here, each is 1 KiB."""
    image = build(SMALL)
    title, rest = picture(image, LANG="de_DE.utf8", COLUMNS="20").split("\n\n", 1)
    assert title == f"{image}: 64 KiB; a row is 8 KiB, a character is 1 KiB"
    cells = "█" * 20 + "▓" * 4 + "·" * 8 + "-" * 4 + "█" * 4 + "·" * 24
    rows = [f"{8 * i:3} {'KiB' if i else '  B'}  {cells[8 * i:8 * i + 8]}".rjust(19) for i in range(8)]
    assert rest == "\n".join(rows).replace("0   B", "  0 B") + "\n" + LEGEND
    for locale in ({"LANG": "de_DE"}, {}, {"LC_ALL": "C", "LANG": "C.UTF-8"}):
        plain = qcow2_ok("map", "--picture", image, env=environment(COLUMNS="20", **locale)).decode()
        assert plain.isascii()
        assert "".join(re.findall("  ([#C.-]{8})\n", plain)) == cells.translate(
            str.maketrans("█▓·", "#C."))


def assert_shows(shown, entries, columns):
    """Checks each character: it is of a kind that its cell has, and as high as its share of data."""
    title, rest = shown.split("\n\n", 1)
    rows, legend = rest.split("\n\n")
    rows = [row[11:] for row in rows.splitlines()]
    assert len({len(row) for row in rows[:-1]}) <= 1 and len(rows[-1]) <= len(rows[0])
    assert len(rows) <= 8 and len(rows[0]) + 11 <= max(columns, 19)
    number, unit = re.search(r"a character is (\d+) (B|KiB)$", title).groups()
    cells = cells_of(entries, int(number) * (K if unit == "KiB" else 1))
    assert sum(map(len, rows)) == len(cells)
    for char, cell in zip("".join(rows), cells):
        data = {kind: n for kind, n in cell.items() if kind not in ("zero", "absent")}
        if "damaged" in data:
            assert char == "!", (char, cell)
            continue
        assert cell[PLAIN[char]] == max((data or cell).values()), (char, cell)
        share = sum(data.values()) / sum(cell.values())
        if PLAIN[char] == "data":
            assert "▁▂▃▄▅▆▇█"[int(share * 7)] == char
        elif PLAIN[char] == "compressed":
            assert "░▒▓"[int(share * 2)] == char
    sums = sum(cells, collections.Counter())
    assert [KINDS[line[20:43].strip()] for line in legend.splitlines()] == [
        kind for kind in KINDS.values() if sums[kind]]


@pytest.mark.parametrize("columns", (1, 19, 27, 80, 119, 3000))
def test_picture_shows_the_map(columns, chain):
    shown = picture(chain, "--follow", LC_ALL="en_US.UTF-8", COLUMNS=str(columns))
    assert_shows(shown, qcow2_json("map", "--follow", chain), columns)


def test_picture_of_damage(damaged):
    """Damage is not hidden by what else a cell has."""
    shown = damage_shown(damaged, "--picture", env=environment(LC_ALL="C.UTF-8", COLUMNS="80"))
    assert 0 < shown.count(b"!") < 384
    assert_shows(shown.decode(), json.loads(qcow2("map", "--json", damaged).out), 80)
    shown = damage_shown(damaged, "--picture", "--color=always", env=environment(LC_ALL="C.UTF-8"))
    assert b"\033[0;1;38;5;231;48;5;160m!" in shown


def test_picture_with_colors(build):
    """A cell of two kinds and no gap has one as its background; the colours end with each row."""
    build("cluster_bits 9\nsize 64k\nl2 0-63 data\n", "base")
    image = build('cluster_bits 9\nsize 64k\nbacking "base" qcow2\nl2 0 data\nl2 3 data\n'
                  "l2 2 data\nl2 6-7 zero\n")
    shown = picture(image, "--follow", "--color=always", LC_ALL="C.UTF-8", COLUMNS="20")
    assert shown.split("\n\n")[1].splitlines()[0] == (
        "      0 B  \033[0;38;5;32;48;5;36m▄\033[0;38;5;32m█\033[0;38;5;36m█\033[0;38;5;245m-"
        "\033[0;38;5;36m████\033[0m")
    assert "\033" not in picture(image, "--follow", "--color=never")
    assert "\033" not in picture(image, "--follow", "--color=auto")


def on_terminal(image, columns, lines, *args, **changed):
    """The standard output of `map --picture` on a terminal of this size."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with start(QCOW2, "map", "--picture", *args, image, stdout=end,
               env=environment(**{"LC_ALL": "C.UTF-8", "TERM": "xterm", **changed})) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(main, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(main)
    return shown.decode().replace("\r\n", "\n")


def test_picture_on_a_terminal(build):
    image = build("cluster_bits 16\nsize 1024M\nl2 0-99 data\n")
    shown = on_terminal(image, 130, 50, COLUMNS="20")
    assert "\033[0;38;5;32m" in shown
    rows = re.sub("\033[^m]*m", "", shown).split("\n\n")[1].splitlines()
    assert {len(row) for row in rows[:-1]} == {11 + 96} and len(rows) == 22
    for more, changed in (((), {"NO_COLOR": "1"}), (("--color=never",), {}), ((), {"TERM": "dumb"})):
        shown = on_terminal(image, 80, 10, *more, **changed)
        assert "\033" not in shown and len(shown.split("\n\n")[1].splitlines()) == 8
    assert "\033" in on_terminal(image, 80, 24, "--color=always", NO_COLOR="1")
    assert "\033" in on_terminal(image, 80, 24, NO_COLOR="")


def test_picture_of_an_empty_disk(build):
    image = build("cluster_bits 12\nsize 0\n")
    assert picture(image) == f"{image}: an empty disk\n"
    assert svg(image).get("height")


def test_picture_of_a_huge_disk(build):
    """A cluster of 1 EiB is seen, and the rest is not called all of it."""
    image = build(f"cluster_bits 21\nsize {1 << 60}\nl2 {(1 << 59) >> 21} data\n")
    shown = picture(image)
    assert shown.count("▁") == 2 and "< 0.1 %" in shown and "> 99.9 %" in shown
    assert "a row is 128 PiB, a character is 2 PiB" in shown
    trace, = svg(image).findall(f".//{SVG}path[@class='trace data']")
    assert trace.get("d").count("M") == 1


# ---- SVG ----

def area(path):
    """The area of a path of rectangles, and their boxes."""
    data = path.get("d")
    boxes = [tuple(map(float, box)) for box in
             re.findall(r"M(-?[\d.]+) (-?[\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", data)]
    assert len(boxes) == data.count("M") == data.count("z")
    return sum(width * height for _, _, width, height in boxes), boxes


def assert_shares(root, entries):
    """Checks that the area of each kind is its share of the disk, and that no two kinds overlap."""
    sums = collections.Counter()
    for entry in entries:
        sums[kind_of(entry)] += entry["length"]
    areas, boxes = {}, []
    for path in root.findall(f".//{SVG}path"):
        name, _, kind = path.get("class").partition(" ")
        if name == "cells":
            areas[kind], more = area(path)
            boxes += more
    assert areas.keys() == sums.keys()
    whole, size = sum(areas.values()), sum(sums.values())
    for kind, part in areas.items():
        assert abs(part / whole - sums[kind] / size) < 1e-4, kind
    rows = {round(y // 1) for _, y, _, _ in boxes}
    assert max(rows) < int(root.get("height"))
    # The boxes cover the rows once: their area is that of the rows.
    per_byte = 7 * 18 / 2048  # a cell of 7 by 18 pixels is 2 KiB
    assert abs(whole - size * per_byte) < whole * 1e-4


def test_svg_has_the_shares_of_the_map(chain):
    assert_shares(svg("--follow", chain), qcow2_json("map", "--follow", chain))


def test_svg_of_damage(damaged, tmp_path):
    """Damage has its share, and a mark as high as the cell where that is smaller; it has no place."""
    entries = json.loads(qcow2("map", "--json", damaged).out)
    drawn = damage_shown(damaged, "--svg", "-")
    root = ElementTree.fromstring(drawn)
    assert_shares(root, entries)
    marks, = root.findall(f".//{SVG}path[@class='trace damaged']")
    partly = [cell for cell in cells_of(entries, 2 * K) if 0 < cell["damaged"] < 2 * K]
    boxes = area(marks)[1]
    assert len(boxes) == len(partly) > 50 and {box[2:] for box in boxes} == {(7, 18)}
    assert not root.findall(f".//{SVG}path[@class='bins damaged']")
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert any(text.endswith(" KiB of damage.") for text in texts)
    assert any(text.endswith("damage all of it.") for text in texts)
    assert damage_shown(damaged, "--svg", tmp_path / "out.svg") == b""
    assert (tmp_path / "out.svg").read_bytes() == drawn


def test_svg_legend_and_description(chain):
    root = svg("--follow", chain)
    desc = root.find(f"{SVG}desc").text
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    summary = [line for line in desc.splitlines() if ": " in line]
    assert len(summary) == 8 and all(line in texts for line in summary)
    assert root.find(f"{SVG}title").text == f"Map of the disk in {chain}"
    assert root.get("role") == "img" and root.get("aria-labelledby") == "title desc"
    style = root.find(f"{SVG}style").text
    for kind in KINDS.values():
        assert len(re.findall(r"^\.%s\{fill:#[0-9a-f]{6}\}" % kind, style, re.M)) == 2, kind


def test_svg_plot(chain):
    """Each part of the disk that has a place in a file marks the bin for it, and no other is marked."""
    entries = qcow2_json("map", "--follow", chain)
    height = max((chain.with_name(name)).stat().st_size
                 for name in [chain.name, "1", "2", "3", "4", "5"])
    marked = set()
    for path in svg("--follow", chain).iter(f"{SVG}path"):
        if path.get("class").startswith("bins"):
            for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
                marked |= {(int(x) + i, int(y)) for i in range(int(run))}
    wanted = set()
    for entry in entries:
        for at in range(0, entry["length"], 512) if "offset" in entry else ():
            wanted.add((int((entry["start"] + at) / (3 * M + 5 * K) * 448),
                        int((entry["offset"] + at) / height * 176)))
    assert wanted <= marked
    for x, y in marked:
        assert any((x + dx, y + dy) in wanted for dx in (-1, 0, 1) for dy in (-1, 0, 1)), (x, y)


def test_svg_is_bounded(build):
    """Scattered clusters of 512 bytes: as many map entries as clusters, but not as many shapes."""
    draw = random.Random(3)
    clusters = draw.sample(range(16384), 8192)
    image = build("cluster_bits 9\nsize 8M\n" + "".join(f"l2 {n} data\n" for n in clusters))
    out = qcow2_ok("map", "--svg", "-", image)
    assert len(qcow2_json("map", image)) > 8000
    assert len(out) < 400 * K
    ElementTree.fromstring(out)


def test_svg_of_compressed_data_alone():
    """The map has no places for compressed data: there is no plot, and the picture says so."""
    root = svg(ROOT / "tests/data/sample.qcow2")
    assert any("has a place" in (text.text or "") for text in root.iter(f"{SVG}text"))
    assert not root.findall(f".//{SVG}path[@class='grid']")


@pytest.mark.parametrize("name", (b"<b>&amp;\"'.qcow2", b"\x1b[31m\xff\x01\n", b"\xef\xbf\xbe\xef\xbf\xbf",
                                  "\u202eäöü]]>".encode(), b"long" * 50))
def test_svg_escapes_names(name, build, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), name)
    os.rename(build("size 64k\nl2 0 data\n"), path)
    out = qcow2_ok("map", "--svg", "-", name, cwd=tmp_path)
    assert all(byte >= 32 or byte == 10 for byte in out)
    title = ElementTree.fromstring(out).find(f"{SVG}title").text
    assert len(title) < 400 and "\u202e" not in title
    if b"<" in name:
        assert title.endswith(name.decode())


def test_svg_to_a_file(build, tmp_path):
    """The file appears when it is complete; an input file is never replaced."""
    image = build(SMALL)
    assert qcow2_ok("map", "--svg", tmp_path / "out.svg", image) == b""
    assert (tmp_path / "out.svg").read_bytes() == qcow2_ok("map", "--svg", "-", image)
    before = image.read_bytes()
    refused(qcow2("map", "--svg", image, image), "input file")
    refused(qcow2("map", "--svg", tmp_path / "no" / "out.svg", image), "out.svg")
    assert image.read_bytes() == before


@pytest.mark.parametrize("two", ("--json --human", "--json --picture", "--json --svg=x",
                                 "--summary --picture", "--summary --svg=x", "--picture --svg=x"))
def test_options_that_exclude_each_other(two, build):
    result = qcow2("map", *two.split(), build(SMALL))
    names = [option.split("=")[0] for option in two.split()]
    assert result.code == 2 and f"{names[0]} and {names[1]} cannot be combined" in result.err


def test_color_takes_three_words(build):
    result = qcow2("map", "--picture", "--color=yes", build(SMALL))
    assert result.code == 2 and "--color: yes; expected always, auto or never" in result.err


def test_readme_shows_the_picture_of_the_sample():
    readme = (ROOT / "port/posix/tool/README.md").read_text()
    shown = subprocess.run([QCOW2, "map", "--picture", "tests/data/sample.qcow2"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, env=environment(LC_ALL="C.UTF-8", COLUMNS="60")).stdout.decode()
    for line in shown.splitlines():
        assert not line or f"    {line}\n" in readme, line
