# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Prints a table of what the tests reach, and fails if that is too little.

    gate.py SUMMARY.json DIRECTORY all|lines=PERCENT FILE...

`llvm-cov export -summary-only` writes SUMMARY.json. Each FILE of DIRECTORY must be in it: otherwise a
file that no program links would go unnoticed. With `all`, everything that clang counts in any file of
DIRECTORY must be covered; with lines=N, N percent of the lines of each FILE. Headers are
judged by their regions instead of their lines, because clang also counts lines that the preprocessor
has removed, if a file includes an inline function without calling it.
"""
import json
import os
import sys

COUNTED = ("functions", "lines", "regions", "branches", "mcdc")


def load(path, directory):
    with open(path, encoding="utf-8") as f:
        files = json.load(f)["data"][0]["files"]
    here = os.path.abspath(directory) + os.sep
    return {
        os.path.abspath(entry["filename"])[len(here):]: entry["summary"]
        for entry in files
        if os.path.abspath(entry["filename"]).startswith(here)
    }


def cell(counts):
    return "%d/%d" % (counts["covered"], counts["count"])


def enough(name, summary, least_lines):
    if least_lines is None:
        return all(
            summary[what]["covered"] == summary[what]["count"]
            for what in COUNTED
            if what != "lines" or not name.endswith(".h")
        )
    counts = summary["regions" if name.endswith(".h") else "lines"]
    return counts["covered"] * 100 >= least_lines * counts["count"]


def main():
    path, directory, rule, *wanted = sys.argv[1:]
    least_lines = None if rule == "all" else int(rule.removeprefix("lines="))
    found = load(path, directory)
    failed = 0
    print("%-32s" % directory + "".join("%12s" % what for what in COUNTED))
    for name in sorted(set(wanted) | set(found)):
        if name not in found:
            print("%-32s is in no test program" % name)
            failed += 1
            continue
        good = enough(name, found[name], least_lines)
        failed += not good
        print("%-32s" % name + "".join("%12s" % cell(found[name][what]) for what in COUNTED)
              + ("" if good else "  <-- not enough"))
    total = len(set(wanted) | set(found))
    print("%s: %d passed, %d failed" % (directory, total - failed, failed))
    return failed != 0


sys.exit(main())
