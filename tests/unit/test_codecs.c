/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the reader promises to codecs, and which codec and how much memory an image needs. The
 * codecs here are simpler than deflate, and check the promises.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 12, CLUSTER = 1 << BITS };

static void no_begin(const struct qcow2_codec *self, void *work)
{
	memset(work, 0x11, self->work_len);
}

/* Its "compression" XORs every byte with 0xa5. It takes all input at once, and makes all output. */
static int xor_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	int rc = QCOW2_OK;

	EQ((uintptr_t)work % 8, 0);
	memset(work, 0x22, self->work_len);
	if (stream->done == stream->stop)
		return rc;
	EQ(stream->done, 0);
	EQ(stream->stop, stream->window_len);
	if (stream->next == stream->end)
		rc = stream->fill(stream);
	if (rc != QCOW2_OK)
		return rc;
	if ((size_t)(stream->end - stream->next) < stream->stop)
		return QCOW2_E_TRUNCATED;
	for (uint32_t i = 0; i < stream->stop; i++)
		stream->window[i] = *stream->next++ ^ 0xa5;
	stream->done = stream->stop;
	stream->window_at = 0;
	return QCOW2_OK;
}

static const struct qcow2_codec xor_codec = { .type = QCOW2_COMPRESSION_ZSTD,
	                                      .whole = true,
	                                      .work_len = 1000,
	                                      .begin = no_begin,
	                                      .decode = xor_decode };
static const struct qcow2_codec *const xor_only[] = { &xor_codec, NULL };
static const struct qcow2_codec *const both[] = { &qcow2_deflate_small, &xor_codec, NULL };
static const struct qcow2_codec *const none[] = { NULL };

static void make_xor(struct test_image *s)
{
	uint8_t packed[CLUSTER];

	image_init(&s->img, 3, BITS, 4 * CLUSTER);
	s->img.compression_type = 1;
	for (uint64_t i = 0; i < 3; i++) {
		image_fill(packed, CLUSTER, s->img.active.seed, i * CLUSTER);
		for (size_t k = 0; k < CLUSTER; k++)
			packed[k] ^= 0xa5;
		image_add_packed(&s->img, &s->img.active, i, packed, CLUSTER, 13, 0, NULL);
	}
	test_image_open(s);
}

static void test_whole_codec(void **state)
{
	struct test_image s = { 0 };
	struct test_reader reader;
	uint8_t want[4 * CLUSTER] = { 0 };
	uint64_t memory[QCOW2_READER_MEMORY_CLUSTER(BITS, 1000) / 8 + 1];
	size_t min = 0;
	size_t good = 0;

	(void)state;
	test_case("a codec that wants all at once");
	make_xor(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	EQ(qcow2_reader_memory(&s.image, xor_only, &min, &good), QCOW2_OK);
	LE(min, QCOW2_READER_MEMORY_CLUSTER(BITS, 1000));
	LE(min, good);
	for (unsigned i = 0; i < 2; i++) {
		test_reader_init(&reader, &s.image, i == 0 ? min : good, i == 0 ? xor_only : both);
		EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		EQ(test_reader_read(&reader, 100, want + 100, CLUSTER), QCOW2_OK);
		EQ(test_reader_read(&reader, CLUSTER + 1, want + CLUSTER + 1, 1), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_case("and does not get the memory");
	EQ(qcow2_reader_init(&reader.q, &s.image, memory, min - 8), QCOW2_OK);
	EQ(qcow2_reader_codecs(&reader.q, xor_only), QCOW2_E_MEMORY);
	EQ(reader.q.error.detail, min);
	test_image_free(&s);
}

/* Its "compression" puts a byte that means nothing before the bytes as they are. */
static int copy_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	size_t n_given = 0;

	EQ((uintptr_t)work % 8, 0);
	memset(work, 0x22, self->work_len);
	LE(stream->window_len, CLUSTER);
	if (stream->done == 0)
		EQ(stream->window_at, 0);
	for (bool skip = stream->done == 0; skip || stream->done < stream->stop;) {
		int rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);

		if (rc != QCOW2_OK || stream->next == stream->end)
			return rc != QCOW2_OK ? rc : QCOW2_E_TRUNCATED;
		if (skip)
			n_given = (size_t)(stream->end - stream->next);
		else
			stream->window[stream->done++ % stream->window_len] = *stream->next;
		stream->next++;
		skip = false;
	}
	/* A whole codec gets up to 2 clusters of input at once, which is all of it here. */
	if (self->whole && n_given != 0)
		EQ(n_given, CLUSTER + 1);
	stream->window_at = stream->done % stream->window_len;
	return QCOW2_OK;
}

static void make_copy(struct test_image *s)
{
	uint8_t packed[CLUSTER + 1] = { 0x77 };

	image_init(&s->img, 3, BITS, 4 * CLUSTER);
	for (uint64_t i = 0; i < 3; i++) {
		image_fill(packed + 1, CLUSTER, s->img.active.seed, i * CLUSTER);
		/* The last piece of the input is one byte. */
		image_add_packed(&s->img, &s->img.active, i, packed, sizeof packed, 511, 0, NULL);
	}
	test_image_open(s);
}

/* Everything that a codec is promised, with memory of any length. */
static void test_promises(void **state)
{
	static const struct qcow2_codec codecs[] = {
		{ .work_len = 9, .begin = no_begin, .decode = copy_decode },
		{ .work_len = 16, .begin = no_begin, .decode = copy_decode, .whole = true },
	};
	uint8_t want[4 * CLUSTER] = { 0 };
	struct test_image s = { 0 };
	struct test_image above = { 0 };
	struct test_reader reader;

	(void)state;
	make_copy(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	image_init(&above.img, 3, 16, sizeof want);
	test_image_open(&above);
	EQ(qcow2_image_attach_backing(&above.image, &s.image), QCOW2_OK);
	for (size_t i = 0; i < COUNT(codecs); i++) {
		const struct qcow2_codec *const list[] = { &codecs[i], NULL };
		size_t min, good, more;

		EQ(qcow2_reader_memory(&s.image, list, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_SLICE + 16 + (i == 0 ? 512 + CLUSTER : 3 * CLUSTER));
		for (more = 0; more < 8; more++) {
			test_case("codec %zu, memory of %zu", i, min + more);
			test_reader_init(&reader, &s.image, min + more, list);
			EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
			EQ(test_reader_read(&reader, 100, want + 100, CLUSTER), QCOW2_OK);
			test_reader_free(&reader);
		}
		test_case("codec %zu, smaller clusters below", i);
		EQ(qcow2_reader_memory(&above.image, list, &min, &good), QCOW2_OK);
		test_reader_init(&reader, &above.image, good, list);
		EQ(test_reader_read(&reader, 100, want + 100, 2 * CLUSTER), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_image_free(&above);
	test_image_free(&s);
}

/* ---- Input at any place ---- */

/* Returns byte number k of the input, or a status. Checks the piece that has it. */
static int byte_at(struct qcow2_stream *stream, uint32_t k)
{
	size_t len = (size_t)(stream->end - stream->next);

	if (stream->fill_at - k - 1 >= len) {
		int rc;

		stream->fill_at = k;
		rc = stream->fill(stream);
		if (rc != QCOW2_OK)
			return rc;
		len = (size_t)(stream->end - stream->next);
		if (len == 0) {
			EQ(stream->fill_at, k);
			return QCOW2_E_TRUNCATED;
		}
		EQ((stream->fill_at - len) % 512, 0);
		LE(stream->fill_at - k - 1, len - 1);
	}
	return *(stream->end - (stream->fill_at - k));
}

static uint32_t want_at; /* if it is not 0, the codec reads only this byte */

/* Its "compression" stores the bytes in reverse order, and then XORs them with 0xa5. */
static int reverse_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	EQ((uintptr_t)work % 8, 0);
	memset(work, 0x22, self->work_len);
	if (stream->done == stream->stop)
		return QCOW2_OK;
	EQ(stream->done, 0);
	EQ(stream->stop, stream->window_len);
	EQ(stream->window_at, 0);
	TRUE(stream->next == stream->end);
	if (want_at != 0)
		return byte_at(stream, want_at);
	for (uint32_t i = 0; i < stream->stop; i++) {
		int byte = byte_at(stream, stream->stop - 1 - i);

		if (byte < 0)
			return byte;
		stream->window[i] = (uint8_t)(byte ^ 0xa5);
	}
	/* The other way, too, and up to the end. */
	for (uint32_t i = 0; i < stream->stop; i++) {
		int byte = byte_at(stream, i);

		if (byte < 0)
			return byte;
		EQ(byte ^ 0xa5, stream->window[stream->stop - 1 - i]);
	}
	EQ(byte_at(stream, stream->stop + 1024), QCOW2_E_TRUNCATED);
	EQ(byte_at(stream, UINT32_MAX), QCOW2_E_TRUNCATED);
	stream->done = stream->stop;
	return QCOW2_OK;
}

static const struct qcow2_codec reverse_codec = { .type = QCOW2_COMPRESSION_ZSTD,
	                                          .whole = true,
	                                          .work_len = 21,
	                                          .begin = no_begin,
	                                          .decode = reverse_decode,
	                                          .pieces = true };
static const struct qcow2_codec *const reverse_only[] = { &reverse_codec, NULL };
static const struct qcow2_codec *const with_reverse[] = { &reverse_codec, &qcow2_deflate_small,
	                                                  NULL };

enum { REVERSE_NEEDS = 24 + 512 }; /* work and packed bytes */

/* A disk of three packed clusters; with `cut`, the last of `cut` bytes, at the end of the file. */
static void make_reverse(struct test_image *s, unsigned bits, size_t cut)
{
	size_t cluster = (size_t)1 << bits;
	uint8_t *packed = malloc(cluster);

	TRUE(packed != NULL);
	image_init(&s->img, 3, bits, 3 * cluster);
	s->img.compression_type = QCOW2_COMPRESSION_ZSTD;
	for (uint64_t i = 0; i < 3; i++) {
		image_fill(packed, cluster, s->img.active.seed, i * cluster);
		for (size_t k = 0; k < cluster / 2; k++) {
			uint8_t first = packed[k];

			packed[k] = packed[cluster - 1 - k] ^ 0xa5;
			packed[cluster - 1 - k] = first ^ 0xa5;
		}
		if (i == 2 && cut != 0)
			image_add_last_packed(&s->img, &s->img.active, i, packed, cut, 13,
			                      (unsigned)(cluster / 512 + 1));
		else
			image_add_packed(&s->img, &s->img.active, i, packed, cluster, 511, 0, NULL);
	}
	free(packed);
	test_image_open(s);
}

/* A codec that reads its input from the end; with the least memory, and with more. */
static void test_pieces(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 14; bits++) {
		uint32_t cluster = UINT32_C(1) << bits;
		struct test_image s = { 0 };
		uint8_t *want = malloc(3 * cluster);
		size_t min, good;

		TRUE(want != NULL);
		make_reverse(&s, bits, 0);
		image_expect(&s.img, &s.img.active, 0, want, 3 * cluster);
		EQ(qcow2_reader_memory(&s.image, reverse_only, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_SLICE + REVERSE_NEEDS + cluster);
		for (unsigned i = 0; i < 3; i++) {
			struct test_reader reader;

			test_case("cluster_bits %u, memory %u", bits, i);
			test_reader_init(&reader, &s.image,
			                 i == 0   ? min
			                 : i == 1 ? good - 8
			                          : good,
			                 reverse_only);
			EQ(test_reader_read(&reader, 0, want, 3 * cluster), QCOW2_OK);
			EQ(test_reader_read(&reader, 100, want + 100, cluster), QCOW2_OK);
			EQ(test_reader_read(&reader, 1, want + 1, 1), QCOW2_OK);
			test_reader_free(&reader);
		}
		free(want);
		test_image_free(&s);
	}
}

/* The file ends before the packed bytes do, or a read fails. */
static void test_pieces_fail(void **state)
{
	enum { CUT = 1000 };
	struct test_image s = { 0 };
	struct test_reader reader;
	uint8_t want[3 * CLUSTER] = { 0 };
	uint32_t n_pieces = 0;

	(void)state;
	make_reverse(&s, BITS, CUT);
	image_expect(&s.img, &s.img.active, 0, want, 2 * CLUSTER);
	test_reader_init(&reader, &s.image, 0, reverse_only);
	EQ(test_reader_read(&reader, 0, want, 2 * CLUSTER), QCOW2_OK);
	EQ(test_reader_read(&reader, 2 * CLUSTER, want, CLUSTER), QCOW2_E_TRUNCATED);
	EQ(reader.q.error.pos, s.img.file.len);
	EQ(test_reader_read(&reader, 2 * CLUSTER + 5, want, 1), QCOW2_E_TRUNCATED);
	test_case("the codec wants more than the entry states");
	want_at = UINT32_MAX;
	EQ(test_reader_read(&reader, 2 * CLUSTER, want, CLUSTER), QCOW2_E_COMPRESSED);
	want_at = 0;
	for (unsigned n = 2;; n++) {
		test_case("read %u fails", n);
		EQ(test_reader_read(&reader, CLUSTER, want + CLUSTER, 7), QCOW2_OK);
		test_io_reset(&s.io);
		s.io.fail_at = n;
		if (qcow2_reader_read(&reader.q, 0, want, 1) == QCOW2_OK)
			break;
		EQ(reader.q.error.status, QCOW2_E_IO);
		EQ(reader.q.error.io_code, IO_FAULT);
		EQ(s.io.calls, n);
		/* The other reads are of tables. */
		if (reader.q.error.pos - s.img.active.clusters[0].pos < CLUSTER)
			n_pieces++;
		EQ(test_reader_read(&reader, 0, want, CLUSTER), QCOW2_OK);
	}
	EQ(n_pieces, 2 * (CLUSTER / 512) - 1); /* back and forth, with one turn */
	test_reader_free(&reader);
	test_image_free(&s);
}

/*
 * The window of a chain is as long as the clusters of the codec that needs whole ones. Longer
 * clusters of another image pass through it in parts, and shorter ones fit into it.
 */
static void test_pieces_in_chain(void **state)
{
	static const struct {
		unsigned bits, deflate_bits;
		uint32_t window;
	} cases[] = { { 9, 16, 4096 }, { 13, 16, 8192 }, { 14, 10, 16384 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t size = (size_t)3 << cases[i].bits;
		struct test_image s = { 0 };
		struct test_image d = { 0 };
		struct test_reader reader;
		uint8_t *want = malloc(size);
		size_t min, good;

		test_case("clusters of %u and %u bits", cases[i].bits, cases[i].deflate_bits);
		TRUE(want != NULL);
		make_reverse(&s, cases[i].bits, 0);
		image_expect(&s.img, &s.img.active, 0, want, size);
		image_init(&d.img, 3, cases[i].deflate_bits, size);
		test_image_open(&d);
		EQ(qcow2_image_attach_backing(&d.image, &s.image), QCOW2_OK);
		EQ(qcow2_reader_memory(&d.image, with_reverse, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_SLICE + ((qcow2_deflate_small.work_len + 7) & ~7u) + 512 +
		                cases[i].window);
		test_reader_init(&reader, &d.image, min, with_reverse);
		EQ(reader.q.window_len, cases[i].window);
		EQ(test_reader_read(&reader, 3, want + 3, size - 3), QCOW2_OK);
		EQ(test_reader_read(&reader, 0, want, size), QCOW2_OK);
		test_reader_free(&reader);
		free(want);
		test_image_free(&d);
		test_image_free(&s);
	}
}

/* If a codec returns a status that it must not, the reader reports damage. */
static int odd_status;

static int odd_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	(void)self;
	(void)work;
	(void)stream;
	return odd_status;
}

static void test_odd_statuses(void **state)
{
	static const int statuses[] = { 1, QCOW2_E_ARGUMENT, QCOW2_E_BACKING, QCOW2_E_L2_ENTRY,
		                        -999 };
	static const struct qcow2_codec odd = { .begin = no_begin, .decode = odd_decode };
	static const struct qcow2_codec *const odd_only[] = { &odd, NULL };
	uint8_t packed[1] = { 0 };
	uint8_t buf[CLUSTER];
	struct test_image s = { 0 };
	struct test_reader reader;

	(void)state;
	image_init(&s.img, 3, BITS, CLUSTER);
	image_add_last_packed(&s.img, &s.img.active, 0, packed, 1, 5, 3);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, odd_only);
	for (size_t i = 0; i < COUNT(statuses); i++) {
		test_case("status %d", statuses[i]);
		odd_status = statuses[i];
		EQ(qcow2_reader_read(&reader.q, 0, buf, CLUSTER), QCOW2_E_COMPRESSED);
		EQ(qcow2_reader_read(&reader.q, 9, buf, 1), QCOW2_E_COMPRESSED);
		EQ(reader.q.error.status, QCOW2_E_COMPRESSED);
		EQ(reader.q.error.pos, s.img.active.clusters[0].pos);
	}
	odd_status = QCOW2_E_TRUNCATED;
	EQ(qcow2_reader_read(&reader.q, 9, buf, 1), QCOW2_E_TRUNCATED);
	EQ(reader.q.error.pos, s.img.file.len);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* Images with different codecs and cluster sizes in one chain, either way round. */
static void test_two_codecs(void **state)
{
	(void)state;
	for (unsigned xor_on_top = 0; xor_on_top < 2; xor_on_top++) {
		struct test_image x = { 0 };
		struct test_image d = { 0 };
		struct test_image *top = xor_on_top ? &x : &d;
		struct test_image *below = xor_on_top ? &d : &x;
		struct layer layers[2];
		struct test_reader reader;
		uint8_t want[4 * CLUSTER];

		make_xor(&x);
		image_init(&d.img, 3, 10, 4 * CLUSTER);
		d.img.active.seed = 5;
		image_add_range(&d.img, &d.img.active, 2, 6, IMAGE_COMPRESSED);
		image_add_range(&d.img, &d.img.active, 14, 2, IMAGE_COMPRESSED);
		test_image_open(&d);
		EQ(qcow2_image_attach_backing(&top->image, &below->image), QCOW2_OK);
		layers[0] = (struct layer){ .img = &top->img, .size = sizeof want };
		layers[1] = (struct layer){ .img = &below->img, .size = sizeof want };
		expect_chain(layers, 2, 0, want, sizeof want);
		for (unsigned i = 0; i < 3; i++) {
			test_case("xor on top %u, memory %u", xor_on_top, i);
			test_reader_init(&reader, &top->image, i * 16000, both);
			EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
			EQ(test_reader_read(&reader, 1, want + 1, sizeof want - 2), QCOW2_OK);
			EQ(test_reader_read(&reader, 1500, want + 1500, 100), QCOW2_OK);
			EQ(test_reader_read(&reader, 5000, want + 5000, 100), QCOW2_OK);
			EQ(test_reader_read(&reader, 1600, want + 1600, 100), QCOW2_OK);
			test_reader_free(&reader);
		}
		test_image_free(&x);
		test_image_free(&d);
	}
}

/* Without a codec for the type, only reads of compressed clusters fail. */
static void test_no_codec(void **state)
{
	const struct qcow2_codec *const *const sets[] = { NULL, none, deflate_only };
	struct test_image s = { 0 };
	uint8_t want[CLUSTER] = { 0 };

	(void)state;
	make_xor(&s);
	for (unsigned i = 0; i < COUNT(sets); i++) {
		struct test_reader reader;
		struct qcow2_extent e;

		test_case("set %u", i);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, sets[i]);
		EQ(test_reader_read(&reader, 10, want, 20), QCOW2_E_CODEC);
		EQ(reader.q.error.status, QCOW2_E_CODEC);
		EQ(reader.q.error.detail, QCOW2_COMPRESSION_ZSTD);
		EQ(test_reader_read(&reader, 0, want, CLUSTER), QCOW2_E_CODEC);
		EQ(test_reader_read(&reader, 3 * CLUSTER, want, CLUSTER), QCOW2_OK);
		EQ(qcow2_reader_map(&reader.q, 0, CLUSTER, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

/* The memory of the macros is enough; one unit less than the least is refused. */
static void test_memory(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 21; bits++) {
		struct test_image s = { 0 };
		struct qcow2_reader reader;
		size_t min = 0;
		size_t good = 0;
		void *memory = NULL;

		test_case("cluster_bits %u", bits);
		image_init(&s.img, 3, bits, UINT64_C(4) << bits);
		test_image_open(&s);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_MEMORY);
		LE(min, good);
		EQ(qcow2_reader_memory(&s.image, deflate_only, &min, &good), QCOW2_OK);
		LE(min, QCOW2_READER_MEMORY_DEFLATE);
		LE(min, good);
		LE(min, 1024 + 8192);
		memory = malloc(min);
		EQ(qcow2_reader_init(&reader, &s.image, memory, min), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_E_ARGUMENT); /* only once */
		EQ(qcow2_reader_init(&reader, &s.image, memory, min - 1), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_E_MEMORY);
		EQ(reader.error.status, QCOW2_E_MEMORY);
		EQ(reader.error.detail, min);
		TRUE(reader.error.io == NULL);
		free(memory);
		test_image_free(&s);
	}
}

/* For a disk without tables, four slices are enough. */
static void test_good(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_image raw;
	struct qcow2_io io;
	size_t min = 0;
	size_t good = 0;

	(void)state;
	test_case("no disk");
	image_init(&s.img, 3, 16, 0);
	test_image_open(&s);
	EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
	EQ(good, 4 * QCOW2_READER_SLICE);
	test_case("a raw one");
	memcpy(&io, &s.io.io, sizeof io);
	io.size = UINT64_C(1) << 62;
	EQ(qcow2_image_raw(&raw, &io), QCOW2_OK);
	EQ(qcow2_reader_memory(&raw, NULL, &min, &good), QCOW2_OK);
	EQ(good, 4 * QCOW2_READER_SLICE);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_codec),  cmocka_unit_test(test_promises),
		cmocka_unit_test(test_odd_statuses), cmocka_unit_test(test_two_codecs),
		cmocka_unit_test(test_no_codec),     cmocka_unit_test(test_memory),
		cmocka_unit_test(test_good),         cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_pieces_fail),  cmocka_unit_test(test_pieces_in_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
