# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Changes the core in one place at a time, and checks that the unit tests notice.

    mutate.py [--max N] [--seed S] [--jobs N] [--seconds N] [--log FILE] [--build DIR]
              [--lines A-B] [--least PERCENT] FILE...

A mutant has another relational, logical or arithmetic operator, a constant plus or minus 1, a
condition that is always or never true, or lacks a statement. A change that does not compile, or that
gives the same object code at -O2, is no mutant. Two mutants with the same object code share a
verdict. A mutant of a header, or of a file that a test includes, is compiled into all files that
include it. A mutant is killed if a test fails, crashes or takes several times its processor time.
All tests must pass without a mutant. A mutant that does not link is an error, because it shows
nothing about the tests, and so is a compiler that crashes. The script also fails if less than PERCENT
of the mutants are killed. Mutants in the list below count as not killed.

For each mutant, only the tests that reach the changed line run; gcov knows which. The order is
pseudo-random, so that the first N mutants, or those of the first N seconds, are a fair sample. With a
log, a run continues an earlier one: killed mutants are not tried again, survivors are.

Each survivor must be in survivors.txt beside this script, with the reason why no test can or need
notice it. A | in a line is written as \\|:

    FILE | MUTATION | the line of source, without its indentation | reason

There is no line number, so that an entry stays valid when lines are added. An entry whose line is no
longer in FILE is an error.
"""
import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

CC = os.environ.get("CC", "gcc")
# A variable that a mutant leaves unset holds a pattern, so that a test can notice its use.
FLAGS = ["-std=c11", "-Iinclude", "-Itests", "-ftrivial-auto-var-init=pattern"]
HERE = os.path.dirname(os.path.abspath(__file__))
# One failed test kills a mutant: the program need not run the others.
os.environ["CMOCKA_TEST_ABORT"] = "1"

# The test programs that are most likely to notice a mutant of a file run first. All others follow, the
# quick ones before the slow ones.
FIRST = {
    "bitmap": ["bitmap"],
    "block": ["arguments", "block"],
    "cache": ["cache", "chain", "read"],
    "chain": ["map", "chain"],
    "deflate": ["inflate_format", "inflate_stream"],
    "extension": ["extension"],
    "feature": ["extension"],
    "header": ["open"],
    "image": ["open", "arguments"],
    "inflate_small": ["inflate_format", "inflate_stream"],
    "inflate_fast": ["inflate_format", "inflate_stream"],
    "internal": ["map", "open", "read"],
    "io": ["read", "faults"],
    "map": ["map", "data_file", "chain"],
    "mem": ["mem"],
    "reader": ["read", "arguments", "chain"],
    "refcount": ["refcount"],
    "snapshot": ["snapshot"],
    "status": ["status"],
    "unpack": ["compressed", "codecs"],
    "wide": ["open", "map"],
    "xxh64": ["zstd_stream"],
    "zstd_small": ["zstd_format", "zstd_stream"],
    "zstd_small_bits": ["zstd_format", "zstd_stream"],
    "zstd_small_fse": ["zstd_format"],
    "zstd_small_literals": ["zstd_format"],
    "zstd_small_sequences": ["zstd_format"],
    "walk": ["check"],
    **{"check" + part: ["check"]
       for part in ("", "_bitmap", "_count", "_map", "_strict", "_table", "_walk")},
}

ZSTD_FAST = ["src/zstd_fast%s.c" % part for part in ("", "_fse", "_literals", "_sequences")]
ZSTD_SMALL = ["src/zstd_small%s.c" % part
              for part in ("", "_bits", "_fse", "_literals", "_sequences")]

TOKEN = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
      |(?P<word>[A-Za-z_]\w*)
      |(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
      |(?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^<>=!~?:;,.(){}\[\]])
    """,
    re.S | re.M | re.X,
)

OPERATORS = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"],
    "<<": [">>"], ">>": ["<<"], "&": ["|"], "|": ["&"], "^": ["|"],
    "+=": ["-=", "="], "-=": ["+=", "="], "|=": ["&=", "="], "&=": ["|=", "="],
    "<<=": [">>="], ">>=": ["<<="], "*=": ["="], "^=": ["="], "++": ["--"], "--": ["++"],
}


class Mutant:
    def __init__(self, path, text, start, end, new, what):
        self.path, self.what = path, what
        self.line = text.count("\n", 0, start) + 1
        self.lines = range(self.line, text.count("\n", 0, end) + 2)
        self.column = start - text.rfind("\n", 0, start)
        self.source = text.splitlines()[self.line - 1].strip()
        self.text = text[:start] + new + text[end:]
        self.verdict = None

    def key(self):
        return (self.path, self.what, self.source)

    def rank(self, seed):
        """The order is a hash of the place, so that a sample hardly changes when the source does."""
        text = "%d %s %d" % (seed, self.key(), self.column)
        return hashlib.sha256(text.encode()).hexdigest()

    def digest(self):
        return hashlib.sha256((self.path + self.text).encode()).hexdigest()

    def __str__(self):
        return "%s:%d: %s | %s" % (self.path, self.line, self.what, self.source)


def tokens_of(text):
    return [m for m in TOKEN.finditer(text) if m.lastgroup != "skip"]


def closing(tokens, i):
    """The index of the bracket that closes tokens[i]."""
    depth = 0
    for k in range(i, len(tokens)):
        depth += tokens[k].group() in "([{"
        depth -= tokens[k].group() in ")]}"
        if depth == 0:
            return k
    raise ValueError("unbalanced")


def is_binary(tokens, i):
    """Does the operator tokens[i] have a left operand? Those in casts and declarations do not."""
    before = tokens[i - 1]
    if before.lastgroup == "number" or before.group() == "]":
        return True
    if before.lastgroup == "word":
        return before.group() not in ("return", "case", "sizeof") and not is_type(before.group())
    if before.group() == ")":
        depth, k = 0, i - 1
        while k >= 0:
            depth += tokens[k].group() == ")"
            depth -= tokens[k].group() == "("
            if depth == 0:
                break
            k -= 1
        inside = [t.group() for t in tokens[k + 1:i - 1]]
        return not inside or not is_type(inside[0])
    return False


def is_type(word):
    return word.endswith("_t") or word in (
        "int", "unsigned", "char", "bool", "void", "const", "struct", "enum", "static", "inline",
        "inflate_word", "long", "short")


def bodies(tokens):
    """The tokens inside functions and enums: [first, last] of each body."""
    i = 0
    while i < len(tokens):
        if tokens[i].group() == "{":
            end = closing(tokens, i)
            if tokens[i - 1].group() == ")" or "enum" in (tokens[i - 1].group(), tokens[i - 2].group()):
                yield i, end
            i = end
        i += 1


def conditions(tokens, i, text, path):
    """Makes `if (...)`, `while (...)` and the middle of `for (...)` always or never true."""
    word = tokens[i].group()
    if word not in ("if", "while", "for") or tokens[i + 1].group() != "(":
        return
    end = closing(tokens, i + 1)
    first, last = i + 2, end
    if word == "for":
        stops = [k for k in range(i + 2, end) if tokens[k].group() == ";"]
        first, last = stops[0] + 1, stops[1]
    if first >= last:
        return
    start, stop = tokens[first].start(), tokens[last - 1].end()
    for value in ("1",) if word != "if" else ("0", "1"):
        yield Mutant(path, text, start, stop, value, "%s (%s)" % (word, value))
    if word != "if":
        yield Mutant(path, text, start, stop, "0", "%s (0)" % word)


def operators(tokens, i, text, path):
    token = tokens[i]
    if token.lastgroup == "op" and token.group() in OPERATORS:
        if token.group() in "+-*&" and not is_binary(tokens, i):
            return
        for new in OPERATORS[token.group()]:
            yield Mutant(path, text, token.start(), token.end(), new,
                         "%s to %s" % (token.group(), new))
    if token.lastgroup == "number":
        for sign in "+-":
            yield Mutant(path, text, token.start(), token.end(), "(%s %s 1)" % (token.group(), sign),
                         "%s %s 1" % (token.group(), sign))
    if token.group() == "!" and tokens[i + 1].group() != "=":
        yield Mutant(path, text, token.start(), token.end(), "", "! dropped")
    if token.group() in ("true", "false"):
        new = "false" if token.group() == "true" else "true"
        yield Mutant(path, text, token.start(), token.end(), new, "%s to %s" % (token.group(), new))


def deletions(tokens, i, text, path):
    """Deletes a statement that is an assignment, a call or a jump."""
    if tokens[i - 1].group() not in ";{}" or tokens[i].lastgroup != "word":
        if not (tokens[i - 1].group() == ")" and tokens[i].lastgroup == "word"
                and text[tokens[i - 1].end():tokens[i].start()].count("\n")):
            return
    word = tokens[i].group()
    if is_type(word) or word in ("if", "for", "while", "do", "switch", "case", "default", "return",
                                 "else"):
        return
    end = i
    while tokens[end].group() not in ";{}":
        end += 1
    statement = [t.group() for t in tokens[i:end]]
    if tokens[end].group() != ";" or (len(statement) > 1 and tokens[i + 1].lastgroup == "word"):
        return
    yield Mutant(path, text, tokens[i].start(), tokens[end].end(), ";",
                 "%s deleted" % " ".join(statement[:4]))


def mutants_of(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    tokens = tokens_of(text)
    for first, last in bodies(tokens):
        for i in range(first + 1, last):
            yield from operators(tokens, i, text, path)
            yield from conditions(tokens, i, text, path)
            yield from deletions(tokens, i, text, path)


def run(command, limit=120):
    """The exit status of a command that gets `limit` seconds of processor time, and the time it took.

    Wall time would mean little on a machine that does other work as well.
    """
    limited = ["sh", "-c", 'ulimit -c 0; ulimit -t "$0"; exec "$@"', str(limit), *command]
    with subprocess.Popen(limited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def digest(paths):
    """A hash of object files: equal if their contents are."""
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            total.update(hashlib.sha256(f.read()).digest())
    return total.hexdigest()


class Bench:
    """The objects that do not change, and the order in which test programs run."""

    def __init__(self, build, sources, n_jobs):
        self.build, self.n_jobs = build, n_jobs
        shutil.rmtree(build, ignore_errors=True)
        os.makedirs(build)
        self.core, self.seconds, self.verdicts = {}, {}, {}
        # The files to compile for a mutant that cannot be compiled alone.
        self.users = {"src/internal.h": sources, "src/mem.c": ["tests/unit/test_mem.c"],
                      "src/deflate.h": ["src/inflate_small.c", "src/inflate_fast.c"],
                      "src/zstd_format.h": [*ZSTD_SMALL, "src/xxh64.c", *ZSTD_FAST],
                      "src/zstd_small.h": ZSTD_SMALL,
                      "src/zstd_fast.h": ZSTD_FAST, "src/zstd_fast_bits.h": ZSTD_FAST,
                      "src/load_store.h": ["src/inflate_fast.c", *ZSTD_FAST],
                      "src/walk.h": sorted(glob.glob("src/check*.c"))}
        units = sorted(glob.glob("tests/unit/*.c"))
        tests = [p for p in units if os.path.basename(p).startswith("test_")]
        common = [p for p in units if p not in tests] + sorted(glob.glob("tests/support/*.c"))
        common += ["tests/image/%s.c" % n for n in ("image", "image_finish", "pack")]
        jobs = [(p, self.object_path(p)) for p in common + tests + sources]
        with ThreadPoolExecutor(self.n_jobs) as pool:
            for (path, _), rc in zip(jobs, pool.map(lambda j: compile_c(*j), jobs)):
                if rc != 0:
                    sys.exit("%s does not compile" % path)
        self.common = [self.object_path(p) for p in common]
        self.tests = {t[t.index("test_") + 5:-2]: self.object_path(t) for t in tests}
        for p in sources:
            self.core[p] = self.object_path(p)

    def object_path(self, path):
        return os.path.join(self.build, path.replace("/", "_")[:-2] + ".o")

    def order(self, path):
        first = FIRST.get(os.path.basename(path)[:-2], [])
        others = sorted((t for t in self.tests if t not in first), key=self.seconds.get)
        return first + others

    def objects(self, test):
        return [self.tests[test], *self.common, *self.core.values()]

    def link(self, test, changed, program, *more):
        """changed: {object: the one to link in its place}"""
        objects = [changed.get(o, o) for o in self.objects(test)]
        return run([CC, *more, *objects, "-lcmocka", "-lz", "-lzstd", "-o", program])[0]

    def fails_unchanged(self, test):
        """What is wrong with a test program on the unchanged core, or None if it passes."""
        program = os.path.join(self.build, "unchanged_" + test)
        if self.link(test, {}, program) != 0:
            return "does not link"
        status, self.seconds[test] = run([program])
        return "fails" if status != 0 else None

    def check_unchanged(self):
        """Checks that no test fails without a mutant: it would kill all mutants."""
        with ThreadPoolExecutor(self.n_jobs) as pool:
            wrong = ["without a mutant, test_%s %s" % (test, what)
                     for test, what in zip(self.tests, pool.map(self.fails_unchanged, self.tests))
                     if what]
        if wrong:
            sys.exit("\n".join(wrong))

    def look_at_reach(self):
        """Finds which tests run which line of code: {path: {line: tests}}."""
        directory = os.path.join(self.build, "reach")
        os.makedirs(directory)
        self.reach = {}
        objects = {o: os.path.join(directory, os.path.basename(o)) for o in self.core.values()}
        for path, obj in self.core.items():
            if run([CC, *FLAGS, "-O0", "--coverage", "-c", path, "-o", objects[obj]])[0] != 0:
                sys.exit("%s does not compile with --coverage" % path)
        for test in self.tests:
            program = os.path.join(directory, test)
            if self.link(test, objects, program, "--coverage") != 0:
                sys.exit("test_%s does not link with --coverage" % test)
            run([program], 600)
            for name in [f for f in os.listdir(directory) if f.endswith(".gcda")]:
                self.add_reach(test, directory, name)
                os.remove(os.path.join(directory, name))

    def add_reach(self, test, directory, name):
        done = subprocess.run(["gcov", "--json-format", "--stdout", os.path.join(directory, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        for file in json.loads(done.stdout)["files"]:
            lines = self.reach.setdefault(file["file"], {})
            for line in file["lines"]:
                tests = lines.setdefault(line["line_number"], set())
                if line["count"] != 0:
                    tests.add(test)

    def reaches(self, test, mutant):
        lines = self.reach.get(mutant.path, {})
        known = [lines[n] for n in mutant.lines if n in lines]
        return not known or any(test in tests for tests in known)

    def limit(self, test):
        """The limit in seconds of processor time; at least 1, the least that can be set."""
        return 2 + int(2 * self.seconds[test])

    def verdict_of_tests(self, mutant, changed, directory):
        program = os.path.join(directory, "program")
        for test in self.order(mutant.path):
            if not changed.keys() & set(self.objects(test)) or not self.reaches(test, mutant):
                continue
            if self.link(test, changed, program) != 0:
                return "not linked"
            if run([program], self.limit(test))[0] != 0:
                return "killed"
        return "survived"

    def compile_mutant(self, mutant, directory):
        """Returns {object: the mutant's object}, or a text that says why there is none."""
        changed = {}
        # The same names in another directory, so that the path makes no difference in the object code.
        for path in {mutant.path, *self.users.get(mutant.path, ())}:
            os.makedirs(os.path.join(directory, os.path.dirname(path)), exist_ok=True)
            shutil.copy(path, os.path.join(directory, path))
        with open(os.path.join(directory, mutant.path), "w", encoding="utf-8") as f:
            f.write(mutant.text)
        for i, path in enumerate(self.users.get(mutant.path, [mutant.path])):
            obj = os.path.join(directory, "%d.o" % i)
            rc = compile_c(os.path.join(directory, path), obj,
                           ["-Isrc", "-Itests/unit", "-ffile-prefix-map=%s/=" % directory])
            if rc != 0:
                # Status 1 is an error in the source; any other is a failure of the compiler.
                return "not compiled" if rc == 1 else "compiler failed"
            changed[self.object_path(path)] = obj
        return changed

    def judge_in_time(self, mutant, deadline):
        if mutant.verdict is None:
            if time.monotonic() >= deadline:
                mutant.verdict = "not judged"
            else:
                self.judge(mutant)
        return mutant

    def judge(self, mutant):
        with tempfile.TemporaryDirectory(dir=self.build) as directory:
            changed = self.compile_mutant(mutant, directory)
            if isinstance(changed, str):
                mutant.verdict = changed
                return mutant
            if digest(changed.values()) == digest(changed):
                mutant.verdict = "same code"
                return mutant
            code = mutant.path, digest(changed.values())
            if code not in self.verdicts:
                self.verdicts[code] = self.verdict_of_tests(mutant, changed, directory)
            mutant.verdict = self.verdicts[code]
        return mutant


def compile_c(path, obj, more=()):
    return run([CC, *FLAGS, "-O2", "-w", *more, "-c", path, "-o", obj])[0]


def judge_all(bench, mutants, args):
    """Judges the mutants, except those that the log has as killed, and logs each verdict."""
    known = {}
    if args.log and os.path.exists(args.log):
        with open(args.log, encoding="utf-8") as f:
            known = dict(line.rstrip("\n").split(" ", 1) for line in f)
    for mutant in mutants:
        if known.get(mutant.digest()) in ("killed", "not compiled", "same code"):
            mutant.verdict = known[mutant.digest()]
    deadline = time.monotonic() + (args.seconds or float("inf"))
    with open(args.log or os.devnull, "a", encoding="utf-8") as log, \
            ThreadPoolExecutor(args.jobs) as pool:
        for mutant in pool.map(lambda m: bench.judge_in_time(m, deadline), mutants):
            if mutant.verdict == "survived":
                print("  alive: %s" % mutant, flush=True)
            if mutant.verdict != "not judged" and mutant.digest() not in known:
                print(mutant.digest(), mutant.verdict, file=log, flush=True)


def listed():
    """Reads survivors.txt: {(file, mutation, line): reason}. A mistake in it ends the program."""
    entries, path = {}, os.path.join(HERE, "survivors.txt")
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = [part.strip() for part in line.replace(r"\|", "\0").split(" | ")]
            parts = [part.replace("\0", "|") for part in parts]
            if len(parts) != 4 or not all(parts):
                sys.exit("%s:%d: not FILE | MUTATION | LINE | REASON" % (path, number))
            file, what, source, reason = parts
            with open(file, encoding="utf-8") as src:
                if source not in (text.strip() for text in src):
                    sys.exit("%s:%d: %s has no such line" % (path, number, file))
            entries[file, what, source] = reason
    return entries


def percent(part, whole):
    return 100 * part / whole if whole else 0.0


def report(mutants, entries, files, least):
    def having(*verdicts):
        return [m for m in mutants if m.verdict in verdicts]

    killed, alive = having("killed"), having("survived")
    news = [m for m in alive if m.key() not in entries]
    errors = ["survived, and not listed: %s" % m for m in news]
    errors += ["%s: %s" % (m.verdict, m) for m in having("not linked", "compiler failed")]
    print("%-20s %8s %8s %8s %8s %8s" % ("", "mutants", "killed", "listed", "survived", "rate"))
    for path in files:
        n_killed, n_alive, n_news = (sum(m.path == path for m in some)
                                     for some in (killed, alive, news))
        if n_killed + n_alive:
            print("%-20s %8d %8d %8d %8d %7.1f%%" % (
                path, n_killed + n_alive, n_killed, n_alive - n_news, n_news,
                percent(n_killed, n_killed + n_alive)))
    print("no mutants: %d that do not compile, %d of the same code" % (
        len(having("not compiled")), len(having("same code"))))
    if having("not judged"):
        print("out of time: %d of %d are not judged" % (len(having("not judged")), len(mutants)))
    total, unlisted = len(killed) + len(alive), len(killed) + len(news)
    rate = percent(len(killed), total)
    print("killed: %d of %d, %.1f %%; %d of %d, %.1f %%, without those in the list" % (
        len(killed), total, rate, len(killed), unlisted, percent(len(killed), unlisted)))
    if total == 0:
        errors.append("no mutant was judged")
    elif rate < least:
        errors.append("killed: %.1f %%, and not %g" % (rate, least))
    for error in errors:
        print(error)
    print("%d passed, %d failed" % (len(killed) + len(alive) - len(news), len(errors)))
    return bool(errors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--lines", default="")
    parser.add_argument("--build", default="build/mutation")
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    os.environ.setdefault("TEST_BRIEF", "1")
    entries = listed()
    mutants = [m for path in args.files for m in mutants_of(path)]
    if args.lines:
        first, last = map(int, args.lines.split("-"))
        mutants = [m for m in mutants if first <= m.line <= last]
    mutants.sort(key=lambda m: m.rank(args.seed))
    if args.max:
        mutants = mutants[:args.max]
    core = sorted("src/" + f for f in os.listdir("src") if f.endswith(".c") and f != "mem.c")
    bench = Bench(os.path.abspath(args.build), core, args.jobs)
    bench.check_unchanged()
    bench.look_at_reach()
    judge_all(bench, mutants, args)
    mutants.sort(key=lambda m: (m.path, m.line, m.column))
    return report(mutants, entries, args.files, args.least)


sys.exit(main())
