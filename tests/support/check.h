/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The checks of all C tests; cmocka runs the tests. A check that fails prints the expression, both
 * values and the name of the case, and ends the test.
 */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Names the current case, like printf, so that a failed check can print it. */
void test_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Numbers of any integer type, compared as 64-bit numbers. Negative ones print with their sign. */
#define EQ(got, want) test_eq((uint64_t)(got), (uint64_t)(want), #got, __FILE__, __LINE__)
#define LE(got, most) test_le((uint64_t)(got), (uint64_t)(most), #got, __FILE__, __LINE__)
#define TRUE(what)    test_true((what) ? 1 : 0, #what, __FILE__, __LINE__)
/* Bytes: len of them are the same; all of them are `byte`. */
#define SAME(got, want, len) test_same((got), (want), (len), #got, __FILE__, __LINE__)
#define ALL(got, byte, len)  test_all((got), (byte), (len), #got, __FILE__, __LINE__)
/* Strings: equal; `part` is in `got`. */
#define TEXT(got, want) test_text((got), (want), #got, __FILE__, __LINE__)
#define HAS(got, part)  test_has((got), (part), #got, __FILE__, __LINE__)

void test_eq(uint64_t got, uint64_t want, const char *what, const char *file, int line);
void test_le(uint64_t got, uint64_t most, const char *what, const char *file, int line);
void test_true(int so, const char *what, const char *file, int line);
void test_same(const void *got, const void *want, size_t len, const char *what, const char *file,
               int line);
void test_all(const void *got, uint8_t byte, size_t len, const char *what, const char *file,
              int line);
void test_text(const char *got, const char *want, const char *what, const char *file, int line);
void test_has(const char *got, const char *part, const char *what, const char *file, int line);

/* True if TEST_BRIEF is set, as under valgrind or an emulator: leave out the largest cases. */
bool test_brief(void);
/* How often to try what has `all` cases, or random ones: all of them, or in brief a fifth. */
unsigned test_turns(unsigned all);
/* The step through cases of which each is tried; in brief, every fifth. */
unsigned test_step(void);

/* A pseudo-random number below `below`. The numbers are the same in each run. */
uint64_t test_random(uint64_t below);
extern uint64_t test_random_state; /* not 0; a test that sets it gets its own sequence */

#endif
