/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Makes mutator.c a custom mutator of AFL++, as a shared object for AFL_CUSTOM_MUTATOR_LIBRARY.
 * mutator.c also calls LLVMFuzzerMutate, the mutator of libFuzzer. AFL++ mutates between our calls
 * anyway, so the function of that name here only flips a few random bits.
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"

struct state {
	uint8_t *buf;
	size_t cap;
	uint32_t seed;
};

void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t len, uint8_t **out, uint8_t *add,
                       size_t add_len, size_t max);
void afl_custom_deinit(void *data);

static uint32_t random_state = 1;

static uint32_t below(size_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return n != 0 ? (uint32_t)((random_state >> 8) % n) : 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max)
{
	uint32_t n = 1 + below(4);

	(void)max;
	while (n-- > 0 && len > 0)
		data[below(len)] ^= (uint8_t)(1u << below(8));
	return len;
}

void *afl_custom_init(void *afl, unsigned seed)
{
	struct state *state = calloc(1, sizeof *state);

	(void)afl;
	if (state != NULL)
		state->seed = seed;
	return state;
}

size_t afl_custom_fuzz(void *data, uint8_t *buf, size_t len, uint8_t **out, uint8_t *add,
                       size_t add_len, size_t max)
{
	struct state *state = data;

	(void)add;
	(void)add_len;
	if (state->cap < max) {
		free(state->buf);
		state->buf = malloc(max);
		state->cap = state->buf != NULL ? max : 0;
	}
	if (state->buf == NULL || len > max)
		return 0;
	memcpy(state->buf, buf, len);
	random_state = state->seed++ * 2654435761u + 1;
	*out = state->buf;
	return LLVMFuzzerCustomMutator(state->buf, len, max, random_state);
}

void afl_custom_deinit(void *data)
{
	struct state *state = data;

	free(state->buf);
	free(state);
}
