#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
"""Removes checks from the core, one at a time. The proof must fail each time.

    sensitivity.py           all entries of CHECKS
    sensitivity.py --short   those in SHORT, in make proof-wp
    sensitivity.py N...      those with these numbers

Before that, each part of the proof that is used must succeed on the unchanged core, with the same
time limit: otherwise a machine that is too slow for a goal would seem to notice everything. Eva has no
time limit, so --short leaves that to make proof-eva, which runs the same parts.

An entry of CHECKS has: what goes wrong without the check, the file in src/, a text that occurs in the
file exactly once, the text that replaces it, the script that must notice, and the part of it to run.
The proof notices by an alarm of Eva or a goal that WP cannot prove. A compiler error does not count.
"""
import os
import re
import shutil
import subprocess
import sys

WP, EVA = "wp.sh", "eva.sh"
SHORT = {0, 6, 13, 25, 31, 36}
PLACE = "build/proof/sensitivity"
WP_CACHE = "build/proof/wp-cache"

CHECKS = [
    # Calls of the io callback.
    ("a read goes past the end of the file", "io.c",
     "if (inside < len) {", "if (false) {", WP, "src/io.c:q2_io_read"),
    ("the callback is called for 0 bytes", "io.c",
     "\t\tif (len == 0u)\n\t\t\treturn QCOW2_OK;\n", "", WP, "src/io.c:q2_io_read"),
    ("bytes past the end of the file are not zeros", "io.c",
     "memset(buf, 0, len);", "", WP, "src/io.c:q2_io_read"),
    ("a position past the end wraps around", "wide.c",
     "pos < size ? size - pos : 0u", "size - pos", WP, "src/wide.c:q2_left"),
    ("every range is inside the file", "io.c",
     "len <= q2_left(image->io.size, pos)", "true", WP, "src/io.c:q2_is_inside"),
    ("a table need not be aligned", "io.c",
     "if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)", "if (false)", WP,
     "src/io.c:q2_table_check"),
    ("a table ends past 2^63", "io.c",
     "if (pos >> 32 >= INT32_MAX)", "if (false)", WP, "src/io.c:q2_table_check"),
    ("a table need not be inside the file", "io.c",
     "return q2_is_inside(image, len, pos) ? QCOW2_OK : QCOW2_E_TRUNCATED;", "return QCOW2_OK;",
     WP, "src/io.c:q2_table_check"),
    # The block adapter.
    ("a block is copied past its end", "block.c",
     "if (*len > block->block_len - at)", "if (false)", WP, "src/block.c:block_bounce"),
    ("a whole block goes to a buffer that has room for a part", "block.c",
     "at == 0u && len >= block->block_len && ", "at == 0u && ", WP, "src/block.c:block_read"),
    ("a call has more blocks than the device takes", "block.c",
     "if (count > most)", "if (false)", WP, "src/block.c:block_straight"),
    ("reading blocks never ends", "block.c",
     "\t\tlen -= done;\n", "", WP, "src/block.c:block_read"),
    ("a block is copied past its end, for Eva", "block.c",
     "if (*len > block->block_len - at)", "if (false)", EVA, "block"),
    # Inflate.
    ("bits are taken that have not been read", "inflate_small.c",
     "while (s->n_bits < n)", "while (false)", WP, "src/inflate_small.c:inflate_take"),
    ("a byte is read past the end of the input", "inflate_small.c",
     "\tif (in->next < in->end)\n", "\tif (status == QCOW2_OK)\n", WP,
     "src/inflate_small.c:inflate_pull"),
    ("a match is read from outside the window", "inflate_small.c",
     "(stream->done - s->dist) & mask", "stream->done - s->dist", WP,
     "src/inflate_small.c:inflate_copy"),
    ("a match goes on past the stop", "inflate_small.c",
     " && stream->done != stream->stop);", ");", WP, "src/inflate_small.c:inflate_copy"),
    ("a match is written outside the window", "inflate_small.c",
     "stream->window[stream->done++ & mask]", "stream->window[stream->done++]", EVA,
     "inflate-512"),
    ("a symbol is read past the end of the codes", "inflate_small.c",
     "(sorted + rank) % INFLATE_WORDS", "sorted + rank", EVA, "inflate-512"),
    ("a code has more symbols than there is room for", "inflate_small.c",
     "(end + count) % INFLATE_WORDS", "end + count", EVA, "inflate-512"),
    ("a distance symbol without a meaning", "inflate_small.c",
     "if (dist >= DEFLATE_DIST_USED)", "if (false)", EVA, "inflate-512"),
    # Open, map, read.
    ("clusters shorter than a slice of a table", "header.c",
     "cluster_bits - Q2_CLUSTER_BITS_MIN > Q2_CLUSTER_BITS_MAX - Q2_CLUSTER_BITS_MIN",
     "cluster_bits > Q2_CLUSTER_BITS_MAX", EVA, "reader-1"),
    ("clusters of 2^32 bytes and more", "header.c",
     "cluster_bits - Q2_CLUSTER_BITS_MIN > Q2_CLUSTER_BITS_MAX - Q2_CLUSTER_BITS_MIN",
     "cluster_bits < Q2_CLUSTER_BITS_MIN", EVA, "reader-1"),
    ("a reader with too little memory", "reader.c",
     "if (len < QCOW2_READER_MEMORY)", "if (false)", EVA, "reader-1"),
    ("the position of an entry has bits of other fields", "map.c",
     "HIGH_POS = 0xffffff,", "HIGH_POS = 0x1ffffff,", WP, "src/map.c:host_cluster"),
    ("a host cluster need not be aligned", "map.c",
     "if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)", "if (false)", WP,
     "src/map.c:host_cluster"),
    ("a packed cluster has a sector too many", "map.c",
     "((high >> x) + 1u)", "((high >> x) + 2u)", WP, "src/map.c:compressed_extent"),
    ("a cluster need not begin inside its file", "map.c",
     "if (left == 0u) {", "if (false) {", WP, "src/map.c:q2_data_check"),
    ("data without a place in a file", "map.c",
     " || (data != 0u && e->io == NULL)", "", WP, "src/map.c:subclusters"),
    ("subclusters past the end of their cluster", "map.c",
     "n < Q2_SUBCLUSTERS && (others", "(others", WP, "src/map.c:subclusters"),
    ("entries are read past the end of their slice", "map.c",
     "raw < last && reader->want > len", "reader->want > len", WP,
     "src/map.c:standard_clusters"),
    ("entries are read past the end of their slice, for Eva", "map.c",
     "raw < last && reader->want > len", "reader->want > len", EVA, "reader-1"),
    ("the place in the caller's buffer does not advance", "reader.c",
     "\t\tto += n;\n", "", WP, "src/reader.c:qcow2_reader_read"),
    ("more is read of an extent than it has", "reader.c",
     "len < reader->extent.len ? len : (size_t)reader->extent.len", "len", WP,
     "src/reader.c:qcow2_reader_read"),
    ("reading never ends", "reader.c",
     "\t\tlen -= n;\n", "", WP, "src/reader.c:qcow2_reader_read"),
    ("a slot is used that is not in use", "cache.c",
     " % CACHE_WAYS) & reader->mask);", " % CACHE_WAYS));", WP, "src/cache.c:key_find"),
    ("more slots than there is memory for", "cache.c",
     " || reader->spare < (size_t)2 * QCOW2_READER_SLICE)", ")", WP,
     "src/cache.c:cache_grow"),
    ("more slots than there is memory for, for Eva", "cache.c",
     "\treader->spare /= 2u;\n", "", EVA, "reader-2"),
    ("an entry is read past the end of its slice", "cache.c",
     "return bytes + in_slice;", "return bytes + (uint32_t)pos;", WP,
     "src/cache.c:q2_table_entry"),
    ("a cluster is copied past the end of the buffer", "unpack.c",
     "\t\tif (n > len)\n\t\t\tn = len;\n", "", EVA, "unpack-512"),
    # Version 1.
    ("clusters of 2^32 bytes and more, in version 1", "version1.c",
     "cluster_bits - Q2_CLUSTER_BITS_MIN > V1_CLUSTER_BITS_MAX - Q2_CLUSTER_BITS_MIN",
     "cluster_bits < Q2_CLUSTER_BITS_MIN", EVA, "version1"),
    ("an L2 table maps 2^32 bytes and more", "version1.c",
     "l2_bits - V1_L2_BITS_MIN > V1_L2_BITS_MAX - V1_L2_BITS_MIN", "false", EVA, "version1"),
    ("a table that cannot be read", "version1.c", "if (byte == NULL)", "if (false)", EVA,
     "version1"),
    # Bitmaps.
    ("a granularity of 2^32 bytes and more", "bitmap.c",
     "bitmap->granularity_bits > USABLE_BITS_MAX", "false", EVA, "lists"),
    ("a bitmap table that cannot be read", "bitmap.c",
     "*raw != NULL ? QCOW2_OK : QCOW2_E_IO", "QCOW2_OK", EVA, "lists"),
    ("a bit is read past the end of its slice", "bitmap.c",
     "\t\tbit %= in_slice;\n", "", EVA, "lists"),
    ("equal bits are sought past the end of their slice", "bitmap.c",
     "n < 8u * Q2_SLICE_LEN; n++", "; n++", EVA, "lists"),
    # Encryption.
    ("a name in a LUKS header is compared past its end", "luks_names.c",
     "*list != '\\0' && ", "", EVA, "crypt"),
    ("a name may follow one of the last kind", "luks_names.c",
     "end == name_kinds[kind++].joint", "kind++ != 8u", EVA, "crypt"),
    ("more of the key is hashed than there is", "luks_unlock.c",
     "\t\tif (n > left)\n\t\t\tn = left;\n", "", EVA, "crypt"),
    ("a stripe is longer than the key", "luks_unlock.c",
     "if (in_stripe >= u->luks->spec.key_len) {", "if (false) {", EVA, "crypt"),
    ("a stripe is read past the end of its sector", "luks_unlock.c",
     "done % QCOW2_SECTOR_LEN;", "done;", EVA, "crypt"),
    ("the names of the usual cipher are compared past their end", "luks_aes_xts.c",
     "} while (*name++ != '\\0');", "} while (name++ != NULL);", EVA, "crypt"),
    ("a password that is too long for a key of AES", "crypto.c",
     "if (len > AES_KEY_LEN)", "if (false)", EVA, "crypt"),
    ("a part of a sector is longer than the buffer", "cipher.c",
     "\t\t\tif (part > len)\n\t\t\t\tpart = len;\n", "", EVA, "crypt"),
    ("a cipher that cannot decrypt", "cipher.c",
     "cipher == NULL || cipher->decrypt == NULL", "cipher == NULL", EVA, "crypt"),
    # Zstd.
    ("the checksum reads past the end of the output", "xxh64.c",
     "if (len >= 4) {", "if (len != 0) {", EVA, "xxh64-1"),
    ("a state is outside its table", "zstd_small_fse.c",
     " + (state & mask)]", " + state]", EVA, "zstd-small"),
    ("a table is longer than its place", "zstd_small_fse.c",
     "mask &= (1u << log) - 1u;", "mask = (1u << log) - 1u;", EVA, "zstd-small"),
    ("more rare symbols than a table has cells", "zstd_small_fse.c",
     "cells[--top & mask]", "cells[--top]", EVA, "zstd-small"),
    ("more symbols than a table can have", "zstd_small_fse.c",
     "s->often[n++ % UNZSTD_SYMBOLS] = (uint16_t)(value - 1);",
     "s->often[n++] = (uint16_t)(value - 1);", EVA, "zstd-small"),
    ("a weight that no symbol can have", "zstd_small_literals.c",
     "if (w > ZSTD_FORMAT_WEIGHT_MAX) {", "if (false) {", EVA, "zstd-small"),
    ("more weights than there are symbols", "zstd_small_literals.c",
     "s->weights[n++ & 255u]", "s->weights[n++]", EVA, "zstd-small"),
    ("more symbols have codes than there are", "zstd_small_literals.c",
     "s->sorted[sorted++ % 256u]", "s->sorted[sorted++]", EVA, "zstd-small"),
    ("a code that no symbol has", "zstd_small_literals.c",
     "(end - 1 - rank) & 255u", "end - 1 - rank", EVA, "zstd-small"),
    ("output goes outside the window", "zstd_small.h",
     "(k & (s->stream->window_len - 1u))", "k", EVA, "zstd-small"),
    ("a length has more extra bits than any", "zstd_small_sequences.c",
     "length + q2_unzstd_back(s, bits[i & 31u])", "length + q2_unzstd_back(s, bits[i])", EVA,
     "zstd-small"),
    ("an offset has 32 bits and more", "zstd_small_sequences.c",
     "if (bits > 22) {", "if (false) {", EVA, "zstd-small"),
    # The tables of the fast decoder for zstd.
    ("a table has more cells than there are", "zstd_fast_fse.c",
     "if (n > zfast_kinds[kind].log_max)", "if (false)", EVA, "zstd-tables-64"),
    ("bytes of a table are read past the end of the block", "zstd_fast_fse.c",
     "n < 24 && i < left;", "n < 24;", EVA, "zstd-tables-64"),
    ("more symbols that do not occur than there are", "zstd_fast_fse.c",
     "s->counts[++*symbol % ZFAST_SYMBOLS_MAX]", "s->counts[++*symbol]", EVA, "zstd-tables-64"),
    ("a symbol is sought behind the list of extra bits", "zstd_fast_fse.c",
     "symbol >= k->ones", "false", EVA, "zstd-tables-64"),
    ("rare symbols are outside their table", "zstd_fast_fse.c",
     "cells[last & mask]", "cells[last]", EVA, "zstd-tables-64"),
    ("a weight that no symbol can have, in the fast decoder", "zstd_fast_literals.c",
     "if (weight > ZFAST_TREE_BITS)", "if (false)", EVA, "zstd-tables-64"),
    ("weights are read past the end of the block", "zstd_fast_literals.c",
     "if (n > 2 * (size_t)(s->block_end - s->in))", "if (false)", EVA, "zstd-tables-64"),
    ("more weights than there is room for", "zstd_fast_literals.c",
     "while (n < ZSTD_FORMAT_WEIGHTS_MAX - 1) {", "while (true) {", EVA, "zstd-tables-64"),
    ("a code is outside the Huffman table", "zstd_fast_literals.c",
     "tree + (at & ((1u << ZFAST_TREE_BITS) - 2u))", "tree + at", EVA, "zstd-tables-64"),
    ("a code is outside the Huffman table, for WP", "zstd_fast_literals.c",
     "tree + (at & ((1u << ZFAST_TREE_BITS) - 2u))", "tree + at", WP,
     "src/zstd_fast_literals.c:zfast_fill"),
    ("more symbols that do not occur than there are, for WP", "zstd_fast_fse.c",
     "if (n > n_symbols - 1 - *symbol)", "if (false)", WP, "src/zstd_fast_fse.c:zfast_read_zeros"),
    ("bytes of a table are read past the end of the block, for WP", "zstd_fast_fse.c",
     "n < 24 && i < left;", "n < 24;", WP, "src/zstd_fast_fse.c:zfast_ahead"),
    ("a block is copied past what its frame may make", "zstd_fast.c",
     "if (size > s->end - s->at)", "if (false)", WP, "src/zstd_fast.c:zfast_block"),
    ("a block is read past the end of the input", "zstd_fast.c",
     "if (left < len)", "if (false)", WP, "src/zstd_fast.c:zfast_block"),
    ("the header of a frame is read past the end of the input", "zstd_fast.c",
     "if (left - 1 < window_len + id_len + size_len)", "if (false)", WP,
     "src/zstd_fast.c:zfast_header"),
    ("a frame may make more than the cluster has", "zstd_fast.c",
     "if (size > room || ", "if (", WP, "src/zstd_fast.c:zfast_limits"),
    ("a skippable frame ends behind the input", "zstd_fast.c",
     "if (len > left - ZFAST_SIZE_LEN)", "if (false)", WP, "src/zstd_fast.c:zfast_skip"),
    ("a checksum is read past the end of the input", "zstd_fast.c",
     "if ((size_t)(s->in_end - s->in) < ZFAST_CHECKSUM_LEN)", "if (false)", WP,
     "src/zstd_fast.c:zfast_check"),
    ("literals are placed before their block", "zstd_fast_literals.c",
     "if (n > s->room)", "if (false)", WP, "src/zstd_fast_literals.c:zfast_place_literals"),
    ("a word is read before a stream of literals", "zstd_fast_literals.c",
     "while (n >= ZFAST_TURN && b.left >= Q2_WORD_BITS)", "while (n >= ZFAST_TURN)", WP,
     "src/zstd_fast_literals.c:zfast_one_stream"),
    ("streams begin a turn with too few bits", "zstd_fast_literals.c",
     "if (least > b[i].left)", "if (false)", WP, "src/zstd_fast_literals.c:zfast_turns"),
    ("a code has more bits than its stream", "zstd_fast_literals.c",
     "if ((entry & 0xffu) > b->left)", "if (false)", WP,
     "src/zstd_fast_literals.c:zfast_stream_end"),
    # The loop over the sequences of the fast decoder for zstd.
    ("a turn of the loop reads a word before its stream", "zstd_fast_sequences.c",
     "n > 1 && left >= 64 && ", "n > 1 && ", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a turn of the loop has no room", "zstd_fast_sequences.c",
     " && room >= ZFAST_WILD; n--", "; n--", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a sequence has more bits than a word", "zstd_fast_sequences.c",
     "(sum & ZFAST_EXTRA) > ZFAST_EXTRA_MAX || ", "", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a turn of the loop copies more literals than are left", "zstd_fast_sequences.c",
     "lits > n_lits ||\n", "\n", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a turn of the loop writes past its room", "zstd_fast_sequences.c",
     "match > room - ZFAST_WILD", "match > room", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a turn of the loop reads before its frame", "zstd_fast_sequences.c",
     " ||\n\t\t    !zfast_reaches(next.first, at - s->start + lits, s->window)", "", WP,
     "src/zstd_fast_sequences.c:zfast_run"),
    ("long copies near the end of the block", "zstd_fast_sequences.c",
     "if (n_lits >= ZFAST_WILD)", "if (true)", WP, "src/zstd_fast_sequences.c:zfast_run"),
    ("a match reaches before its frame", "zstd_fast_sequences.c",
     "(made < window ? made : window)", "window", WP, "src/zstd_fast_sequences.c:zfast_reaches"),
    ("a sequence copies more literals than are left", "zstd_fast_sequences.c",
     "if (n > s->n_lits || match", "if (match", WP, "src/zstd_fast_sequences.c:zfast_execute"),
    ("a match goes past the end of its block", "zstd_fast_sequences.c",
     " || match > s->room)", ")", WP, "src/zstd_fast_sequences.c:zfast_execute"),
    # The tables of sequences in the fast decoder for zstd, for WP.
    ("a table has more cells than there are, for WP", "zstd_fast_fse.c",
     "if (n > zfast_kinds[kind].log_max)", "if (false)", WP,
     "src/zstd_fast_fse.c:q2_zfast_read_counts"),
    ("a description goes on past the end of the block", "zstd_fast_fse.c",
     "if (left != 0 || at > (size_t)(s->block_end - s->in))", "if (left != 0)", WP,
     "src/zstd_fast_fse.c:q2_zfast_read_counts"),
    ("a description has more symbols than there are", "zstd_fast_fse.c",
     "left != 0 && symbol < n_symbols;", "left != 0;", WP,
     "src/zstd_fast_fse.c:q2_zfast_read_counts"),
    ("a number has more bits than a description can have", "zstd_fast_fse.c",
     "1u << (n & 15u)", "1u << n", WP, "src/zstd_fast_fse.c:zfast_read_value"),
    ("a symbol is sought behind the list of extra bits, for WP", "zstd_fast_fse.c",
     "symbol >= k->ones", "false", WP, "src/zstd_fast_fse.c:zfast_meaning"),
    ("a symbol that the table cannot have gets a form", "zstd_fast_fse.c",
     "symbol >= zfast_kinds[kind].n_symbols || s->counts", "s->counts", WP,
     "src/zstd_fast_fse.c:zfast_form"),
    ("a state takes more bits than the table has", "zstd_fast_fse.c",
     "n < log && ", "", WP, "src/zstd_fast_fse.c:zfast_form"),
    ("rare symbols are outside their table, in the fast decoder", "zstd_fast_fse.c",
     "cells[last & mask]", "cells[last]", WP, "src/zstd_fast_fse.c:zfast_spread"),
    ("symbols are outside their table, in the fast decoder", "zstd_fast_fse.c",
     "(at + step) & mask", "at + step", WP, "src/zstd_fast_fse.c:zfast_spread"),
    ("the next states of a cell are outside its table", "zstd_fast_fse.c",
     "(state & (size - 1)) << ZFAST_NEXT", "state << ZFAST_NEXT", WP,
     "src/zstd_fast_fse.c:zfast_cell"),
    ("a cell has a symbol that no table can have, in the fast decoder", "zstd_fast_fse.c",
     "cells[i] % ZFAST_SYMBOLS_MAX", "cells[i]", WP, "src/zstd_fast_fse.c:zfast_make_cells"),
    ("a state is not below twice the number of cells", "zstd_fast_fse.c",
     "++ & (2 * size - 1)", "++", WP, "src/zstd_fast_fse.c:zfast_make_cells"),
    ("symbols have no form", "zstd_fast_fse.c",
     "i < ZFAST_SYMBOLS_MAX; i++)\n\t\ts->forms", "i < 1; i++)\n\t\ts->forms", WP,
     "src/zstd_fast_fse.c:q2_zfast_build"),
    ("a table of one cell is read past the end of the block", "zstd_fast_fse.c",
     "s->in == s->block_end || *s->in", "*s->in", WP, "src/zstd_fast_fse.c:zfast_read_one"),
    ("a table of one cell has a symbol that it cannot have, in the fast decoder",
     "zstd_fast_fse.c", " || *s->in >= zfast_kinds[kind].n_symbols", "", WP,
     "src/zstd_fast_fse.c:zfast_read_one"),
    ("a block uses a table that no block before it had, in the fast decoder", "zstd_fast_fse.c",
     "return s->has_tables;", "return true;", WP, "src/zstd_fast_fse.c:q2_zfast_read_table"),
    ("the modes of the tables are read past the end of the block", "zstd_fast_sequences.c",
     "\tif (s->in == s->block_end)\n\t\treturn false;\n\tmodes", "\tmodes", WP,
     "src/zstd_fast_sequences.c:zfast_begin_sequences"),
    ("sequences are decoded with a table that cannot be read", "zstd_fast_sequences.c",
     "if (!q2_zfast_read_table(s, kind, modes >> (6 - 2 * kind) & 3u))",
     "if (!q2_zfast_read_table(s, kind, modes >> (6 - 2 * kind) & 3u) && kind != 1)", WP,
     "src/zstd_fast_sequences.c:zfast_begin_sequences"),
    ("a stream of sequences has no last bit", "zstd_fast_sequences.c",
     "if (!q2_zfast_open(&s->bits, s->in, (uint32_t)(s->block_end - s->in)))",
     "if (!q2_zfast_open(&s->bits, s->in, (uint32_t)(s->block_end - s->in)) && false)", WP,
     "src/zstd_fast_sequences.c:zfast_begin_sequences"),
    ("the number of sequences is read past the end of the block", "zstd_fast_sequences.c",
     "if (left < len)", "if (false)", WP, "src/zstd_fast_sequences.c:zfast_read_count"),
    ("sequences are decoded after a failure", "zstd_fast_sequences.c",
     "if (!zfast_begin_sequences(s))", "if (!zfast_begin_sequences(s) && false)", WP,
     "src/zstd_fast_sequences.c:q2_zfast_sequences"),
    ("a stream ends before its last byte", "zstd_fast_bits.h",
     "len == 0 || bytes", "bytes", WP, "src/zstd_fast_bits.c:q2_zfast_open"),
    ("more bits are taken than a stream has", "zstd_fast_bits.h",
     "if (n > b->left)", "if (false)", WP, "src/zstd_fast_bits.c:q2_zfast_take"),
    # The small decoder for zstd, for WP.
    ("a byte is read past the end of its piece", "zstd_small_bits.c",
     "\t\tif (i >= len)\n\t\t\tq2_unzstd_fail(s, QCOW2_E_TRUNCATED);\n", "", WP,
     "src/zstd_small_bits.c:unzstd_byte"),
    ("a header is read past its end", "zstd_small_bits.c",
     "q2_unzstd_check(s, s->at < s->end)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_bits.c:q2_unzstd_next"),
    ("a bitstream is read before its beginning", "zstd_small_bits.c",
     "\t\tif (s->at < s->end)\n\t\t\ts->buf |= unzstd_byte(s, --s->end);\n\t\telse\n"
     "\t\t\ts->over = true;\n", "\t\ts->buf |= unzstd_byte(s, --s->end);\n", WP,
     "src/zstd_small_bits.c:q2_unzstd_back"),
    ("a bitstream has no last bit", "zstd_small_bits.c",
     "q2_unzstd_check(s, s->buf != 0)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_bits.c:q2_unzstd_open"),
    ("a bitstream is not used up", "zstd_small_bits.c",
     " && s->n_bits == 0 && s->at == s->end", " && s->n_bits == 0", WP,
     "src/zstd_small_bits.c:q2_unzstd_close"),
    ("a described table is longer than its place", "zstd_small_fse.c",
     "q2_unzstd_check(s, log <= unzstd_tables[table].log)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_fse.c:q2_unzstd_build_described"),
    ("a description has symbols that the table cannot have", "zstd_small_fse.c",
     "q2_unzstd_check(s, n <= unzstd_tables[table].last)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_fse.c:q2_unzstd_build_described"),
    ("a table of one cell has a symbol that it cannot have", "zstd_small_fse.c",
     "q2_unzstd_check(s, symbol <= unzstd_tables[table].last)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_fse.c:unzstd_build_one"),
    ("rare symbols are outside their table, for WP", "zstd_small_fse.c",
     "cells[--top & mask]", "cells[--top]", WP, "src/zstd_small_fse.c:unzstd_spread"),
    ("symbols are outside their table", "zstd_small_fse.c",
     "(at + step) & mask", "at + step", WP, "src/zstd_small_fse.c:unzstd_spread"),
    ("a cell has a symbol that no table can have", "zstd_small_fse.c",
     "cells[i] % UNZSTD_SYMBOLS", "cells[i]", WP, "src/zstd_small_fse.c:unzstd_number"),
    ("a state is outside its table, for WP", "zstd_small_fse.c",
     " + (state & mask)]", " + state]", WP, "src/zstd_small_fse.c:q2_unzstd_cell"),
    ("the next state is outside its table", "zstd_small_fse.c",
     "((x << n) & ~(1u << log))", "(x << n)", WP, "src/zstd_small_fse.c:q2_unzstd_advance"),
    ("a block uses a table that no block before it had", "zstd_small_fse.c",
     "q2_unzstd_check(s, s->logs[table] != UNZSTD_NO_TABLE)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_fse.c:q2_unzstd_prepare"),
    ("literals are placed before their block, in the small decoder", "zstd_small_literals.c",
     "q2_unzstd_check(s, n <= s->room)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_literals.c:unzstd_place"),
    ("more literals are copied than are left", "zstd_small_sequences.c",
     "q2_unzstd_check(s, n <= s->literals)", "q2_unzstd_check(s, true)", WP,
     "src/zstd_small_sequences.c:unzstd_copy_literals"),
    ("a match begins before its frame", "zstd_small_sequences.c",
     " &&\n\t                                offset <= stream->done - s->begin))", "))", WP,
     "src/zstd_small_sequences.c:unzstd_copy_match"),
    # The counters of the check.
    ("a reference goes on behind the window", "check_count.c",
     "\t\tlast = c->window_end - 1u;\n", "", WP, "src/check_count.c:q2_check_refer"),
    ("a reference begins before the window", "check_count.c",
     "\tif (cluster < c->first)\n\t\tcluster = c->first;\n", "", WP, "src/check_count.c:q2_check_refer"),
    ("more refcounts are compared than the window has", "check.c",
     "\t\tif (n > c->window_end - cluster)\n\t\t\tn = c->window_end - cluster;\n", "",
     WP, "src/check.c:window_refcounts"),
    ("the window is longer than its counters", "check.c",
     "\tif (c->window_end - c->first > n)\n\t\tc->window_end = c->first + (uint32_t)n;\n", "",
     WP, "src/check.c:window_check"),
    ("there are as many wide counters as short ones", "check.c",
     "c->wide != 0u ? c->n_counters / 4u : c->n_counters", "c->n_counters",
     WP, "src/check.c:window_check"),
    ("a refcount block outside of the window is counted", "check_walk.c",
     "\tif (cluster < c->first || cluster >= c->window_end)\n\t\treturn;\n", "",
     WP, "src/check_walk.c:refer_to_block"),
    ("bit 63 is compared outside of the window", "check_map.c",
     "k < c->settled || k >= c->window_end ||\n\t           ", "", WP, "src/check_map.c:entry_leads"),
    # The Huffman code of literals in the fast decoder for zstd, for WP.
    ("a turn takes more bits than there are", "zstd_fast_literals.c",
     "sum & (Q2_WORD_BITS - 1u)", "sum & 0xffu", WP, "src/zstd_fast_literals.c:zfast_turn"),
    ("more weights than there is room for, for WP", "zstd_fast_literals.c",
     "while (n < ZSTD_FORMAT_WEIGHTS_MAX - 1) {", "while (true) {", WP,
     "src/zstd_fast_literals.c:zfast_fse_weights"),
    ("a state of the weights is outside its table", "zstd_fast_literals.c",
     " &\n\t\t             ((1u << ZSTD_FORMAT_WEIGHT_LOG) - 1u)]", "]", WP,
     "src/zstd_fast_literals.c:zfast_fse_weights"),
    ("weights are decoded with a table that cannot be read", "zstd_fast_literals.c",
     "\tif (!good)\n\t\treturn 0;\n", "", WP, "src/zstd_fast_literals.c:zfast_fse_weights"),
    ("the number of weights is read past the end of the block", "zstd_fast_literals.c",
     "\tif (s->in == s->block_end)\n\t\treturn 0;\n", "", WP,
     "src/zstd_fast_literals.c:zfast_read_weights"),
    ("coded weights go on past the end of the block", "zstd_fast_literals.c",
     "head <= (size_t)(s->block_end - s->in) ? zfast_fse_weights(s, head) : 0",
     "zfast_fse_weights(s, head)", WP, "src/zstd_fast_literals.c:zfast_read_weights"),
    ("weights are read past the end of the block, for WP", "zstd_fast_literals.c",
     "if (n > 2 * (size_t)(s->block_end - s->in))", "if (false)", WP,
     "src/zstd_fast_literals.c:zfast_read_weights"),
    ("a weight that no symbol can have, in the fast decoder, for WP", "zstd_fast_literals.c",
     "if (weight > ZFAST_TREE_BITS)", "if (false)", WP,
     "src/zstd_fast_literals.c:zfast_complete"),
    ("a code has more bits than any", "zstd_fast_literals.c",
     "sum == 0 || bits > ZFAST_TREE_BITS", "sum == 0", WP,
     "src/zstd_fast_literals.c:zfast_complete"),
    ("coded literals go on past the end of the block", "zstd_fast_literals.c",
     "if (len > (size_t)(block_end - s->in))", "if (false)", WP,
     "src/zstd_fast_literals.c:zfast_coded_literals"),
    ("plain literals go on past the end of the block", "zstd_fast_literals.c",
     " || len > left - head)", ")", WP, "src/zstd_fast_literals.c:zfast_plain_literals"),
    ("the size of plain literals is read past the end of the block", "zstd_fast_literals.c",
     "if (left < head)", "if (false)", WP, "src/zstd_fast_literals.c:zfast_plain_literals"),
    ("the size of coded literals is read past the end of the block", "zstd_fast_literals.c",
     "if ((uint32_t)(s->block_end - s->in) < head)", "if (false)", WP,
     "src/zstd_fast_literals.c:zfast_packed_literals"),
    ("coded literals are placed before their block", "zstd_fast_literals.c",
     "zfast_place_literals(s, n) && zfast_coded", "zfast_coded", WP,
     "src/zstd_fast_literals.c:zfast_packed_literals"),
    ("the kind of literals is read past the end of the block", "zstd_fast_literals.c",
     "\tif (s->in == s->block_end)\n\t\treturn false;\n", "", WP,
     "src/zstd_fast_literals.c:q2_zfast_literals"),
]


def prepare(change=None):
    shutil.rmtree(PLACE, ignore_errors=True)
    for part in ("src", "include", "tests/proof"):
        shutil.copytree(part, os.path.join(PLACE, part))
    if change is None:
        return
    name, old, new = change
    path = os.path.join(PLACE, "src", name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def prove(script, part):
    """Returns the exit status and the output."""
    run = subprocess.run(
        ["bash", os.path.join(PLACE, "tests/proof", script), part], capture_output=True, text=True,
        check=False,
        env={**os.environ, "WP_TIMEOUT": "10", "WP_CACHE": os.path.abspath(WP_CACHE)},
    )
    return run.returncode, run.stdout + run.stderr


def holds(script, part):
    prepare()
    code, out = prove(script, part)
    if code != 0:
        print(f"unchanged, {script} {part} does not hold:\n{out}")
    return code == 0


def noticed(number):
    why, *change, script, part = CHECKS[number]
    prepare(change)
    code, out = prove(script, part)
    sign = r"\[eva:alarm\]" if script == EVA else r"NOT PROVED \S+ [0-9]+ of [1-9][0-9]* goals"
    seen = code != 0 and re.search(sign, out) is not None and "Error" not in out
    print(f"{'noticed' if seen else 'NOT NOTICED'} {number}: {why}", flush=True)
    if not seen:
        print(out)
    return seen


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    for _, name, old, _, _, _ in CHECKS:
        with open(os.path.join("src", name), encoding="utf-8") as file:
            if file.read().count(old) != 1:
                sys.exit(f"src/{name} does not have this text once: {old!r}")
    if sys.argv[1:] == ["--short"]:
        chosen = SHORT
    else:
        chosen = [int(arg) for arg in sys.argv[1:]] or range(len(CHECKS))
    parts = sorted({CHECKS[number][-2:] for number in chosen})
    if chosen is SHORT:
        parts = [(script, part) for script, part in parts if script != EVA]
    results = [holds(*part) for part in parts] + [noticed(number) for number in sorted(chosen)]
    print(f"sensitivity: {len(chosen)} checks taken out, {len(parts)} parts unchanged")
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))


main()
