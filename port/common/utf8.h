/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef PORT_UTF8_H
#define PORT_UTF8_H

#include "qcow2/types.h"

/*
 * Decodes the character at the start of bytes. Returns the number of bytes that it takes, 1 to 4,
 * or 0 if they are not well-formed UTF-8; *code is written only if the result is not 0.
 */
size_t port_utf8_decode(const char *bytes, size_t len, uint32_t *code);

/*
 * Can this code point be shown in a message? Not if it changes the text around it or cannot be
 * seen: control and format characters, line and paragraph separators, surrogates, what is invisible
 * by default, and what is no character.
 */
int port_utf8_is_shown(uint32_t code);

#endif
