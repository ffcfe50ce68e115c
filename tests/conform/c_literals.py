# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Finds the string literals of C sources."""
import re

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|^[ \t]*#[ \t]*(?:include|define)(?:\\\n|[^\n])*'
                   r'|(?P<char>\'(?:\\.|[^\'\\])*\')|"(?P<text>(?:\\.|[^"\\])*)"'
                   r'|(?P<word>\w+)|(?P<mark>[^\s\w])', re.S | re.M)
CONVERSION = re.compile(r"%[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z|j)?[a-zA-Z%]")
ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\", "\\r": "\r"}


def unescape(text):
    return re.sub(r"\\.", lambda match: ESCAPES.get(match[0], match[0]), text)


def literals(source):
    """Yields each literal of a source as (call, text): `call` is the function whose argument it is,
    or None. Adjacent literals are joined, also across a PRIu64 or the like."""
    calls, last_word, text, call = [], None, None, None
    for token in TOKEN.finditer(source):
        if token["text"] is not None:
            if text is None:
                text, call = "", calls[-1] if calls else None
            text += unescape(token["text"])
        elif text is not None and token["word"] and token["word"].startswith("PRI"):
            text += "llu"
        elif token["word"] or token["mark"] or token["char"]:
            if text is not None:
                yield call, text
                text = None
            if token["mark"] == "(":
                calls.append(last_word)
            elif token["mark"] == ")" and calls:
                calls.pop()
            last_word = token["word"]


def pattern(text):
    """A regular expression that matches what printf(3) prints for a literal."""
    return re.compile(".*".join(map(re.escape, CONVERSION.split(text))), re.S)
