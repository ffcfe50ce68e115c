/* SPDX-License-Identifier: MIT */
#ifndef QP_UTF8_H
#define QP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decodes the character at the start of these bytes. Returns the bytes it takes, 1 to 4, or 0 if
 * that is no well-formed UTF-8.
 */
size_t qp_utf8_decode(const char *bytes, size_t len, uint32_t *code);

/* The same, but 0 also for characters that must not be shown: they control the terminal. */
size_t qp_utf8_len(const char *bytes, size_t len);

#endif
