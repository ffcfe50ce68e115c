/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * mkimage: builds a qcow2 image, valid or evil, from a recipe.
 *
 *	mkimage [-r RECIPE] [-d DATA_FILE] [-e EXPECTED] IMAGE
 *
 * The recipe comes from the file RECIPE or from standard input. -d: where the external data file
 * goes. -e: writes the content that the disk should have (zeros where it is absent) as a raw file.
 * Files are sparse. Exits with 0, or with 1 and "mkimage: line N: what" on standard error.
 *
 * A recipe has one command on each line. Blanks separate words, and "#" starts a comment. A word in
 * "..." may contain blanks and the escapes \xHH, \\ and \". A NUMBER is made of terms (4096,
 * 0x1000, 64k (or M G T P E), 1<<62, $NAME), joined by + - or | without blanks, such as
 * $a+512|1<<63. `alloc` and `as` define names. Once the image is laid out (see below), there are
 * also $l1 $snapshots $refcounts $end (of the file) $ext (first extension) $ext_end (the end
 * marker). BYTES are HEX digits, "text", or @PATH for the content of a file, any number of them in
 * a row; HEX*N repeats.
 *
 * The frame, which comes first in the recipe. Defaults are in parentheses:
 *	version N              2 or 3 (3)
 *	cluster_bits N         for the layout, any sane value (16)
 *	size N                 (1M)
 *	extended_l2            16-byte L2 entries
 *	data_file NAME         data goes to the external data file; the name gets an extension
 *	                       (data_file "" sets the bit only)
 *	raw                    set autoclear bit 1 (data file is raw)
 *	refcount_order N       (4)
 *	no_refcounts
 *	header_length N        the field, and where the extensions begin (112)
 *	compression N          compression_type, and the feature bit
 *	place order|shuffled|gaps
 *	seed N                 the seed of the content, for the current table (1)
 *
 * Header and extensions:
 *	header.FIELD NUMBER    overrides a field, whatever the layout is. Fields are named as in
 *	                       qcow2.txt: magic version backing_file_offset backing_file_size
 *	                       cluster_bits size crypt_method l1_size l1_table_offset
 *	                       refcount_table_offset refcount_table_clusters nb_snapshots
 *	                       snapshots_offset incompatible_features compatible_features
 *	                       autoclear_features refcount_order header_length compression_type
 *	ext TYPE BYTES...      TYPE is a number or backing_format feature_names data_file bitmaps
 *	                       crypto
 *	ext_len TYPE LEN BYTES...   the same with LEN as its length field
 *	no_ext_end             no end marker
 *	feature KIND BIT NAME  adds a record to the feature name table
 *	backing NAME [FORMAT]  backing file name, after the extensions; FORMAT makes an extension
 *	backing_at POS BYTES... the name at POS
 *
 * Encryption, if this program was built with libgcrypt. It applies to the lines that follow:
 *	encrypt luks [KEY=VALUE...]   a LUKS header, which $luks is the position of. KEYs, with
 *	                       what qemu-img does unasked: cipher (aes-256) mode (xts) ivgen
 *	                       (plain64) hash (sha256), and iterations (1000), key_seed (0).
 *	                       password=TEXT opens slot 0, or the one of a slot=N before it
 *	encrypt aes PASSWORD
 *
 * Content. INDEX is a cluster number, or FIRST-LAST. "as NAME" at the end of a line names the
 * host position of what was put (not for ranges).
 *	l2 INDEX absent|zero|zero_alloc|data|compressed|stored
 *	l2 INDEX raw ENTRY [BITMAP]
 *	l2 INDEX subclusters BITMAP [host]  alloc bits 0-31, zero bits 32-63; `host`: has a host
 *	                                    cluster even if no bit is allocated
 *	l2 INDEX packed [at N] [sectors N] BYTES...   these compressed bytes; `at`: position % 512;
 *	                                    `sectors`: the number in the entry, right or wrong
 *	l2 INDEX last N        a data cluster at the very end of the file, cut after N bytes
 *	l2 INDEX last_packed [at N] [sectors N] BYTES...   the same with compressed data
 *	l2 INDEX share         (in a snapshot) the cluster of the active table at that index
 *	l1 INDEX NUMBER        raw L1 entry
 *	place_l1               put the L1 table here rather than at the end of the file
 *	place_l2 L1INDEX       the same for an L2 table, also an empty one
 *	l1_entries N           length of the L1 table (what the size needs)
 *	alloc NAME N           N free host clusters; $NAME is the position of the first
 *	snapshot ID NAME [KEY=NUMBER...]   a snapshot; the following lines fill it, until
 *	active                 ... which returns to the active table.
 *	                       KEYs: extra (16) disk_size vm_state_size vm_state_large icount
 *	                       vm_clock date_sec date_nsec id_len name_len l1_pos l1_size; the last
 *	                       four override what the entry says
 *
 * Changes to the bytes. The first of these lays out and writes everything; none of the above may
 * follow.
 *	layout                 changes nothing
 *	put8|put16|put32|put64 POS NUMBER   big-endian
 *	put POS BYTES...
 *	flip POS BIT
 *	truncate N             cut, or extend with zeros
 *	data_put POS BYTES...  in the data file
 *	data_truncate N
 *	print NUMBER...        on standard output, one on each line, in decimal
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(TEST_GCRYPT) && TEST_GCRYPT
#include "crypt.h"
#endif
#include "image.h"

enum { MAX_WORDS = 4096, MAX_NAMES = 1024 };

struct word {
	char *text;
	size_t len;
	bool quoted;
};

struct name {
	char name[64];
	uint64_t value;
};

static struct image img;
static struct image_table *table;
static bool laid_out;
static unsigned line_number;
static struct word words[MAX_WORDS];
static unsigned n_words;
static struct name names[MAX_NAMES];
static unsigned n_names;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "mkimage: ");
	if (line_number != 0)
		fprintf(stderr, "line %u: ", line_number);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* ---- Words ---- */

static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = (char)tolower((unsigned char)c);
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	fail("not a hex digit: %c", c);
}

/* Unescapes in place; *from is after the opening quote, and then after the closing one. */
static struct word quoted_word(char **from)
{
	char *in = *from;
	char *out = *from;
	struct word w = { .text = out, .quoted = true };

	while (*in != '"') {
		if (*in == '\0')
			fail("missing \"");
		if (*in == '\\' && in[1] == 'x') {
			*out++ = (char)(hex_digit(in[2]) << 4 | hex_digit(in[3]));
			in += 4;
		} else {
			if (*in == '\\' && in[1] != '\0')
				in++;
			*out++ = *in++;
		}
	}
	w.len = (size_t)(out - w.text);
	*out = '\0';
	*from = in + 1;
	return w;
}

static void split(char *line)
{
	n_words = 0;
	for (;;) {
		line += strspn(line, " \t\r\n");
		if (*line == '\0' || *line == '#')
			return;
		if (n_words == MAX_WORDS)
			fail("too many words");
		if (*line == '"') {
			line++;
			words[n_words++] = quoted_word(&line);
		} else {
			size_t len = strcspn(line, " \t\r\n");
			bool end = line[len] == '\0';

			words[n_words++] = (struct word){ .text = line, .len = len };
			line[len] = '\0';
			line += len + !end;
		}
	}
}

static const struct word *word(unsigned i)
{
	if (i >= n_words)
		fail("a word is missing after %s", words[n_words - 1].text);
	return &words[i];
}

static bool is(unsigned i, const char *text)
{
	return i < n_words && !words[i].quoted && strcmp(words[i].text, text) == 0;
}

/* ---- Numbers ---- */

static uint64_t lookup(const char *name, size_t len)
{
	const struct name layout[] = { { "l1", img.active.l1_pos },
		                       { "snapshots", img.snapshots_pos },
		                       { "refcounts", img.refcount_table_pos },
		                       { "end", img.file.len },
		                       { "ext", img.ext_pos },
		                       { "ext_end", img.ext_end } };

	for (unsigned i = 0; i < n_names; i++) {
		if (strlen(names[i].name) == len && strncmp(names[i].name, name, len) == 0)
			return names[i].value;
	}
	for (unsigned i = 0; laid_out && i < sizeof layout / sizeof *layout; i++) {
		if (strlen(layout[i].name) == len && strncmp(layout[i].name, name, len) == 0)
			return layout[i].value;
	}
	fail("unknown name $%.*s", (int)len, name);
}

static void define(const char *name, uint64_t value)
{
	if (n_names == MAX_NAMES || strlen(name) >= sizeof names->name)
		fail("too many names");
	strcpy(names[n_names].name, name);
	names[n_names++].value = value;
}

static uint64_t term(const char **text)
{
	static const char suffixes[] = "kMGTPE";
	const char *p = *text;
	char *end = NULL;
	uint64_t value = 0;

	if (*p == '$') {
		size_t len = 0;

		while (isalnum((unsigned char)p[1 + len]) || p[1 + len] == '_')
			len++;
		*text = p + 1 + len;
		return lookup(p + 1, len);
	}
	value = strtoull(p, &end, 0);
	if (end == p)
		fail("not a number: %s", p);
	if (*end != '\0' && strchr(suffixes, *end) != NULL) {
		value <<= 10 * (unsigned)(strchr(suffixes, *end) - suffixes + 1);
		end++;
	}
	*text = end;
	if (strncmp(end, "<<", 2) == 0) {
		*text = end + 2;
		value <<= term(text) & 63;
	}
	return value;
}

static uint64_t number_in(const char *text)
{
	const char *p = text;
	uint64_t value = term(&p);

	while (*p != '\0') {
		char op = *p++;

		if (op == '+')
			value += term(&p);
		else if (op == '-')
			value -= term(&p);
		else if (op == '|')
			value |= term(&p);
		else
			fail("not a number: %s", text);
	}
	return value;
}

static uint64_t number(unsigned i)
{
	return number_in(word(i)->text);
}

/* ---- Bytes ---- */

static void append_file(struct image_buf *b, const char *path)
{
	uint8_t piece[4096];
	size_t n = 0;
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		fail("cannot open %s", path);
	while ((n = fread(piece, 1, sizeof piece, f)) != 0)
		image_buf_put(b, b->len, piece, n);
	fclose(f);
}

static void append_hex(struct image_buf *b, const struct word *w)
{
	const char *star = strchr(w->text, '*');
	size_t n = star != NULL ? (size_t)(star - w->text) : w->len;
	uint64_t times = star != NULL ? number_in(star + 1) : 1;

	if (n % 2 != 0)
		fail("odd number of hex digits: %s", w->text);
	for (; times > 0; times--) {
		for (size_t i = 0; i < n; i += 2)
			image_put(b, b->len, hex_digit(w->text[i]) << 4 | hex_digit(w->text[i + 1]),
			          1);
	}
}

/* The bytes that the words from i on stand for. The caller frees them. */
static struct image_buf bytes(unsigned i)
{
	struct image_buf b = { 0 };

	for (; i < n_words; i++) {
		if (words[i].quoted)
			image_buf_put(&b, b.len, words[i].text, words[i].len);
		else if (words[i].text[0] == '@')
			append_file(&b, words[i].text + 1);
		else
			append_hex(&b, &words[i]);
	}
	return b;
}

/* ---- Commands ---- */

static void cmd_frame(void)
{
	const char *c = words[0].text;

	if (strcmp(c, "version") == 0) {
		img.version = (unsigned)number(1);
		img.header_length = img.version >= 3 ? 112 : 72;
	} else if (strcmp(c, "cluster_bits") == 0) {
		img.cluster_bits = (unsigned)number(1);
		if (img.cluster_bits < 9 || img.cluster_bits > 24)
			fail("use header.cluster_bits for such values");
	} else if (strcmp(c, "size") == 0) {
		img.size = number(1);
	} else if (strcmp(c, "refcount_order") == 0) {
		img.refcount_order = (unsigned)number(1);
		if (img.refcount_order > 6)
			fail("use header.refcount_order for such values");
	} else if (strcmp(c, "header_length") == 0) {
		img.header_length = (uint32_t)number(1);
	} else if (strcmp(c, "compression") == 0) {
		img.compression_type = (uint8_t)number(1);
	} else if (strcmp(c, "seed") == 0) {
		table->seed = number(1);
	} else if (strcmp(c, "l1_entries") == 0) {
		table->l1_entries = (uint32_t)number(1);
	}
}

static void cmd_flag(void)
{
	const char *c = words[0].text;

	if (strcmp(c, "extended_l2") == 0)
		img.extended_l2 = true;
	else if (strcmp(c, "no_refcounts") == 0)
		img.refcounts = false;
	else if (strcmp(c, "no_ext_end") == 0)
		img.no_end = true;
	else if (strcmp(c, "raw") == 0)
		image_set(&img, IMAGE_AUTOCLEAR_FEATURES, 2);
	else if (strcmp(c, "place_l1") == 0)
		image_place_l1(&img, table);
	else if (strcmp(c, "active") == 0)
		table = &img.active;
}

static void cmd_place(void)
{
	if (is(1, "order"))
		img.place = IMAGE_IN_ORDER;
	else if (is(1, "shuffled"))
		img.place = IMAGE_SHUFFLED;
	else if (is(1, "gaps"))
		img.place = IMAGE_GAPS;
	else
		fail("place order|shuffled|gaps");
}

static void cmd_data_file(void)
{
	const struct word *name = word(1);

	img.has_data_file = true;
	if (name->len != 0)
		image_add_ext(&img, IMAGE_EXT_DATA_FILE, (uint32_t)name->len, name->text,
		              name->len);
}

static uint32_t ext_type(unsigned i)
{
	static const struct {
		const char *name;
		uint32_t type;
	} types[] = { { "backing_format", IMAGE_EXT_BACKING_FORMAT },
		      { "feature_names", IMAGE_EXT_FEATURE_NAMES },
		      { "data_file", IMAGE_EXT_DATA_FILE },
		      { "bitmaps", IMAGE_EXT_BITMAPS },
		      { "crypto", IMAGE_EXT_CRYPTO } };

	for (unsigned k = 0; k < sizeof types / sizeof *types; k++) {
		if (is(i, types[k].name))
			return types[k].type;
	}
	return (uint32_t)number(i);
}

static void cmd_ext(void)
{
	bool says = is(0, "ext_len");
	struct image_buf b = bytes(says ? 3 : 2);

	image_add_ext(&img, ext_type(1), (uint32_t)(says ? number(2) : b.len), b.data, b.len);
	free(b.data);
}

static void cmd_feature(void)
{
	image_add_feature_name(&img, (unsigned)number(1), (unsigned)number(2), word(3)->text,
	                       word(3)->len);
}

static void cmd_backing(void)
{
	struct image_buf b = { 0 };

	if (is(0, "backing_at")) {
		b = bytes(2);
		image_set_backing(&img, b.data, b.len, number(1));
		free(b.data);
		return;
	}
	image_set_backing(&img, word(1)->text, word(1)->len, 0);
	if (n_words > 2)
		image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, (uint32_t)word(2)->len, word(2)->text,
		              word(2)->len);
}

#if defined(TEST_GCRYPT) && TEST_GCRYPT
static void luks_key(struct crypt_luks *luks, const char *key, char *value, unsigned *slot)
{
	if (strcmp(key, "cipher") == 0)
		luks->cipher = value;
	else if (strcmp(key, "mode") == 0)
		luks->mode = value;
	else if (strcmp(key, "ivgen") == 0)
		luks->ivgen = value;
	else if (strcmp(key, "hash") == 0)
		luks->hash = value;
	else if (strcmp(key, "iterations") == 0)
		luks->iterations = (uint32_t)number_in(value);
	else if (strcmp(key, "key_seed") == 0)
		luks->key_seed = (uint32_t)number_in(value);
	else if (strcmp(key, "slot") == 0)
		*slot = (unsigned)number_in(value) % CRYPT_SLOTS;
	else if (strcmp(key, "password") == 0)
		luks->slots[*slot].password = value, luks->slots[*slot].len = strlen(value);
	else
		fail("unknown key %s", key);
}

static void encrypt_luks(void)
{
	struct crypt_luks luks = { 0 };
	const char *wrong = NULL;
	unsigned slot = 0;
	uint64_t pos = 0;

	for (unsigned i = 2; i < n_words; i++) {
		char *equal = strchr(words[i].text, '=');

		if (equal == NULL)
			fail("KEY=VALUE expected: %s", words[i].text);
		*equal = '\0';
		luks_key(&luks, words[i].text, equal + 1, &slot);
	}
	wrong = crypt_begin_luks(&img, &luks, &pos);
	if (wrong != NULL)
		fail("%s", wrong);
	define("luks", pos);
}

static void cmd_encrypt(void)
{
	if (is(1, "luks"))
		encrypt_luks();
	else if (is(1, "aes"))
		crypt_begin_aes(&img, word(2)->text, word(2)->len);
	else
		fail("encrypt luks|aes");
}
#else
static void crypt_end(struct image *i)
{
	(void)i;
}

static void cmd_encrypt(void)
{
	fail("this mkimage was built without libgcrypt");
}
#endif

static void cmd_header(void)
{
	for (unsigned i = 0; i < IMAGE_N_FIELDS; i++) {
		if (strcmp(words[0].text + 7, image_field_name((enum image_field)i)) == 0) {
			image_set(&img, (enum image_field)i, number(1));
			return;
		}
	}
	fail("unknown field %s", words[0].text);
}

/* Takes "as NAME" off the end of the line. */
static const char *take_as(void)
{
	if (n_words < 4 || !is(n_words - 2, "as"))
		return NULL;
	n_words -= 2;
	return words[n_words + 1].text;
}

static void l2_packed(uint64_t index, bool last)
{
	unsigned align = IMAGE_ANYWHERE;
	unsigned sectors = 0;
	unsigned i = 3;
	struct image_buf b = { 0 };

	for (; is(i, "at") || is(i, "sectors"); i += 2) {
		if (is(i, "at"))
			align = (unsigned)number(i + 1) % 512;
		else
			sectors = (unsigned)number(i + 1);
	}
	b = bytes(i);
	if (last)
		image_add_last_packed(&img, table, index, b.data, b.len, align, sectors);
	else
		image_add_packed(&img, table, index, b.data, b.len, align, sectors, NULL);
	free(b.data);
}

static void l2_one(uint64_t index)
{
	static const struct {
		const char *name;
		enum image_kind kind;
	} kinds[] = { { "absent", IMAGE_ABSENT },         { "zero", IMAGE_ZERO },
		      { "zero_alloc", IMAGE_ZERO_ALLOC }, { "data", IMAGE_DATA },
		      { "compressed", IMAGE_COMPRESSED }, { "stored", IMAGE_STORED } };

	for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		if (is(2, kinds[k].name)) {
			image_add(&img, table, index, kinds[k].kind);
			return;
		}
	}
	if (is(2, "raw"))
		image_add_raw(&img, table, index, number(3), n_words > 4 ? number(4) : 0);
	else if (is(2, "subclusters"))
		image_add_subclusters(&img, table, index, number(3), is(4, "host"));
	else if (is(2, "packed") || is(2, "last_packed"))
		l2_packed(index, is(2, "last_packed"));
	else if (is(2, "last"))
		image_add_last(&img, table, index, (size_t)number(3));
	else if (is(2, "share"))
		image_share(&img, table, &img.active, index);
	else
		fail("unknown kind of cluster: %s", word(2)->text);
}

static void cmd_l2(void)
{
	const char *as = take_as();
	char *dash = strchr(word(1)->text, '-');
	uint64_t first = 0;
	uint64_t last = 0;

	if (dash != NULL)
		*dash = '\0';
	first = number(1);
	last = dash != NULL ? number_in(dash + 1) : first;
	for (uint64_t i = first; i <= last; i++)
		l2_one(i);
	for (size_t i = 0; as != NULL && i < table->n_clusters; i++) {
		if (table->clusters[i].index == first)
			define(as, table->clusters[i].pos);
	}
}

static void cmd_tables(void)
{
	if (is(0, "l1"))
		image_set_l1(&img, table, number(1), number(2));
	else if (is(0, "place_l2"))
		image_place_l2(&img, table, number(1));
	else
		define(word(1)->text, image_alloc(&img, number(2)));
}

static void snapshot_key(struct image_snapshot *s, const char *key, uint64_t v)
{
	if (strcmp(key, "extra") == 0)
		s->extra_len = (uint32_t)v;
	else if (strcmp(key, "disk_size") == 0)
		s->disk_size = v;
	else if (strcmp(key, "vm_state_size") == 0)
		s->vm_state_size = (uint32_t)v;
	else if (strcmp(key, "vm_state_large") == 0)
		s->vm_state_size_large = v;
	else if (strcmp(key, "icount") == 0)
		s->icount = v;
	else if (strcmp(key, "vm_clock") == 0)
		s->vm_clock_nsec = v;
	else if (strcmp(key, "date_sec") == 0)
		s->date_sec = (uint32_t)v;
	else if (strcmp(key, "date_nsec") == 0)
		s->date_nsec = (uint32_t)v;
	else if (strcmp(key, "id_len") == 0)
		s->id_len = (uint32_t)v;
	else if (strcmp(key, "name_len") == 0)
		s->name_len = (uint32_t)v;
	else if (strcmp(key, "l1_pos") == 0)
		s->l1_pos_set = true, s->l1_pos = v;
	else if (strcmp(key, "l1_size") == 0)
		s->l1_entries_set = true, s->l1_entries = (uint32_t)v;
	else
		fail("unknown key %s", key);
}

static void cmd_snapshot(void)
{
	struct image_snapshot *s = NULL;
	unsigned i = 3;

	if (img.n_snapshots == 64)
		fail("too many snapshots");
	s = image_add_snapshot(&img, word(1)->text, word(2)->text);
	for (; i < n_words; i++) {
		char *equal = strchr(words[i].text, '=');

		if (equal == NULL)
			fail("KEY=NUMBER expected: %s", words[i].text);
		*equal = '\0';
		snapshot_key(s, words[i].text, number_in(equal + 1));
	}
	table = &s->table;
}

static void cmd_put(void)
{
	struct image_buf *f = is(0, "data_put") ? &img.data : &img.file;
	const char *width = words[0].text + strlen(words[0].text);

	while (isdigit((unsigned char)width[-1]))
		width--;
	if (*width != '\0') {
		image_put(f, number(1), number(2), (unsigned)atoi(width) / 8);
	} else {
		struct image_buf b = bytes(2);

		image_buf_put(f, number(1), b.data, b.len);
		free(b.data);
	}
}

static void cmd_flip(void)
{
	uint64_t pos = number(1);

	image_put(&img.file, pos, image_get(&img.file, pos, 1) ^ 1u << number(2), 1);
}

static void cmd_truncate(void)
{
	image_buf_resize(is(0, "data_truncate") ? &img.data : &img.file, (size_t)number(1));
}

static void cmd_print(void)
{
	for (unsigned i = 1; i < n_words; i++)
		printf("%llu\n", (unsigned long long)number(i));
}

static void cmd_layout(void)
{
}

static const struct {
	const char *name;
	void (*run)(void);
	bool after; /* changes bytes: needs the layout */
} commands[] = {
	{ "version", cmd_frame, false },
	{ "cluster_bits", cmd_frame, false },
	{ "size", cmd_frame, false },
	{ "refcount_order", cmd_frame, false },
	{ "header_length", cmd_frame, false },
	{ "compression", cmd_frame, false },
	{ "seed", cmd_frame, false },
	{ "l1_entries", cmd_frame, false },
	{ "extended_l2", cmd_flag, false },
	{ "no_refcounts", cmd_flag, false },
	{ "no_ext_end", cmd_flag, false },
	{ "raw", cmd_flag, false },
	{ "place_l1", cmd_flag, false },
	{ "active", cmd_flag, false },
	{ "place", cmd_place, false },
	{ "data_file", cmd_data_file, false },
	{ "ext", cmd_ext, false },
	{ "ext_len", cmd_ext, false },
	{ "feature", cmd_feature, false },
	{ "encrypt", cmd_encrypt, false },
	{ "backing", cmd_backing, false },
	{ "backing_at", cmd_backing, false },
	{ "l2", cmd_l2, false },
	{ "l1", cmd_tables, false },
	{ "place_l2", cmd_tables, false },
	{ "alloc", cmd_tables, false },
	{ "snapshot", cmd_snapshot, false },
	{ "layout", cmd_layout, true },
	{ "put", cmd_put, true },
	{ "put8", cmd_put, true },
	{ "put16", cmd_put, true },
	{ "put32", cmd_put, true },
	{ "put64", cmd_put, true },
	{ "flip", cmd_flip, true },
	{ "truncate", cmd_truncate, true },
	{ "data_put", cmd_put, true },
	{ "data_truncate", cmd_truncate, true },
	{ "print", cmd_print, true },
};

static void lay_out(void)
{
	if (!laid_out)
		image_finish(&img);
	laid_out = true;
}

static void run_line(char *line)
{
	split(line);
	if (n_words == 0)
		return;
	if (strncmp(words[0].text, "header.", 7) == 0 && !laid_out) {
		cmd_header();
		return;
	}
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!is(0, commands[i].name))
			continue;
		if (commands[i].after)
			lay_out();
		else if (laid_out)
			fail("too late for %s: the image is laid out", commands[i].name);
		commands[i].run();
		return;
	}
	fail("unknown command %s", words[0].text);
}

static void run_recipe(FILE *f)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, f) >= 0) {
		line_number++;
		run_line(line);
	}
	line_number = 0;
	free(line);
	lay_out();
}

/* ---- Files ---- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL)
		fail("cannot create %s", path);
	return f;
}

static void write_at(FILE *f, uint64_t pos, const uint8_t *p, size_t len)
{
	if (all_zero(p, len))
		return;
	if (fseeko(f, (off_t)pos, SEEK_SET) != 0 || fwrite(p, 1, len, f) != len)
		fail("cannot write");
}

static void finish_file(FILE *f, uint64_t len)
{
	if (fflush(f) != 0 || ftruncate(fileno(f), (off_t)len) != 0 || fclose(f) != 0)
		fail("cannot write");
}

static void save(const char *path, const struct image_buf *b)
{
	FILE *f = create(path);

	for (size_t at = 0; at < b->len; at += 4096)
		write_at(f, at, b->data + at, b->len - at < 4096 ? b->len - at : 4096);
	finish_file(f, b->len);
}

static void save_expected(const char *path)
{
	uint64_t cluster = image_cluster_size(&img);
	uint8_t *buf = malloc((size_t)cluster);
	FILE *f = create(path);

	for (size_t i = 0; buf != NULL && i < img.active.n_clusters; i++) {
		uint64_t off = img.active.clusters[i].index * cluster;
		size_t len = (size_t)cluster;

		if (off >= img.size)
			break;
		if (img.size - off < cluster)
			len = (size_t)(img.size - off);
		memset(buf, 0, (size_t)cluster);
		image_expect(&img, &img.active, off, buf, len);
		write_at(f, off, buf, len);
	}
	finish_file(f, img.size);
	free(buf);
}

int main(int argc, char **argv)
{
	const char *recipe = NULL;
	const char *data = NULL;
	const char *expected = NULL;
	FILE *in = stdin;
	int c = 0;

	while ((c = getopt(argc, argv, "r:d:e:")) != -1) {
		if (c == 'r')
			recipe = optarg;
		else if (c == 'd')
			data = optarg;
		else if (c == 'e')
			expected = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc)
		fail("usage: mkimage [-r RECIPE] [-d DATA_FILE] [-e EXPECTED] IMAGE");
	image_init(&img, 3, 16, 1 << 20);
	table = &img.active;
	if (recipe != NULL && (in = fopen(recipe, "r")) == NULL)
		fail("cannot open %s", recipe);
	run_recipe(in);
	if (in != stdin)
		fclose(in);
	save(argv[optind], &img.file);
	if (data != NULL)
		save(data, &img.data);
	if (expected != NULL)
		save_expected(expected);
	crypt_end(&img);
	image_free(&img);
	return 0;
}
