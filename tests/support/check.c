/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MINI_CMOCKA_H
jmp_buf mini_where;
#endif

static char case_name[256];

void test_case(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(case_name, sizeof case_name, format, args);
	va_end(args);
}

/* Ends the test: does not return. */
static void wrong(const char *file, int line)
{
	print_error("  in case: %s\n", case_name);
#ifdef MINI_CMOCKA_H
	mini_fail(file, line);
#else
	_fail(file, line);
#endif
}

void test_eq(uint64_t got, uint64_t want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s is %lld (0x%llx), not %lld (0x%llx)\n", what, (long long)got,
	            (unsigned long long)got, (long long)want, (unsigned long long)want);
	wrong(file, line);
}

void test_le(uint64_t got, uint64_t most, const char *what, const char *file, int line)
{
	if (got <= most)
		return;
	print_error("%s is %llu, more than %llu\n", what, (unsigned long long)got,
	            (unsigned long long)most);
	wrong(file, line);
}

void test_true(int so, const char *what, const char *file, int line)
{
	if (so)
		return;
	print_error("not so: %s\n", what);
	wrong(file, line);
}

void test_same(const void *got, const void *want, size_t len, const char *what, const char *file,
               int line)
{
	const uint8_t *a = got;
	const uint8_t *b = want;
	size_t i = 0;

	if (len == 0 || memcmp(a, b, len) == 0)
		return;
	while (a[i] == b[i])
		i++;
	print_error("%s: byte %zu of %zu is %02x, not %02x\n", what, i, len, a[i], b[i]);
	wrong(file, line);
}

void test_all(const void *got, uint8_t byte, size_t len, const char *what, const char *file,
              int line)
{
	const uint8_t *a = got;

	for (size_t i = 0; i < len; i++) {
		if (a[i] != byte) {
			print_error("%s: byte %zu of %zu is %02x, not %02x\n", what, i, len, a[i],
			            byte);
			wrong(file, line);
		}
	}
}

void test_text(const char *got, const char *want, const char *what, const char *file, int line)
{
	if (got != NULL && strcmp(got, want) == 0)
		return;
	print_error("%s is \"%s\", not \"%s\"\n", what, got != NULL ? got : "(NULL)", want);
	wrong(file, line);
}

void test_has(const char *got, const char *part, const char *what, const char *file, int line)
{
	if (got != NULL && strstr(got, part) != NULL)
		return;
	print_error("%s is \"%s\", without \"%s\"\n", what, got != NULL ? got : "(NULL)", part);
	wrong(file, line);
}

bool test_brief(void)
{
	return getenv("TEST_BRIEF") != NULL;
}

unsigned test_turns(unsigned all)
{
	return test_brief() ? (all + 4) / 5 : all;
}

unsigned test_step(void)
{
	return test_brief() ? 5 : 1;
}

uint64_t test_random_state = 1;

/* xorshift64* */
uint64_t test_random(uint64_t below)
{
	uint64_t x = test_random_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	test_random_state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d) % below;
}
