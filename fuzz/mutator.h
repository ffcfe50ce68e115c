/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_MUTATOR_H
#define FUZZ_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's interface: changes the input in place, which is then at most max bytes long. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);

/* The engine's own mutator. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

#endif
