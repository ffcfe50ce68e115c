/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Compares src/mem.c, compiled under other names, with the functions of the libc. */
#include "support.h"

#include <string.h>

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#include "../../src/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

enum { ROOM = 64, MOST = 40 };

static void fill(uint8_t *bytes, unsigned first)
{
	for (unsigned i = 0; i < ROOM; i++)
		bytes[i] = (uint8_t)(first + i);
}

/* Every length at every alignment, overlapping forwards and backwards. */
static void test_move(void **state)
{
	uint8_t got[ROOM], want[ROOM];

	(void)state;
	for (unsigned len = 0; len <= MOST; len++) {
		for (unsigned from = 0; from <= ROOM - MOST; from++) {
			for (unsigned to = 0; to <= ROOM - MOST; to++) {
				test_case("%u bytes from %u to %u", len, from, to);
				fill(got, 1);
				fill(want, 1);
				TRUE(own_memmove(got + to, got + from, len) == got + to);
				memmove(want + to, want + from, len);
				SAME(got, want, ROOM);
			}
		}
	}
}

/* To and from every place in a word. */
static void test_copy(void **state)
{
	uint8_t got[ROOM], want[ROOM], source[ROOM];

	(void)state;
	fill(source, 100);
	for (unsigned len = 0; len <= MOST; len++) {
		for (unsigned place = 0; place < 64; place++) {
			const uint8_t *from = source + place / 8;
			unsigned to = place % 8;

			test_case("%u bytes from %u to %u", len, place / 8, to);
			fill(got, 1);
			fill(want, 1);
			TRUE(own_memcpy(got + to, from, len) == got + to);
			memcpy(want + to, from, len);
			SAME(got, want, ROOM);
		}
	}
}

static void test_set(void **state)
{
	uint8_t got[ROOM], want[ROOM];

	(void)state;
	for (unsigned len = 0; len <= MOST; len++) {
		for (unsigned to = 0; to < 16; to++) {
			test_case("%u bytes at %u", len, to);
			fill(got, 1);
			fill(want, 1);
			TRUE(own_memset(got + to, 0x1a5, len) == got + to);
			memset(want + to, 0xa5, len);
			SAME(got, want, ROOM);
		}
	}
}

static int sign(int value)
{
	return value < 0 ? -1 : value > 0;
}

/* The first byte that differs decides, as an unsigned number. Bytes after `len` do not count. */
static void test_compare(void **state)
{
	uint8_t a[ROOM], b[ROOM];

	(void)state;
	for (unsigned len = 0; len <= MOST; len++) {
		for (unsigned at = 0; at <= MOST; at++) {
			test_case("%u bytes, byte %u differs", len, at);
			fill(a, 0x70);
			fill(b, 0x70);
			b[at] = (uint8_t)(b[at] ^ 0x80u);
			b[at + 1] = 0;
			EQ(sign(own_memcmp(a, b, len)), sign(memcmp(a, b, len)));
			EQ(sign(own_memcmp(b, a, len)), sign(memcmp(b, a, len)));
			EQ(own_memcmp(a, a, len), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
