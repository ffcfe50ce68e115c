/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef FUZZ_MUTATOR_H
#define FUZZ_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

/* The interface of libFuzzer. Changes the input in place, to at most max bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);

/* The mutator of the engine. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

#endif
