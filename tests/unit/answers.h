/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The file of answers that TEST_ANSWERS names: see zlib_oracle.h. One program writes it, and the
 * same program for another processor reads it.
 */
#ifndef TEST_ANSWERS_H
#define TEST_ANSWERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The file to write to, or NULL if there is none. */
FILE *answers_out(void);
/* The file to read from. The test fails if there is none. */
FILE *answers_in(void);

/* Writes what a compressor answers to a question, if there is a file to write to. */
void answers_put_stream(uint64_t question, const uint8_t *bytes, size_t len);
/* Reads what it answered; returns the length. */
size_t answers_get_stream(uint64_t question, uint8_t *out, size_t out_len);

#endif
