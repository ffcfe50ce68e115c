/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Encrypted images: where keys come from, what works without them, and how failures are reported.
 * Built without a cryptographic library, the library refuses all of them with the same error.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/crypt.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536, N_CLUSTERS = 4, THREADS = 40, ROUNDS = 20 };

/* The callback, and what it saw. */
struct asked {
	const char *answer; /* NULL: it has none */
	int result;
	unsigned n, depth;
	char method[8], uuid[64];
	bool has_uuid;
};

static int give_key(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key)
{
	struct asked *asked = ctx;

	asked->n++;
	asked->depth = request->depth;
	asked->has_uuid = request->uuid != NULL;
	snprintf(asked->method, sizeof asked->method, "%s", request->method);
	snprintf(asked->uuid, sizeof asked->uuid, "%s", request->uuid != NULL ? request->uuid : "");
	if (asked->answer == NULL) {
		errno = EXDEV;
		return asked->result;
	}
	key->bytes = asked->answer;
	key->len = strlen(asked->answer);
	return 1;
}

/* An image with LUKS, or with AES. Its clusters: data, compressed, zero, data. */
static void encrypted_image(struct image *img, bool is_luks)
{
	struct crypt_luks luks = { .slots[2] = { "abc", 3 }, .slots[5] = { "x", 1 } };
	uint64_t pos = 0;

	image_init(img, 3, 16, N_CLUSTERS * CLUSTER);
	if (is_luks)
		TRUE(crypt_begin_luks(img, &luks, &pos) == NULL);
	else
		crypt_begin_aes(img, "abc", 3);
	image_add(img, &img->active, 0, IMAGE_DATA);
	image_add(img, &img->active, 1, IMAGE_COMPRESSED);
	image_add(img, &img->active, 2, IMAGE_ZERO);
	image_add(img, &img->active, 3, IMAGE_DATA);
	image_finish(img);
}

static void encrypted_free(struct image *img)
{
	crypt_end(img);
	image_free(img);
}

static struct qcow2_options options_for(struct asked *asked)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	options.get_key = give_key;
	options.get_key_ctx = asked;
	return options;
}

static void refuses(struct image *img, const struct qcow2_options *options, int error, int status)
{
	unsigned fds = count_fds();

	TRUE(qcow2_open_options(image_to_fd(img), options, NULL) == NULL);
	EQ(errno, error);
	EQ(qcow2_last_failure()->status, status);
	EQ(count_fds(), fds);
}

static void test_no_library(void **state)
{
	struct asked asked = { .answer = "abc" };
	struct qcow2_options options = options_for(&asked);
	struct image img;

	(void)state;
	encrypted_image(&img, true);
	refuses(&img, &options, ENOTSUP, QCOW2_E_ENCRYPTED);
	HAS(qcow2_last_failure()->message, "libgcrypt or libcrypto");
	EQ(asked.n, 0);
	encrypted_free(&img);
}

static void test_read(void **state)
{
	static uint8_t buf[N_CLUSTERS * CLUSTER], want[sizeof buf];
	int is_luks;

	(void)state;
	for (is_luks = 0; is_luks < 2; is_luks++) {
		struct asked asked = { .answer = "abc" };
		struct qcow2_options options = options_for(&asked);
		struct image img;
		struct qcow2 *q;

		test_case("%s", is_luks ? "luks" : "aes");
		encrypted_image(&img, is_luks);
		q = qcow2_open_options(image_to_fd(&img), &options, NULL);
		TRUE(q != NULL);
		EQ(asked.n, 1);
		EQ(asked.depth, 0);
		TEXT(asked.method, is_luks ? "luks" : "aes");
		TEXT(asked.uuid, is_luks ? "01234567-89ab-cdef-0123-456789abcdef" : "");
		EQ(asked.has_uuid, is_luks);
		memset(want, 0, sizeof want);
		image_expect(&img, &img.active, 0, want, sizeof want);
		EQ(read_guarded(q, buf, sizeof buf, 0), sizeof buf);
		SAME(buf, want, sizeof buf);
		EQ(read_guarded(q, buf, 1000, 700), 1000);
		SAME(buf, want + 700, 1000);
		qcow2_close(q);
		encrypted_free(&img);
	}
}

static void test_keys(void **state)
{
	struct asked asked = { 0 };
	struct qcow2_options options = options_for(&asked);
	struct image img;

	(void)state;
	encrypted_image(&img, true);
	refuses(&img, &options, ENOTSUP, QCOW2_E_ENCRYPTED);
	asked.result = -1;
	refuses(&img, &options, EXDEV, 0);
	asked.answer = "abcd";
	refuses(&img, &options, EACCES, QCOW2_E_KEY);
	HAS(qcow2_last_failure()->message, "none of the 2 active key slots");
	asked.answer = "abc";
	options.max_iterations = 999;
	refuses(&img, &options, EFBIG, QCOW2_E_TOO_BIG);
	HAS(qcow2_last_failure()->message, ": 1000");
	options.get_key = NULL;
	refuses(&img, &options, ENOTSUP, QCOW2_E_ENCRYPTED);
	refuses(&img, NULL, ENOTSUP, QCOW2_E_ENCRYPTED);
	EQ(asked.n, 4);
	encrypted_free(&img);
}

/* Nothing tells whether the key of AES is right, but it may be missing. */
static void test_aes_keys(void **state)
{
	struct asked asked = { 0 };
	struct qcow2_options options = options_for(&asked);
	struct image img;

	(void)state;
	encrypted_image(&img, false);
	refuses(&img, &options, ENOTSUP, QCOW2_E_ENCRYPTED);
	HAS(qcow2_last_failure()->message, "the image is encrypted (aes), and no key was given");
	asked.result = -1;
	refuses(&img, &options, EXDEV, 0);
	HAS(qcow2_last_failure()->message, "cannot get the key");
	EQ(asked.n, 2);
	encrypted_free(&img);
}

/* Tables are not encrypted, nor is compressed data. */
static void test_without_keys(void **state)
{
	static const unsigned flags[] = { QCOW2_INSPECT, QCOW2_WITHOUT_KEYS };
	static const unsigned kinds[N_CLUSTERS] = { QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_ENCRYPTED,
		                                    QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_COMPRESSED,
		                                    QCOW2_SEGMENT_ZERO,
		                                    QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_ENCRYPTED };
	static uint8_t buf[CLUSTER], want[CLUSTER];
	struct asked asked = { .answer = "abc" };
	struct qcow2_options options = options_for(&asked);
	struct image img;
	size_t i, k;

	(void)state;
	encrypted_image(&img, true);
	image_expect(&img, &img.active, CLUSTER, want, sizeof want);
	for (i = 0; i < COUNT(flags); i++) {
		struct qcow2_segment segment;
		struct qcow2 *q;

		options.flags = flags[i];
		q = qcow2_open_options(image_to_fd(&img), &options, NULL);
		TRUE(q != NULL);
		for (k = 0; k < N_CLUSTERS; k++) {
			EQ(map_guarded(q, k * CLUSTER, CLUSTER, &segment), 1);
			EQ(segment.length, CLUSTER);
			EQ(segment.flags, kinds[k] | QCOW2_SEGMENT_PRESENT);
			EQ(segment.fd, -1);
		}
		EQ(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
		SAME(buf, want, sizeof buf);
		EQ(read_guarded(q, buf, CLUSTER, 3 * CLUSTER), -1);
		EQ(errno, ENOTSUP);
		EQ(qcow2_last_failure()->status, QCOW2_E_ENCRYPTED);
		EQ(qcow2_last_failure()->offset, 3 * CLUSTER);
		EQ(qcow2_last_failure()->length, CLUSTER);
		qcow2_close(q);
	}
	EQ(asked.n, 0);
	encrypted_free(&img);
}

/* What is wrong with the LUKS header, in the messages. */
static void test_header(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		const char *text;
	} cases[] = {
		{ 0, 4, 0, "the magic number is missing (at file offset " },
		{ CRYPT_AT_HASH, 4, 0, "the hash is unknown" },
		{ CRYPT_AT_ITERATIONS, 4, 0, "the digest has no iterations" },
		{ CRYPT_AT_SLOTS + 6 * CRYPT_SLOT_LEN, 4, 7, "the place of key slot 6" },
	};
	struct qcow2_encryption e = { .struct_size = sizeof e };
	struct asked asked = { .answer = "abc" };
	struct qcow2_options options = options_for(&asked);
	struct qcow2_options inspect = { .struct_size = sizeof inspect, .flags = QCOW2_INSPECT };
	struct image img;
	struct qcow2 *q;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		encrypted_image(&img, true);
		q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
		EQ(qcow2_get_encryption(q, 0, &e), 1);
		qcow2_close(q);
		image_put(&img.file, e.header_offset + cases[i].at, cases[i].value, cases[i].bytes);
		q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
		EQ(qcow2_get_encryption(q, 0, &e), -1);
		EQ(errno, EINVAL);
		HAS(qcow2_last_failure()->message, cases[i].text);
		qcow2_close(q);
		if (qcow2_get_crypto() != NULL)
			refuses(&img, &options, EINVAL, QCOW2_E_LUKS);
		encrypted_free(&img);
	}
	small_image(&img);
	image_set(&img, IMAGE_CRYPT_METHOD, 2);
	q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), -1);
	HAS(qcow2_last_failure()->message, "the image has none");
	qcow2_close(q);
	image_free(&img);
	encrypted_image(&img, true);
	image_put(&img.file, img.ext_pos + 8, 513, 8);
	q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), -1);
	HAS(qcow2_last_failure()->message, "its place or length is invalid");
	qcow2_close(q);
	image_put(&img.file, img.ext_pos + 8, UINT64_C(1) << 40, 8);
	q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), -1);
	EQ(errno, EIO);
	qcow2_close(q);
	encrypted_free(&img);
}

static void test_describe(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_encryption e = { .struct_size = sizeof e };
	struct image img;
	struct qcow2 *q;

	(void)state;
	options.flags = QCOW2_INSPECT;
	encrypted_image(&img, true);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), 1);
	TEXT(e.method, "luks");
	TEXT(e.cipher, "aes-256");
	TEXT(e.mode, "xts");
	TEXT(e.iv, "plain64");
	TRUE(e.iv_hash == NULL);
	TEXT(e.hash, "sha256");
	EQ(e.payload_offset, 4040 * 512);
	EQ(e.iterations, 1000);
	EQ(e.slots[5].active, 1);
	EQ(e.slots[5].iterations, 1000);
	EQ(e.slots[6].active, 0);
	EQ(e.slots[6].stripes, 4000);
	EQ(e.slots[1].offset, 512 * 512);
	EQ(qcow2_get_encryption(q, 1, &e), -1);
	EQ(errno, ENOENT);
	e.struct_size = 8;
	EQ(qcow2_get_encryption(q, 0, &e), -1);
	EQ(errno, EINVAL);
	TEXT(e.method, "luks");
	qcow2_close(q);
	/* The header of LUKS is no longer one, and is past the end of the file. */
	e.struct_size = sizeof e;
	image_put(&img.file, e.header_offset + 6, 2, 2);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), -1);
	EQ(errno, EINVAL);
	EQ(qcow2_last_failure()->status, QCOW2_E_LUKS);
	EQ(qcow2_last_failure()->pos, e.header_offset + 6);
	qcow2_close(q);
	encrypted_free(&img);

	encrypted_image(&img, false);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	EQ(qcow2_get_encryption(q, 0, &e), 1);
	TEXT(e.method, "aes");
	TEXT(e.cipher, "aes-128");
	TEXT(e.mode, "cbc");
	TRUE(e.hash == NULL);
	qcow2_close(q);
	encrypted_free(&img);

	small_image(&img);
	q = open_good(image_to_fd(&img));
	EQ(qcow2_get_encryption(q, 0, &e), 0);
	TRUE(e.method == NULL);
	qcow2_close(q);
	image_free(&img);
}

struct reading {
	struct qcow2 *q;
	const uint8_t *want;
	unsigned n_wrong;
};

static void *read_again(void *arg)
{
	struct reading *reading = arg;
	uint8_t buf[5000];
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		size_t off = i * 977u;

		if (qcow2_read(reading->q, buf, sizeof buf, off) != (int)sizeof buf ||
		    memcmp(buf, reading->want + off, sizeof buf) != 0)
			reading->n_wrong++;
	}
	return NULL;
}

/* More threads than a cipher has handles. */
static void test_encrypted_threads(void **state)
{
	struct asked asked = { .answer = "abc" };
	struct qcow2_options options = options_for(&asked);
	static uint8_t want[CLUSTER];
	struct reading readings[THREADS];
	pthread_t threads[THREADS];
	struct image img;
	struct qcow2 *q;
	unsigned i;

	(void)state;
	encrypted_image(&img, true);
	image_expect(&img, &img.active, 0, want, sizeof want);
	options.max_readers = THREADS;
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	TRUE(q != NULL);
	for (i = 0; i < THREADS; i++) {
		readings[i] = (struct reading){ q, want, 0 };
		EQ(pthread_create(&threads[i], NULL, read_again, &readings[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EQ(readings[i].n_wrong, 0);
	}
	qcow2_close(q);
	encrypted_free(&img);
}

/* If the n-th allocation or read fails, opening or reading does, and the next attempt succeeds. */
static void test_encrypted_faults(void **state)
{
	static const enum call calls[] = { CALL_ALLOC, CALL_PREAD };
	struct asked asked = { .answer = "abc" };
	struct qcow2_options options = options_for(&asked);
	struct image img;
	uint8_t buf[512];
	unsigned n;
	size_t i;

	(void)state;
	encrypted_image(&img, true);
	for (i = 0; i < COUNT(calls); i++) {
		for (n = 1;; n += calls[i] == CALL_PREAD && n > 8 ? 97 : 1) {
			int fd = image_to_fd(&img);
			struct qcow2 *q;

			test_case("call %u of kind %d", n, (int)calls[i]);
			hooks_reset();
			hooks.fail_at[calls[i]] = n;
			q = qcow2_open_options(fd, &options, NULL);
			if (q == NULL) {
				EQ(errno, call_errno[calls[i]]);
				hooks_reset();
				continue;
			}
			if (qcow2_read(q, buf, sizeof buf, 0) < 0)
				EQ(errno, call_errno[calls[i]]);
			n = hooks.n_failed != 0u ? n : 0u;
			hooks_reset();
			EQ(qcow2_read(q, buf, sizeof buf, 0), sizeof buf);
			qcow2_close(q);
			if (n == 0u)
				break;
		}
	}
	encrypted_free(&img);
}

int main(void)
{
	const struct CMUnitTest without[] = {
		cmocka_unit_test(test_no_library),
		cmocka_unit_test(test_without_keys),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_header),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_aes_keys),
		cmocka_unit_test(test_without_keys),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_encrypted_threads),
		cmocka_unit_test(test_encrypted_faults),
	};

	if (qcow2_get_crypto() == NULL)
		return cmocka_run_group_tests(without, dir_setup, dir_teardown);
	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
