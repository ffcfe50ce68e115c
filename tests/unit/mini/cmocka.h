/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of cmocka that the tests of the core use, for targets without libcmocka. cross.sh
 * compiles with -Itests/unit/mini, so that this header takes the place of the library's.
 */
#ifndef MINI_CMOCKA_H
#define MINI_CMOCKA_H

#include <stdarg.h>
#include <stdio.h>

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

extern jmp_buf mini_where; /* in support/check.c: where the run goes on after a failed check */

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
