/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * File names: joining, decoding, encoding, comparing.
 */
#include "path.h"

#include "../common/utf8.h"

static bool is_separator(uint16_t c)
{
	return c == '\\' || c == '/';
}

/* FAT does not allow these in names. A ':' also ends a protocol, or a volume name in the shell. */
static bool is_forbidden(uint16_t c)
{
	static const char forbidden[] = ":*?\"<>|";
	unsigned i;

	for (i = 0; i < sizeof forbidden - 1u; i++)
		if (c == (unsigned char)forbidden[i])
			return true;
	return c < 0x20u || c == 0x7fu;
}

size_t qu_path_len(const uint16_t *name)
{
	size_t len = 0;

	while (name[len] != 0u)
		len++;
	return len;
}

bool qu_path_is_absolute(const uint16_t *name)
{
	return is_separator(name[0]);
}

uint16_t qu_path_fold(uint16_t c)
{
	return c >= 'a' && c <= 'z' ? (uint16_t)(c - 'a' + 'A') : c;
}

bool qu_path_equal(const uint16_t *a, const uint16_t *b, size_t len)
{
	for (; len > 0u; len--)
		if (qu_path_fold(*a++) != qu_path_fold(*b++))
			return false;
	return true;
}

/* The length of the directory's name: everything before the last separator. */
static size_t directory_len(const uint16_t *from)
{
	size_t len = from != NULL ? qu_path_len(from) : 0u;

	while (len > 0u && from[len] != '\\')
		len--;
	return len;
}

/* Removes the last name. Returns false at the root. */
static bool go_up(const uint16_t *path, size_t *len)
{
	if (*len == 0u)
		return false;
	do
		(*len)--;
	while (path[*len] != '\\');
	return true;
}

static bool append(uint16_t *path, size_t *len, const uint16_t *name, size_t name_len)
{
	size_t i;

	if (name_len >= (size_t)QU_PATH_MAX - 1u - *len)
		return false;
	path[(*len)++] = '\\';
	for (i = 0; i < name_len; i++) {
		if (is_forbidden(name[i]))
			return false;
		path[(*len)++] = name[i];
	}
	return true;
}

/* Appends one name, or follows "." or "..". */
static bool add_name(uint16_t *path, size_t *len, const uint16_t *name, size_t name_len)
{
	if (name_len == 0u || (name_len == 1u && name[0] == '.'))
		return true;
	if (name_len == 2u && name[0] == '.' && name[1] == '.')
		return go_up(path, len);
	return append(path, len, name, name_len);
}

bool qu_path_join(uint16_t path[QU_PATH_MAX], const uint16_t *from, const uint16_t *name)
{
	size_t len = qu_path_is_absolute(name) ? 0u : directory_len(from);
	size_t i;

	for (i = 0; i < len; i++)
		path[i] = from[i];
	while (*name != 0u) {
		size_t n = 0;

		while (name[n] != 0u && !is_separator(name[n]))
			n++;
		if (!add_name(path, &len, name, n))
			return false;
		name += n + (name[n] != 0u);
	}
	path[len] = 0;
	return len > 0u;
}

bool qu_path_decode(uint16_t *name, size_t max, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (len > 0u) {
		uint32_t code;
		size_t n = port_utf8_decode((const char *)bytes, len, &code);

		if (n == 0u || code == 0u || max - at < 3u) /* two units and the NUL */
			return false;
		if (code >= 0x10000u) { /* a surrogate pair; 0xd7c0 is 0xd800 - (0x10000 >> 10) */
			name[at++] = (uint16_t)(0xd7c0u + (code >> 10));
			code = 0xdc00u + (code & 0x3ffu);
		}
		name[at++] = (uint16_t)code;
		bytes += n;
		len -= n;
	}
	name[at] = 0;
	return true;
}

/* The character at the start of a path. A surrogate without its partner stands for no character. */
static uint32_t first_character(const uint16_t *path, size_t *n_units)
{
	uint32_t code = path[0];

	*n_units = 1;
	if (code < 0xd800u || code > 0xdfffu)
		return code;
	if (code >= 0xdc00u || path[1] < 0xdc00u || path[1] > 0xdfffu)
		return 0xfffdu;
	*n_units = 2;
	return 0x10000u + ((code & 0x3ffu) << 10) + (path[1] & 0x3ffu);
}

/* Writes a character as UTF-8: the number of its bytes is in the top bits of the first one. */
static size_t put_character(uint8_t *bytes, uint32_t code)
{
	static const uint8_t starts[5] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	size_t n = code < 0x80u ? 1u : code < 0x800u ? 2u : code < 0x10000u ? 3u : 4u;
	size_t i;

	for (i = n - 1u; bytes != NULL && i > 0u; i--) {
		bytes[i] = (uint8_t)(0x80u | (code & 0x3fu));
		code >>= 6;
	}
	if (bytes != NULL)
		bytes[0] = (uint8_t)(starts[n] | code);
	return n;
}

size_t qu_path_encode(uint8_t *bytes, const uint16_t *path)
{
	size_t len = 0;

	while (*path != 0u) {
		size_t n_units;
		uint32_t code = first_character(path, &n_units);

		len += put_character(bytes != NULL ? bytes + len : NULL, code == '\\' ? '/' : code);
		path += n_units;
	}
	return len;
}
