# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""What tells users of the options: --help, the manual page and the completion of three shells. Each is
compared with the table of options (`qcow2 help --table`), and the examples of the manual are run."""
import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from conform import QCOW2, ROOT, make, qcow2_ok, qemu_img, qemu_io, run, succeed

TOOL = ROOT / "port/posix/tool"
MANUAL = (TOOL / "qcow2.1").read_text()
PAGES = (TOOL / "qcow2.1", ROOT / "port/posix/qcow2.3")


class Option:
    def __init__(self, command, name, letter, argument, words):
        self.command, self.name, self.letter, self.argument = command, name, letter, argument
        self.words = {f"--{name}", *([f"-{letter}"] if letter else [])}


def table():
    """The options of each command, and its operands."""
    options, operands = {}, {}
    for line in qcow2_ok("help", "--table").decode().splitlines():
        command, name, letter, argument, words = line.split("\t")
        if name:
            options[command].append(Option(command, name, letter, argument, words))
        else:
            options[command], operands[command] = [], argument
    return options, operands


@pytest.fixture(scope="module")
def options():
    return table()[0]


def words_of(options):
    return set().union(*(option.words for option in options))


@pytest.fixture
def shell(tmp_path):
    """A function that runs a shell with the command in its PATH, in an empty directory."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/qcow2").symlink_to(os.path.abspath(QCOW2))
    (tmp_path / "work").mkdir(exist_ok=True)
    env = dict(os.environ, PATH=f"{tmp_path}/bin:{os.environ['PATH']}", HOME=str(tmp_path),
               XDG_CONFIG_HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path), TERM="dumb")

    def run_it(*argv):
        assert shutil.which(argv[0]), f"{argv[0]} is missing"
        done = run(*argv, cwd=tmp_path / "work", env=env)
        assert done.code == 0 and done.err == "", done
        return done.out.decode()
    return run_it


# ---- The manual page ----

def options_in(text):
    found = re.findall(r"Fl (-?[A-Za-z][\w-]*(?: , -[\w-]+)*)", text)
    return {"-" + word for words in found for word in words.split(" , ")}


def section(name):
    return re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", MANUAL, re.M | re.S)[1]


def described():
    """For each command, the options that its description names; and those that all commands have."""
    commands, common = section("DESCRIPTION").split("have these options:")
    texts = {part.split("\n")[0]: options_in(part.split("\n.El")[0])
             for part in commands.split("\n.It Cm ")[1:]}
    items = re.findall(r"^\.It (Fl .*)", common, re.M)
    return texts, set().union(*map(options_in, items))


def test_manual_describes_each_option(options):
    texts, common = described()
    assert list(texts) == list(options)
    images = [command for command in options if command not in ("detach", "help", "version")]
    assert common == set.intersection(*(words_of(options[command]) for command in images))
    for command in images:
        own = words_of(options[command]) - common
        assert texts[command] - common == own, command
    for command in ("detach", "help", "version"):
        assert texts[command] == set()


def test_synopsis_has_no_wrong_option(options):
    calls = section("SYNOPSIS").split(".Nm\n.Cm ")[1:]
    assert {call.split("\n")[0] for call in calls} == set(options)
    for call in calls:
        assert options_in(call) <= words_of(options[call.split("\n")[0]]), call


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_is_well_formed(page):
    assert shutil.which("mandoc"), "mandoc is missing"
    done = run("mandoc", "-T", "lint", "-W", "warning", page)
    assert done.out == b"", done.out.decode()


def formatted(start):
    """The commands of the manual page, as a reader sees them."""
    text = succeed("mandoc", "-T", "ascii", "-O", "width=200", TOOL / "qcow2.1").decode()
    text = re.sub(".\b", "", text)
    return [line.strip().strip("`'") for line in text.splitlines() if re.match(start, line)]


EXAMPLES = re.findall(r"^\.Dl (.*)", section("EXAMPLES"), re.M)
PAIRS = re.findall(r"^\.It Ql (qemu-img .*)\n\.Ql (qcow2 .*)", MANUAL, re.M)

# A machine with its state, and an encrypted disk.
MACHINE = "size 4M\nsnapshot 1 saved extra=0 vm_state_size=17000\nl1_entries 2\nl2 8192 data\nactive\n"
SECRET = "size 4M\nencrypt luks password=abc\nl2 0-3 data\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A directory with the files that the commands of the manual page name, and beside it in the files
    `disk` and `whole` what QEMU finds on the disk and on its overlay."""
    home = tmp_path_factory.mktemp("manual") / "work"
    (home / "moved").mkdir(parents=True)
    disk, overlay = home / "disk.qcow2", home / "overlay.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", disk, "4M")
    qemu_io(disk, "write -P 1 0 64k", "write -P 2 1M 300k")
    qemu_img("snapshot", "-c", "before", disk)
    qemu_img("convert", "-O", "raw", disk, home / "old.raw")
    qemu_img("bitmap", "--add", disk, "daily")
    qemu_io(disk, "write -P 3 64k 192k")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "disk.qcow2", "-F", "qcow2", overlay)
    qemu_io(overlay, "write -P 4 2M 64k")
    shutil.copy(disk, home / "moved")
    shutil.copy(disk, home / "partial.qcow2")
    os.truncate(home / "partial.qcow2", disk.stat().st_size - 300000)
    make(MACHINE, home / "machine.qcow2")
    make(SECRET, home / "secret.qcow2")
    (home / "password").write_bytes(b"abc")
    (home / "vm.ovf").write_bytes(b"<Envelope/>")
    with tarfile.open(home / "appliance.ova", "w", format=tarfile.USTAR_FORMAT) as archive:
        for member in ("vm.ovf", "disk.qcow2"):
            archive.add(home / member, member)
    for image, name in ((disk, "disk"), (overlay, "whole")):
        qemu_img("convert", "-O", "raw", image, home.parent / name)
    shutil.copy(home.parent / "disk", home / "copy.raw")
    return home


@pytest.fixture
def files(tmp_path, template):
    return shutil.copytree(template, tmp_path / "work", dirs_exist_ok=True)


def new_files(home, before):
    return {path.name: path.read_bytes() for path in home.iterdir() if path.name not in before}


def test_ten_examples():
    assert len(EXAMPLES) >= 10
    shown = formatted(r" {5,}qcow2 [a-z]+ .*\.(qcow2|raw|log|json)")
    assert all(example in shown for example in EXAMPLES), "the formatter changes an example"


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example, files, template, shell):
    """Each example works as it is printed, and writes what QEMU finds in the image."""
    before = set(os.listdir(files))
    out = shell("bash", "-o", "pipefail", "-c", example)
    made = new_files(files, before)
    assert out or made or "old.raw" in example
    disk, whole = ((template.parent / name).read_bytes() for name in ("disk", "whole"))
    if "old.raw" in example:
        assert (template / "old.raw").read_bytes() != (files / "old.raw").read_bytes() == disk
    if "state" in made:
        assert len(made["state"]) == 17000 and any(made["state"])
    if "disk.raw" in made and "partial" not in example and "secret" not in example:
        assert made["disk.raw"] == (whole if "overlay" in example else disk)
    if "part.raw" in made:
        assert made["part.raw"] == disk[1 << 20:2 << 20]
    if "map.json" in made:
        assert json.loads(made["map.json"])[0]["start"] == 0


@pytest.mark.parametrize("theirs, ours", PAIRS)
def test_coming_from_qemu_img(theirs, ours, files, shell):
    """Both commands write the same file, or print the same facts."""
    before = set(os.listdir(files))
    printed, written = [], []
    for line in (theirs, ours):
        printed.append(shell("bash", "-c", line))
        written.append(new_files(files, before))
        for name in written[-1]:
            (files / name).unlink()
    assert written[0] == written[1]
    if "check" in theirs:
        assert json.loads(printed[0]).items() <= json.loads(printed[1]).items()
    elif "json" in theirs:
        facts = [[(one.get("start"), one.get("length"), one.get("filename")) for one in json.loads(text)]
                 for text in printed]
        assert facts[0] == facts[1]
    elif "compare" in theirs:
        assert printed == ["Images are identical.\n", "The disks are equal.\n"]
    elif not written[0]:
        name = "before" if "snapshot" in theirs else "4 MiB (4194304 bytes)"
        assert all(name in text for text in printed)


def test_pairs_are_all_found():
    assert len(PAIRS) == section("COMING FROM QEMU-IMG").count(".It Ql") >= 9


# ---- Completion ----

BASH = """source %s
compopt() { COMPREPLY=(files); }
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qcow2; echo "${COMPREPLY[@]}"; }
""" % (TOOL / "completion/qcow2.bash")


def bash_completes(shell, *calls):
    """The words that bash offers for the last word of each call."""
    lines = ["complete_words " + " ".join(f"'{word}'" for word in call) for call in calls]
    out = shell("bash", "--norc", "-c", BASH + "\n".join(lines))
    return [set(line.split()) for line in out.splitlines()]


def fish_completes(shell, *calls):
    lines = ["complete -C '%s'; echo ==" % " ".join(call) for call in calls]
    script = f"source {TOOL}/completion/qcow2.fish\n" + "\n".join(lines)
    out = shell("fish", "--no-config", "-c", script)
    return [{line.split("\t")[0] for line in part.splitlines()} for part in out.split("==\n")[:-1]]


ZSH = """_call_program() { shift; "$@"; }
_describe() { print -rl -- "${(@P)2}"; }
_arguments() { print -rl -- "$@"; }
complete_words() { words=("$@"); CURRENT=$#; _qcow2; print -r -- "=="; }
words=(qcow2 ''); CURRENT=2
source %s >/dev/null
""" % (TOOL / "completion/qcow2.zsh")


def zsh_specs(shell, *calls):
    """What zsh gets as the options and operands of a call."""
    lines = ["complete_words " + " ".join(f"'{word}'" for word in call) for call in calls]
    out = shell("zsh", "-f", "-c", ZSH + "\n".join(lines))
    return [part.splitlines() for part in out.split("==\n")[:-1]]


def test_each_shell_completes_each_option(options, shell):
    calls = [("qcow2", command, "-") for command in options]
    bash, zsh = bash_completes(shell, *calls), zsh_specs(shell, *calls)
    fish = fish_completes(shell, *calls)
    for command, in_bash, in_zsh, in_fish in zip(options, bash, zsh, fish):
        words = words_of(options[command])
        assert in_bash == words, command
        assert {match[1] for match in (re.match(r"\*(--?[\w-]+?)(?:=-?|\+|-)?\[", spec)
                                       for spec in in_zsh) if match} == words, command
        # fish also offers --follow= beside --follow.
        assert {word.rstrip("=") for word in in_fish} == words, command


def test_each_shell_completes_commands(options, shell):
    for call in (("qcow2", ""), ("qcow2", "help", "")):
        offered = bash_completes(shell, call)[0]
        assert {word for word in offered if word[0] != "-"} == set(options)
        assert fish_completes(shell, call) == [set(options)]
    assert {line.split(":")[0] for line in zsh_specs(shell, ("qcow2", ""))[0]} == set(options)
    help_words = zsh_specs(shell, ("qcow2", "help", ""))[0]
    assert f"*:command:({' '.join(options)})" in help_words


def choices(argument):
    """The values that an option can have, as a set, if --help lists them."""
    return None if re.search("[A-Z]", argument) else set(argument.strip("[=]").split("|"))


def test_each_shell_completes_values(options, shell):
    (Path(shell("sh", "-c", "pwd").strip()) / "file").touch()
    some = [option for options_of in options.values() for option in options_of if option.argument]
    bash = bash_completes(shell, *(("qcow2", option.command, f"--{option.name}", "=") for option in some))
    for option, offered in zip(some, bash):
        files = {"files"} if "FILE" in option.argument else set()
        assert offered == (choices(option.argument) or files), option.name
    given = [option for option in some if option.argument[0] != "["]
    fish = fish_completes(shell, *(("qcow2", option.command, f"--{option.name}", "") for option in given))
    for option, offered in zip(given, fish):
        files = {"file"} if "FILE" in option.argument else set()
        assert offered == (choices(option.argument) or files), option.name
    for command in options:
        specs = zsh_specs(shell, ("qcow2", command, ""))[0]
        for option in (one for one in some if one.command == command):
            spec = next(spec for spec in specs if spec.startswith(f"*--{option.name}="))
            values = choices(option.argument)
            end = (f":({' '.join(option.argument.strip('[=]').split('|'))})" if values
                   else ":_files" if "FILE" in option.argument else ": ")
            assert spec.endswith(end), spec


def test_each_shell_completes_images(shell):
    (Path(shell("sh", "-c", "pwd").strip()) / "disk.qcow2").touch()
    operands = table()[1]
    calls = [("qcow2", command, "d") for command in operands if command != "help"]
    for call, in_bash, in_fish, in_zsh in zip(calls, bash_completes(shell, *calls),
                                              fish_completes(shell, *calls), zsh_specs(shell, *calls)):
        takes_files = "IMAGE" in operands[call[1]]
        assert in_bash == ({"files"} if takes_files else set()), call
        assert in_fish == ({"disk.qcow2"} if takes_files else set()), call
        assert ("*:file:_files" in in_zsh) == takes_files, call


def test_zsh_takes_the_specs(tmp_path, shell):
    """In a zsh with its own completion, in a terminal."""
    (tmp_path / "functions").mkdir()
    shutil.copy(TOOL / "completion/qcow2.zsh", tmp_path / "functions/_qcow2")
    # ^Xs lets the completion write what it inserts, and ends the shell.
    script = f"""zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'fpath=({tmp_path}/functions $fpath); autoload -Uz compinit; compinit -D -u'
zpty -w shell 'show() {{ zle complete-word; print -r -- "$BUFFER" >{tmp_path}/answer; exit }}'
zpty -w shell 'zle -N show; bindkey "^Xs" show; clear'
zpty -n -w shell 'qcow2 info --backing-ch'$'\\x18s'
while zpty -r shell line; do :; done
"""
    shell("zsh", "-f", "-c", script)
    assert (tmp_path / "answer").read_text() == "qcow2 info --backing-chain \n"


def test_installed_files(tmp_path):
    """`make -n install` names each completion file and where shells look for it."""
    plan = succeed("make", "-n", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr").decode()
    for source, target in (("bash", "bash-completion/completions/qcow2"),
                           ("zsh", "zsh/site-functions/_qcow2"),
                           ("fish", "fish/vendor_completions.d")):
        line = f"completion/qcow2.{source} {tmp_path}/usr/share/{target}\n"
        assert line in plan, line
