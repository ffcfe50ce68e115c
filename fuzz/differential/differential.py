#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Compares this library with qemu-io on images of the seed generator, the mutator and the fuzzers.

    differential.py --build DIR --mkimage FILE --seconds N [--seed N] [--corpus DIR]... [--keep DIR]
    differential.py --build DIR IMAGE...

The images are plain, encrypted (the password is always "abc"), compressed, of version 1, or have
bitmaps. Both readers must open an image or both must refuse it, and cluster by cluster both must read the same
bytes or both must fail. Known differences have rules. Any other difference is printed, its image is
kept in DIR, and the exit status is 1. For some images with bitmaps, qemu-nbd must also export the
dirty ranges that this library finds. No image can make either reader open another file, because
the command line names all files.
"""
import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter

E_TRUNCATED, E_HEADER, E_LUKS = -54, -48, -58
RANGES_MAX = 160
PIECE = 4096
PASSWORD = 'abc'
DIRTY_SHARE = 3  # of the images that have bitmaps, one of so many

# The known differences in opening: the name of the rule, and a function that takes our status (or
# 0), QEMU's message (or "") and the top layer, and returns True if the rule explains them.
# read_rule() has the rules for reading.
OPEN_RULES = [
    ('P10: the refcount table or the snapshot table is damaged: we open the disk, QEMU does not',
     lambda ours, qemu, top: ours == 0 and re.search(r'(?i)refcount|reference count|snapshot', qemu)),
    ('P19: the bitmaps are damaged: we open the disk, QEMU does not',
     lambda ours, qemu, top: ours == 0 and re.search(r'(?i)bitmap', qemu)),
    ('P14: the backing name of version 1 is behind 4 GiB: we refuse it, QEMU reads it as zeros',
     lambda ours, qemu, top: ours == E_HEADER and qemu == '' and top.version == 1 and top.get(8, 4) != 0),
    ('P14: a backing name of 0 bytes of version 1 is near 2^63 or behind it: we ignore it, QEMU does not',
     lambda ours, qemu, top: ours == 0 and top.version == 1 and top.get(16, 4) == 0 and
     top.get(8, 4) >= 0x7fffffff and 'Input/output error' in qemu),
    ('P27: the place of a LUKS slot is just below 2^32 sectors: we refuse it, QEMU does not',
     lambda ours, qemu, top: ours == E_LUKS and qemu == '' and max(top.luks_places()) > 0xffffffff - 504),
]


class Layer:
    """The fields of the header of an image that this program uses."""

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as f:
            self.bytes = f.read()
        self.is_qcow2 = len(self.bytes) >= 72 and self.bytes[:4] == b'QFI\xfb'
        self.format = 'qcow2' if self.is_qcow2 else 'raw'
        self.size = len(self.bytes)
        self.incompatible = self.crypt = 0
        self.names_backing = False
        if not self.is_qcow2:
            return
        self.version = self.get(4, 4)
        self.bits = self.get(20, 4)
        self.size = self.get(24, 8)
        self.crypt = self.get(32, 4)
        if self.version == 1:
            self.format = 'qcow'
            self.bits = self.get(32, 1)
            self.crypt = self.get(36, 4)
        if self.version >= 3 and len(self.bytes) >= 104:
            self.incompatible = self.get(72, 8)
        self.names_backing = self.get(8, 8) != 0 and self.get(16, 4) != 0

    def get(self, pos, n):
        return int.from_bytes(self.bytes[pos:pos + n].ljust(n, b'\0'), 'big')

    def has_data_file(self):
        return self.incompatible & 4 != 0

    def entry_len(self):
        return 16 if self.incompatible & 16 else 8

    def extension(self, wanted):
        """The payload of a header extension, or None."""
        pos = self.get(100, 4) if self.version == 3 else 72
        for _ in range(16):
            kind, length = self.get(pos, 4), self.get(pos + 4, 4)
            if kind in (0, wanted):
                return self.bytes[pos + 8:pos + 8 + length] if kind else None
            pos += 8 + (length + 7) // 8 * 8
        return None

    def bitmap_names(self):
        """The names in the bitmap directory, as far as it makes sense; at most 3."""
        payload = self.extension(0x23852875) if self.is_qcow2 and self.version == 3 else None
        if payload is None or len(payload) != 24:
            return
        n, _, pos = struct.unpack('>QQQ', payload)
        for _ in range(min(n >> 32, 3)):
            name_len, extra_len = self.get(pos + 18, 2), self.get(pos + 20, 4)
            start = pos + 24 + extra_len
            if start + name_len > len(self.bytes):
                return
            yield self.bytes[start:start + name_len]
            pos = (start + name_len + 7) // 8 * 8

    def luks_places(self):
        """The sectors where the slots of the LUKS header have their key material."""
        header = int.from_bytes((self.extension(0x0537be77) or bytes(8))[:8], 'big')
        return [self.get(header + 208 + 48 * slot + 40, 4) for slot in range(8)]

    def tables(self):
        """The number of L1 entries, and of entries in each L2 table."""
        if self.version != 1:
            return self.get(36, 4), (1 << self.bits) // self.entry_len()
        l2_bits = min(self.get(33, 1), 13)
        return -(-self.size >> (self.bits + l2_bits)), 1 << l2_bits

    def clusters(self):
        """The guest clusters to compare: those with an entry, and their neighbours."""
        if not self.is_qcow2 or not 9 <= self.bits <= 21:
            return
        n, per_table = self.tables()
        l1 = self.get(40, 8)
        for i in range(min(n, 4096)):
            entry = self.get(l1 + 8 * i, 8) if l1 + 8 * i < len(self.bytes) else 0
            if entry == 0:
                continue
            yield i * per_table
            yield i * per_table + per_table - 1
            table = entry if self.version == 1 else entry & 0x00fffffffffffe00
            for k in range(per_table):
                pos = table + k * self.entry_len()
                if pos >= len(self.bytes):
                    break
                if any(self.bytes[pos:pos + self.entry_len()]):
                    yield i * per_table + k
                    yield i * per_table + k + 1


def ranges_of(layers):
    """The ranges to compare: (offset, length) in the disk of the first layer, in sectors."""
    top = layers[0]
    size = top.size - top.size % 512
    found = {}
    for layer in layers:
        if not layer.is_qcow2 or not 9 <= layer.bits <= 21:
            continue
        cluster = 1 << layer.bits
        n = max(1, -(-size // cluster))
        special = [0, 1, n - 1]
        if n <= 64:
            special += range(n)
        special += sorted(set(layer.clusters()))[:400]
        for index in special:
            if not 0 <= index < n:
                continue
            start = index * cluster
            steps = [0] if cluster <= PIECE else [0, cluster - 512]
            if layer.incompatible & 16:
                steps = range(0, cluster, cluster // 32 * 3)
            for step in steps:
                length = min(cluster if cluster <= PIECE else 512, size - start - step)
                if length > 0:
                    found[(start + step, length)] = True
    all_ranges = list(found)
    if len(all_ranges) > RANGES_MAX:
        stride = len(all_ranges) / RANGES_MAX
        all_ranges = [all_ranges[int(i * stride)] for i in range(RANGES_MAX)]
    return all_ranges


# ---- The two readers ----

def qemu_node(layers, data_path):
    layer = layers[0]
    node = {'driver': layer.format, 'file': {'driver': 'file', 'filename': layer.path}}
    if layer.format != 'raw':
        node['backing'] = qemu_node(layers[1:], data_path) if len(layers) > 1 else None
        if layer.has_data_file():
            node['data-file'] = {'driver': 'file', 'filename': data_path}
        if layer.crypt in (1, 2):
            method = 'aes' if layer.crypt == 1 else 'luks'
            node['encrypt'] = {'format': method, 'key-secret': 'key'}
    return node


def qemu_name(layers, data_path):
    return 'json:' + json.dumps(qemu_node(layers, data_path))


SECRET = ['--object', 'secret,id=key,data=' + PASSWORD]


def ask_qemu(layers, data_path, ranges):
    """None and a message, or a list with the bytes of each range, or None for an error."""
    commands = ''.join('read -v %d %d\n' % r for r in ranges) + 'quit\n'
    p = subprocess.run(['qemu-io', *SECRET, '-r', qemu_name(layers, data_path)], timeout=60,
                       input=commands.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       check=False)
    parts = p.stdout.decode('latin-1').split('qemu-io> ')
    if len(parts) < len(ranges) + 2:
        return None, parts[0].strip() or 'died: %d' % p.returncode
    answers = []
    for part, (_, length) in zip(parts[1:], ranges):
        if 'read failed' in part:
            answers.append(None)
            continue
        got = b''.join(bytes.fromhex(line.split(':  ', 1)[1].split('  ')[0])
                       for line in part.splitlines() if re.match(r'[0-9a-f]{8,}:  ', line))
        if len(got) != length:
            raise RuntimeError('qemu-io: %r' % part[:300])
        answers.append(got)
    return answers, ''


def our_arguments(program, layers, data_path):
    args = [program]
    for layer in layers:
        args += [layer.format, layer.path]
    if layers[0].has_data_file():
        args += ['data', data_path]
    return args + ['key', PASSWORD]


def ask_ours(program, layers, data_path, ranges):
    """{'strict'|'lenient': (status, message or size, [(status, bytes or None)])}"""
    args = our_arguments(program, layers, data_path)
    p = subprocess.run(args, input=''.join('%d %d\n' % r for r in ranges).encode(), timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if p.returncode != 0:
        raise RuntimeError('%r: %d %s' % (args, p.returncode, p.stderr[-2000:].decode()))
    out, at, answers = p.stdout, 0, {}
    for way in ('strict', 'lenient'):
        end = out.index(b'\n', at)
        name, status, rest = out[at:end].decode('latin-1').split(' ', 2)
        assert name == way
        at = end + 1
        reads = []
        for _, length in ranges if status == '0' else ():
            end = out.index(b'\n', at)
            one, at = int(out[at:end]), end + 1
            data = None
            if one == 0 and way == 'lenient':
                data, at = out[at:at + length], at + length
            reads.append((one, data))
        answers[way] = (int(status), rest, reads)
    return answers


def joined(ranges, end):
    """Joins ranges (start, length, dirty) that continue each other, up to `end` of the disk."""
    result = []
    for start, length, dirty in ranges:
        length = min(length, end - start)
        if length <= 0:
            break
        if result and result[-1][2] == dirty:
            result[-1][1] += length
        else:
            result.append([start, length, dirty])
    return result


def dirty_of_qemu(layers, data_path, name):
    """(ranges or None, message)"""
    p = subprocess.run(['nbdinfo', '--json', '--map=qemu:dirty-bitmap:' + name, '--', '[', 'qemu-nbd', '-r',
                        *SECRET, '-B', name, qemu_name(layers, data_path), ']'], timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if p.returncode != 0:
        return None, p.stderr.decode('latin-1').strip()
    return [(e['offset'], e['length'], e['type'] & 1) for e in json.loads(p.stdout)], ''


def dirty_of_ours(program, layers, data_path, name):
    """(ranges, the last word)"""
    p = subprocess.run([*our_arguments(program, layers, data_path), 'dirty', name], timeout=60,
                       stdout=subprocess.PIPE, check=True)
    *lines, last = p.stdout.decode('latin-1').splitlines()
    return [tuple(map(int, line.split())) for line in lines], last


# ---- Comparing ----

def read_rule(layers, off, length, ours, strict, qemu):
    """The name of the rule that explains why the two read a range differently, or None. ours: read
    leniently; strict: our status otherwise."""
    status = ours[0]
    if strict == E_TRUNCATED and status == 0 and qemu is not None and any(x.crypt for x in layers):
        return 'P15: encrypted data that the file has only a part of: we have zeros, QEMU has noise'
    if status == E_TRUNCATED:
        return 'P4: compressed data past the end of the file: we fail, QEMU pads it with zeros'
    if qemu is not None:
        for layer in layers[1:]:
            end = layer.size - layer.size % 512
            if layer.is_qcow2 and off < layer.size and end < off + length and layer.size != end:
                return 'P1: size of a backing image is no multiple of 512: QEMU rounds down'
    return None


class Comparison:
    def __init__(self, program, keep):
        self.program = program
        self.keep = keep
        self.n = Counter()
        self.rules = Counter()
        self.unexplained = []

    def unexplained_at(self, layers, what):
        self.unexplained.append(what)
        if len(self.unexplained) > 200:
            return
        print('UNEXPLAINED %s' % what, flush=True)
        os.makedirs(self.keep, exist_ok=True)
        for i, layer in enumerate(layers):
            shutil.copy(layer.path, os.path.join(
                self.keep, '%03d-%d.%s' % (len(self.unexplained), i, layer.format)))

    def compare(self, layers, data_path):
        ranges = ranges_of(layers)
        self.n['images'] += 1
        try:
            ours = ask_ours(self.program, layers, data_path, ranges)
            reads, message = ask_qemu(layers, data_path, ranges)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as e:
            self.unexplained_at(layers, 'no answer: %s' % str(e)[:300])
            return
        status = ours['lenient'][0]
        if (status == 0) != (reads is not None):
            self.differs_in_open(layers, ours['lenient'], message)
        elif status != 0:
            self.n['refused by both'] += 1
        else:
            self.n['opened by both'] += 1
            self.compare_strict(layers, ours)
            strict = [status for status, _ in ours['strict'][2]] or [ours['strict'][0]] * len(ranges)
            for r, a, s, b in zip(ranges, ours['lenient'][2], strict, reads):
                self.compare_range(layers, data_path, r, a, s, b)
            if self.n['images'] % DIRTY_SHARE == 0:
                for name in layers[0].bitmap_names():
                    self.compare_bitmap(layers, data_path, name)

    def compare_bitmap(self, layers, data_path, raw_name):
        name = raw_name.decode('latin-1')
        # A meta context is UTF-8 without "*", and an argument has no NUL and does not begin with "-".
        if not re.fullmatch(r'[ -)+,.-~][ -)+-~]*', name):
            self.n['bitmaps skipped, because of their names'] += 1
            return
        try:
            theirs, message = dirty_of_qemu(layers, data_path, name)
            ours, last = dirty_of_ours(self.program, layers, data_path, name)
        except (subprocess.SubprocessError, ValueError) as e:
            self.unexplained_at(layers, 'no answer about a bitmap: %s' % str(e)[:300])
            return
        status = int(last.split()[1]) if last.startswith('failed') else 0
        if status == 0 and theirs is not None:
            self.n['bitmaps compared'] += 1
            # QEMU leaves out what is after the last whole sector. We stop after a number of ranges.
            end = layers[0].size // 512 * 512
            if last == 'more':
                end = min(end, sum(ours[-1][:2]))
            if joined(ours, end) != joined(theirs, end):
                self.unexplained_at(layers, 'bitmap %r differs' % name)
            return
        if status != 0 and theirs is None:
            self.n['bitmaps refused by both'] += 1
            return
        if status == E_TRUNCATED:
            self.rules['P22: a bitmap past the end of the file: we fail, QEMU has zeros'] += 1
            return
        self.unexplained_at(layers, 'bitmap %r: ours %s, qemu: %s' % (name, last, message or 'reads'))

    def differs_in_open(self, layers, ours, message):
        for name, rule in OPEN_RULES:
            if rule(ours[0], message, layers[0]):
                self.rules[name] += 1
                return
        self.unexplained_at(layers, 'open: ours %s %s, qemu: %s' % (ours[0], ours[1], message))

    def compare_strict(self, layers, ours):
        """Strict reading may differ from lenient reading only by E_TRUNCATED (rule P2)."""
        name = 'P2: tables or data past the end of the file: we fail (unless asked), QEMU has zeros'
        if ours['strict'][0] != 0:
            if ours['strict'][0] == E_TRUNCATED:
                self.rules[name] += 1
            else:
                self.unexplained_at(layers, 'strict open: %s %s' % ours['strict'][:2])
            return
        for a, b in zip(ours['strict'][2], ours['lenient'][2]):
            if a[0] != b[0]:
                if a[0] == E_TRUNCATED:
                    self.rules[name] += 1
                else:
                    self.unexplained_at(layers, 'strict %d, lenient %d' % (a[0], b[0]))
                    return

    def compare_range(self, layers, data_path, r, ours, strict, qemu):
        self.n['ranges compared'] += 1
        if ours[0] != 0 and qemu is None:
            self.n['errors of both'] += 1
            return
        if ours[0] == 0 and ours[1] == qemu:
            self.n['equal bytes'] += 1
            return
        rule = read_rule(layers, r[0], r[1], ours, strict, qemu)
        if not rule and any(x.format == 'qcow' for x in layers) and ours[0] == 0:
            reads, _ = ask_qemu(layers, data_path, [r])
            if reads and reads[0] == ours[1]:
                rule = ('QEMU, version 1: data that it could not decompress stays in its cache, for the '
                        'cluster before; without it, the bytes are equal')
        if rule:
            self.rules[rule] += 1
            return
        self.unexplained_at(layers, 'read %d+%d: ours %d, qemu %s' % (
            r[0], r[1], ours[0], 'fails' if qemu is None else
            'has other bytes' if ours[0] == 0 else 'reads'))

    def report(self, seconds):
        print('%.0f s: ' % seconds + ', '.join('%d %s' % (v, k) for k, v in self.n.items()))
        for name, n in sorted(self.rules.items()):
            print('%8d  %s' % (n, name))
        print('%8d  unexplained' % len(self.unexplained))


# ---- Images ----

def repair(data):
    """Resets the refcount table fields. QEMU loads the table; the targets keep choices there."""
    if data[:4] == b'QFI\xfb' and len(data) >= 72 and data[4:8] != b'\0\0\0\1':
        data = bytearray(data)
        data[48:60] = struct.pack('>QI', 0, 1)
    return bytes(data)


def layers_of(path, workdir):
    """Writes the layers of an image or container into files."""
    with open(path, 'rb') as f:
        data = f.read()
    parts = [data]
    if data[:4] == b'LAYR' and len(data) > 16:
        parts, at = [], 16
        for i in range(4):
            n = int.from_bytes(data[4 + 4 * i:8 + 4 * i], 'big') if i < 3 else 0
            if n == 0 or n > len(data) - at:
                n = len(data) - at
            if n == 0:
                break
            parts.append(data[at:at + n])
            at += n
    layers = []
    for i, part in enumerate(parts):
        name = os.path.join(workdir, 'layer%d' % i)
        with open(name, 'wb') as f:
            f.write(repair(part))
        layers.append(Layer(name))
        if layers[0].format == 'raw':
            layers[0].format = 'qcow2'
        if i > 0 and layers[i].has_data_file():
            layers.pop()
            break
        if not layers[i].names_backing:
            break
    if len(layers) > 1 and layers[-1].names_backing:
        # With a length of 0, there is no backing file name.
        with open(layers[-1].path, 'r+b') as f:
            f.seek(16)
            f.write(bytes(4))
        layers[-1] = Layer(layers[-1].path)
    return layers


# Images that the seeds do not have: the recipes of mkimage. The mutator changes no more than 4 MiB.
SMALL = 'cluster_bits 9\nsize 40k\n'
CONTENT = 'l2 0-3 data\nl2 5 compressed\nl2 6-7 zero\nl2 8 zero_alloc\nl2 9-11 data\nl2 40 data\n'
LUKS = 'encrypt luks iterations=1 password=' + PASSWORD + ' cipher='
RECIPES = [
    SMALL + LUKS + 'aes-128 mode=cbc ivgen=essiv:sha256\n' + CONTENT,
    SMALL + LUKS + 'aes-256 mode=xts ivgen=plain64\n' + CONTENT,
    SMALL + LUKS + 'cast5-128 mode=cbc ivgen=plain hash=sha1\n' + CONTENT + 'snapshot 1 one\n' + CONTENT,
    'cluster_bits 12\nsize 400k\n' + LUKS + 'serpent-128 mode=ctr ivgen=plain64\n' + CONTENT,
    'cluster_bits 14\nsize 400k\nextended_l2\n' + LUKS + 'aes-128 mode=xts\n' +
    'l2 0 subclusters 0xffff0000\nl2 1 subclusters 0xff00000000ff00ff\nl2 3 subclusters 0xffffffff\n',
    SMALL + 'encrypt aes ' + PASSWORD + '\n' + CONTENT,
    'version 2\ncluster_bits 12\nsize 100001\nencrypt aes ' + PASSWORD + '\nl2 0-5 data\nl2 7 data\n',
]


# A chain; fuzz_chain.c describes the container.
TOP = 'cluster_bits 12\nsize 150000\nbacking below qcow2\n' + LUKS + 'aes-128 mode=xts key_seed=2\n' + \
    'l2 0-2 data\nl2 4 data\nl2 6 zero\nl2 9 compressed\nl2 35 data\n'


def container(path, *layers):
    parts = []
    for layer in layers:
        with open(layer, 'rb') as f:
            parts.append(f.read())
    with open(path, 'wb') as f:
        f.write(struct.pack('>4s3I', b'LAYR', *([len(part) for part in parts] + [0] * 3)[:3]))
        f.write(b''.join(parts))
    return path


def make_more(mkimage, workdir):
    """Images that are encrypted, or compressed with zstd, or that QEMU made in version 1; and chains."""
    paths = []
    for recipe in RECIPES:
        paths.append(os.path.join(workdir, 'made%d' % len(paths)))
        subprocess.run([mkimage, paths[-1]], input=recipe.encode(), check=True, timeout=60)
    raw = os.path.join(workdir, 'raw')
    with open(raw, 'wb') as f:
        f.write(bytes(i % (2 + i // 7000) * 5 % 256 for i in range(147456)))
    for options in ('-c -O qcow2 -o compression_type=zstd,cluster_size=512',
                    '-c -O qcow2 -o compression_type=zstd,cluster_size=4k',
                    '-c -O qcow2 -o compression_type=zstd,cluster_size=64k', '-O qcow'):
        paths.append(os.path.join(workdir, 'made%d' % len(paths)))
        subprocess.run(['qemu-img', 'convert', '-f', 'raw', *options.split(), raw, paths[-1]],
                       check=True, timeout=60)
    subprocess.run(['qemu-img', 'bitmap', '--add', '-g', '512', paths[-2], 'all clean'], check=True, timeout=60)
    top = os.path.join(workdir, 'top')
    subprocess.run([mkimage, top], input=TOP.encode(), check=True, timeout=60)
    paths += [container(os.path.join(workdir, 'over%d' % i), top, base)
              for i, base in enumerate((paths[0], paths[-1], paths[-3]))]
    return paths


def copies(directories, workdir):
    """Copies the corpora, because a running fuzzer may remove files from them."""
    paths = []
    for directory in directories:
        for name in sorted(os.listdir(directory)):
            paths.append(os.path.join(workdir, 'c%d' % len(paths)))
            try:
                shutil.copy(os.path.join(directory, name), paths[-1])
            except FileNotFoundError:
                paths.pop()
    return paths


def run_for(args, comparison, workdir, sources):
    start, seed = time.time(), args.seed
    images = os.path.join(workdir, 'images')
    data_path = os.path.join(workdir, 'data')
    with open(data_path, 'wb') as f:
        f.write(bytes(i * 7 % 251 + 1 for i in range(20000)))
    while time.time() - start < args.seconds:
        shutil.rmtree(images, ignore_errors=True)
        os.makedirs(images)
        some = [sources[(seed * 7919 + i * 104729) % len(sources)] for i in range(300)]
        subprocess.run([args.mutate, str(seed), '200', images] + some, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        seed += 1
        for name in sorted(os.listdir(images), key=int):
            comparison.compare(layers_of(os.path.join(images, name), workdir), data_path)
            if time.time() - start >= args.seconds:
                break
    comparison.report(time.time() - start)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', required=True)
    p.add_argument('--seconds', type=float, default=60)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--corpus', action='append', default=[])
    p.add_argument('--keep')
    p.add_argument('--mkimage')
    p.add_argument('image', nargs='*')
    args = p.parse_args()
    workdir = os.path.join(args.build, 'differential.%d' % os.getpid())
    os.makedirs(workdir)
    args.mutate = os.path.join(args.build, 'mutate')
    comparison = Comparison(os.path.join(args.build, 'ours'),
                            args.keep or os.path.join(args.build, 'unexplained'))
    try:
        if args.image:
            with open(os.path.join(workdir, 'data'), 'wb') as f:
                f.write(bytes(i * 7 % 251 + 1 for i in range(20000)))
            for path in args.image:
                comparison.compare(layers_of(path, workdir), os.path.join(workdir, 'data'))
            comparison.report(0)
        else:
            sources = [os.path.join(base, name)
                       for d in ['image', 'snapshot', 'chain', 'bitmap', 'version1']
                       for base, _, names in os.walk(os.path.join(args.build, 'seed', d))
                       for name in sorted(names)]
            sources += make_more(args.mkimage, workdir) + copies(args.corpus, workdir)
            run_for(args, comparison, workdir, sources)
    finally:
        shutil.rmtree(workdir)
    print('%d passed, %d failed' % (comparison.n['ranges compared'], len(comparison.unexplained)))
    return 1 if comparison.unexplained or comparison.n['ranges compared'] == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
