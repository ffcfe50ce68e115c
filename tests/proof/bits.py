#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Proves the axioms about bits in acsl.h with Z3 on bit vectors, for each number of bits.

Integers in ACSL do not wrap. All integers here are below 2^128, so bit vectors of 128 bits behave
the same. Fails if a claim is not proved, if an axiom has no claim, or if Z3 proves a wrong one.
"""
import os
import re
import subprocess
import sys

WIDTH = 128
ACSL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "acsl.h")


def number(value):
    return f"(_ bv{value} {WIDTH})"


def low(term):
    """The term converted to uint32_t."""
    return f"(bvand {term} {number(2**32 - 1)})"


def bits_8_13(term):
    return f"(bvurem (bvudiv {term} {number(256)}) {number(64)})"


def below_14(term):
    """The three lowest fields of a cell: extra bits, bits of the next state, the next state."""
    next_state = f"(bvurem (bvudiv {term} {number(16384)}) {number(512)})"
    return f"(bvurem {term} {number(256)})", bits_8_13(term), next_state


def form_claims():
    """Yields the claims about how a cell is put together."""
    zero = number(0)
    either = "(bvor x y)"
    extra, bits, after = below_14(either)
    x_extra, x_bits, x_after = below_14("x")
    fits = f"(bvule {either} {number(2**32 - 1)})"
    for name, limits, parts in (
        ("form", [f"(bvule x {number(31)})", f"(bvule y {number(511 << 23)})",
                  f"(= (bvurem y {number(1 << 23)}) {zero})"], ("x", zero, zero)),
        ("with_bits", [f"(bvule x {number(2**32 - 1)})", f"(= {x_bits} {zero})",
                       f"(bvule y {number(0x3F00)})", f"(= (bvurem y {number(256)}) {zero})"],
         (x_extra, f"(bvudiv y {number(256)})", x_after)),
        ("with_next", [f"(bvule x {number(2**32 - 1)})", f"(= {x_after} {zero})",
                       f"(bvule y {number(511 << 14)})", f"(= (bvurem y {number(16384)}) {zero})"],
         (x_extra, x_bits, f"(bvudiv y {number(16384)})")),
    ):
        equal = " ".join(f"(= {a} {b})" for a, b in zip((extra, bits, after), parts))
        for order in 1, 2:  # | has the same value in both
            yield f"{name}_{order}", f"(=> (and {' '.join(limits)}) (and {fits} {equal}))"
    for bits in 23, 14:
        times = f"(= (bvshl x {number(bits)}) (bvmul x {number(1 << bits)}))"
        yield f"by_2_{bits}", f"(=> (bvule x {number(511)}) {times})"
    yield "not_moved", f"(= (bvshl x {zero}) x)"
    small = f"(bvule x {number(1023)})"
    for n in range(10):
        moved = f"(bvshl x {number(n)})"
        yield "moved", f"(=> {small} (bvule {moved} {number(0x7FFFF)}))"
        if n >= 1:
            half = f"(bvshl x {number(n - 1)})"
            yield "halves", f"(=> {small} (= (bvlshr {moved} {number(1)}) {half}))"
        for log in range(n, 10):
            end = f"(bvadd (bvurem {moved} {number(1 << log)}) {number(1 << n)})"
            yield "aligned", f"(=> {small} (bvule {end} {number(1 << log)}))"


def small_table_claims():
    """Yields the claims about the tables of the small decoder for zstd."""
    for n in range(32):
        power = number(1 << n)
        above = f"(bvuge (bvlshr x {number(n)}) {number(2)})"
        fits = f"(bvule x {number(0xFFFF)})"
        yield "half", f"(=> (and {fits} {above}) (bvule {number(2 << n)} x))"
        if n > 9:
            continue
        moved = f"(bvshl x {number(n)})"
        small = f"(bvule x {number(1023)})"
        yield "doubled", f"(=> {small} (bvule {moved} {number(0x7FFFF)}))"
        yield "doubled", f"(=> {small} (= (bvshl x {number(n + 1)}) (bvmul {number(2)} {moved})))"
        for log in range(n, 10):
            mask, longer = number((1 << n) - 1), number((1 << log) - 1)
            yield "masks", f"(= (bvand {mask} {longer}) {mask})"
            rest = f"(bvand {moved} {number(2**32 - 1 - (1 << log))})"
            most = number((1 << log) - (1 << n))
            yield "next_state", f"(=> (bvult {moved} {number(2 << log)}) (bvule {rest} {most}))"
    yield "rare", f"(= (bvand (bvneg {number(1)}) {number(0xFFFF)}) {number(0xFFFF)})"


def claims():
    """Yields the name of an axiom and its claim for one number of bits. x, y, z have 64 bits."""
    for bits in range(64):
        power = number(2**bits)
        mask = number(2**bits - 1)
        by = number(bits)
        right = f"(bvlshr x {by})"
        for name in "mask", "mask_rest":
            yield name, f"(= (bvand x {mask}) (bvurem x {power}))"
        yield "left", f"(= (bvshl x {by}) (bvmul x {power}))"
        yield "left", f"(bvule x (bvshl x {by}))"
        yield "right", f"(= {right} (bvudiv x {power}))"
        yield "right", f"(bvule {right} x)"
        yield "reach", f"(=> (bvule {power} x) (bvule {number(1)} {right}))"
        yield "down", f"(=> (bvule y {right}) (bvule (bvshl y {by}) x))"
        yield "rest", f"(= (bvsub x (bvshl {right} {by})) (bvurem x {power}))"
        for n in range(bits + 1):
            least = number(2 ** (bits - n))
            yield "less", f"(=> (bvult x {power}) (bvult (bvlshr x {number(n)}) {least}))"
        if bits < 32:
            whole = f"(bvadd (bvmul {low('x')} {number(2**32)}) {low('y')})"
            yield "over32", f"(= (bvurem {whole} {power}) (bvurem {low('y')} {power}))"
            x, y = low("x"), low("y")
            more = f"(bvule (bvshl {x} {by}) (bvshl {y} {by}))"
            yield "scaled", f"(=> (bvule {x} {y}) {more})"
            share, half = f"(bvlshr x {by})", f"(bvlshr x {number(bits + 1)})"
            slots = f"(bvudiv x {number(520)})"
            yield "halved", f"(= {half} (bvudiv {share} {number(2)}))"
            yield "enough", f"(=> (bvuge {share} {number(1040)}) (bvule {number(2 << bits)} {slots}))"
            yield "mask32", f"(= (bvand {low('x')} {low(mask)}) (bvurem x {power}))"
        if bits <= 31:
            taken = f"(bvlshr (bvlshr x {number(1)}) {number(63 - bits)})"
            yield "taken", f"(bvult {taken} {power})"
        if bits <= 11:
            longer = f"(bvshl x {number(11 - bits)})"
            yield "index", f"(=> (bvult x {power}) (bvult {longer} {number(2048)}))"
        if bits <= 24:
            most = number(255 * 2**bits)
            yield "fits", f"(=> (bvule y {number(255)}) (bvule (bvshl y {by}) {most}))"
            yield "byte", f"(= {number(1 << bits + 8)} (bvmul {number(256)} {power}))"
        if bits in (8, 16, 24, 32):
            yield f"by{bits}", f"(= (bvshl x {by}) (bvmul x {power}))"
        if 4 <= bits <= 16:
            rest = f"(bvurem x {number(2 ** (bits + 5))})"
            part = f"(bvlshr {rest} {by})"
            after = f"(bvadd {part} {number(1)})"
            yield "part", f"(= (bvurem (bvlshr {low('x')} {by}) {number(32)}) {part})"
            yield "parts", f"(bvult {part} {number(32)})"
            yield "parts", f"(bvule (bvshl {part} {by}) {rest})"
            yield "parts", f"(bvult {rest} (bvshl {after} {by}))"
        if 17 <= bits <= 29:
            small = f"(bvult x {number(2**30)})"
            yield "packed", f"(bvult (bvsub x (bvshl {right} {by})) {number(2**29)})"
            yield "packed", f"(=> {small} (bvult {right} {number(2**13)}))"
        if 9 <= bits <= 21:
            yield "whole", f"(= (bvshl {number(32)} {number(bits - 5)}) {power})"
            yield "cluster", f"(and (bvule {number(512)} {power}) (bvule {power} {number(2**21)}))"
    yield "high", f"(= (bvlshr x {number(32)}) (bvudiv x {number(2**32)}))"
    yield "low32", f"(= {low('x')} (bvurem x {number(2**32)}))"
    yield "low30", f"(= (bvand x {number(2**30 - 1)}) (bvurem x {number(2**30)}))"
    up = f"(bvadd (bvsub x (bvurem x {number(512)})) {number(504)})"
    by512 = f"(= (bvurem x {number(512)}) {number(0)})"
    by8 = f"(= (bvurem x {number(8)}) {number(0)})"
    yield "last", f"(=> {by8} (= (bvor x {number(504)}) {up}))"
    whole = f"(= (bvurem (bvadd x y) {number(512)}) y)"
    yield "slices", f"(=> (and {by512} (bvult y {number(512)})) {whole})"
    yield "low24", f"(= (bvand x {number(2**24 - 1)}) (bvurem x {number(2**24)}))"
    rest = f"(bvurem {low('x')} {number(512)})"
    yield "sectors", f"(= (bvand x {number(2**32 - 512)}) (bvsub {low('x')} {rest}))"
    yield "either_least", "(and (bvuge (bvor x y) x) (bvuge (bvor x y) y))"
    yield "either", "(bvule (bvor x y) (bvadd x y))"
    yield "in_byte", f"(= (bvand x {number(7)}) (bvurem x {number(8)}))"
    yield "bytes", f"(= (bvlshr x {number(3)}) (bvudiv x {number(8)}))"
    yield "twice", f"(= (bvshl x {number(1)}) (bvmul x {number(2)}))"
    low8 = f"(= (bvand x {number(256)}) {number(0)})"
    yield "above", f"(=> (and (bvult x {number(512)}) {low8}) (bvult x {number(256)}))"
    for name, bits in ("eighth", 3), ("by_256", 8), ("by_16384", 14):
        yield name, f"(= (bvlshr x {number(bits)}) (bvudiv x {number(2**bits)}))"
    for name, bits in ("low4", 4), ("low6", 6), ("low9", 9):
        yield name, f"(= (bvand x {number(2**bits - 1)}) (bvurem x {number(2**bits)}))"
    by64, by16 = (f"(bvurem x {number(n)})" for n in (64, 16))
    yield "same", f"(=> (bvule {by64} {number(9)}) (= {by16} {by64}))"
    yield "top", f"(=> (bvule x {number(255)}) (bvule (bvlshr x {number(6)}) {number(3)}))"
    yield "word_top", f"(bvult (bvlshr x {number(53)}) {number(2048)})"
    yield "table", f"(=> (bvule x {number(3)}) (= (bvshl x {number(8)}) (bvmul x {number(256)})))"
    for n in range(10):
        yield "powers", f"(and (bvule {number(1)} {number(1 << n)}) (bvule {number(1 << n)} {number(512)}))"
        for m in range(n):
            yield "powers", f"(bvule {number(1 << m)} {number(1 << n)})"
    for n in range(7):
        yield "to_64", f"(and (bvule {number(1)} {number(1 << n)}) (bvule {number(1 << n)} {number(64)}))"
    for m in range(1, 16):
        for n in range(12):
            moved = f"(bvshl (bvudiv {number(1 << m)} {number(2)}) {number(n)})"
            even = f"(= (bvurem {moved} {number(2)}) {number(0)})"
            yield "pairs", f"(or (= {moved} {number(1)}) {even})"
    for n in range(9):
        yield "eight", f"(bvule {number(1 << n)} {number(256)})"
    least, whole = number(1), number(2**32)
    negative = f"(and (bvule {least} x) (bvule x {whole}))"
    yield "wraps", f"(=> {negative} (= {low('(bvneg x)')} (bvsub {whole} x)))"
    # Three cells of at most 31 extra bits and at most 9 bits of the next state.
    cells = " ".join(f"(bvule (bvurem {c} {number(256)}) {number(31)})" for c in "xyz")
    nexts = " ".join(f"(bvule {bits_8_13(c)} {number(9)})" for c in "xyz")
    fit = " ".join(f"(bvule {c} {number(2**32 - 1)})" for c in "xyz")
    sums = low(f"(bvadd z {low('(bvadd x y)')})")
    yield "sums", f"(=> (and {fit} {cells} {nexts}) (bvule {bits_8_13(sums)} {number(27)}))"
    yield from form_claims()
    yield from small_table_claims()
    for n in range(4):
        yield "power", f"(and (bvule {number(1)} {number(1 << n)}) (bvule {number(1 << n)} {number(8)}))"
    yield "both", "(and (bvule (bvand x y) x) (bvule (bvand x y) y))"


def prove(claim):
    return f"(push) (assert (not {claim})) (check-sat) (pop)"


def main():
    names, terms = zip(*claims())
    with open(ACSL, encoding="utf-8") as file:
        axioms = set(re.findall(r"axiom (\w+):", file.read()))
    if axioms != set(names):
        sys.exit(f"axioms and claims are not the same: {axioms ^ set(names)}")
    script = ""
    for name in "xyz":
        script += f"(declare-const {name} (_ BitVec {WIDTH}))\n"
        script += f"(assert (bvule {name} {number(2**64 - 1)}))\n"
    script += "\n".join(map(prove, terms)) + "\n"
    script += prove(f"(= (bvand x {number(6)}) (bvurem x {number(7)}))")  # a wrong claim
    run = subprocess.run(["z3", "-in"], input=script, capture_output=True, text=True, check=False)
    answers = run.stdout.split()
    if len(answers) != len(names) + 1 or answers[-1] != "sat":
        sys.exit(f"z3 does not answer as it should: {run.stdout[-200:]}{run.stderr}")
    wrong = {name for name, answer in zip(names, answers) if answer != "unsat"}
    print(f"bits: {len(axioms)} axioms, {len(names)} claims; not proved: {sorted(wrong)}")
    print(f"{len(axioms - wrong)} passed, {len(wrong)} failed")
    sys.exit(bool(wrong))


main()
