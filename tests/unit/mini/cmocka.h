/* SPDX-License-Identifier: MIT */
/*
 * As much of cmocka as the tests use, in a header, for targets that have no libcmocka (cross.sh).
 * To be used with -Itests/unit/mini in place of the library.
 */
#ifndef MINI_CMOCKA_H
#define MINI_CMOCKA_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                                        \
	{                                                                                          \
#f, f                                                                              \
	}
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
	mini_run(tests, sizeof(tests) / sizeof *(tests))
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
	mini_run(tests, sizeof(tests) / sizeof *(tests))

extern jmp_buf mini_where; /* in support.c: where a test that fails goes on */

static inline void print_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

static inline void mini_fail(const char *file, int line)
{
	print_error("%s:%d: failure\n", file, line);
	longjmp(mini_where, 1);
}

#define MINI_ASSERT(so)                ((so) ? (void)0 : mini_fail(__FILE__, __LINE__))
#define assert_true(so)                MINI_ASSERT(so)
#define assert_false(so)               MINI_ASSERT(!(so))
#define assert_non_null(p)             MINI_ASSERT((p) != NULL)
#define assert_ptr_equal(a, b)         MINI_ASSERT((a) == (b))
#define assert_int_equal(a, b)         MINI_ASSERT((long long)(a) == (long long)(b))
#define assert_in_range(a, low, high)  MINI_ASSERT((a) >= (low) && (a) <= (high))
#define assert_memory_equal(a, b, len) MINI_ASSERT(memcmp(a, b, len) == 0)
#define fail_msg(...)                  (print_error(__VA_ARGS__), mini_fail(__FILE__, __LINE__))

static inline int mini_run(const struct CMUnitTest *tests, size_t n)
{
	volatile size_t i;
	volatile int failed = 0;

	for (i = 0; i < n; i++) {
		if (setjmp(mini_where) == 0) {
			void *state = NULL;

			tests[i].run(&state);
			fprintf(stderr, "[       OK ] %s\n", tests[i].name);
		} else {
			fprintf(stderr, "[  FAILED  ] %s\n", tests[i].name);
			failed++;
		}
	}
	fprintf(stderr, "[  PASSED  ] %d test(s).\n", (int)n - failed);
	return failed;
}

#endif
