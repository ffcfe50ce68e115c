/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Parses which images the user wants, from the load options or from the configuration file. Both
 * have the same grammar:
 *
 *	PATH                an image
 *	blocksize=SIZE      the block size of its disk: 512 (default) or 4096
 *	backing=KIND:PATH   its backing file, in place of the one that the image names; KIND is raw
 *	                    or qcow2. A second one is the backing file of the first, and so on.
 *	data=PATH           its external data file, in place of the one that the image names
 *	overlay=memory      its disk can be written, into memory
 *	measure=yes         its files are measured into the TPM
 *
 * Options follow the image they belong to. Paths start at the root of the volume and use / or \.
 * Blanks and line ends separate words; "..." keeps blanks. In the file, a # at the start of a word
 * begins a comment.
 */
#include "uefi.h"

enum { WORD_OK = 1, WORD_END = 0, WORD_WRONG = -1 };

/* The next character; 0 at the end. An embedded NUL also ends the text. */
static uint16_t peek(const struct qu_words *words)
{
	const uint8_t *bytes = words->text;

	if (words->at >= words->len)
		return 0;
	/* Byte by byte, because load options may be at an odd address. */
	if (words->is_wide)
		return (uint16_t)(bytes[2u * words->at] | bytes[2u * words->at + 1u] << 8);
	return bytes[words->at];
}

static bool is_blank(uint16_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xfeffu;
}

static void skip_blanks(struct qu_words *words)
{
	for (;;) {
		while (is_blank(peek(words)))
			words->at++;
		if (!words->has_comments || peek(words) != '#')
			break;
		while (peek(words) != 0u && peek(words) != '\n')
			words->at++;
	}
}

/* The next word, without its quotes, in the units of the text. */
static int raw_word(struct qu_words *words, uint16_t word[QU_PATH_MAX], size_t *len)
{
	bool is_quoted = false;
	uint16_t c;

	*len = 0;
	skip_blanks(words);
	if (peek(words) == 0u)
		return WORD_END;
	while ((c = peek(words)) != 0u && (is_quoted || !is_blank(c))) {
		words->at++;
		if (c == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		if (*len + 1u >= QU_PATH_MAX)
			return WORD_WRONG;
		word[(*len)++] = c;
	}
	word[*len] = 0;
	return is_quoted ? WORD_WRONG : WORD_OK;
}

/* The next word, converted to UTF-16 if the text is UTF-8. */
static int next_word(struct qu_words *words, uint16_t word[QU_PATH_MAX])
{
	size_t len;
	int rc = raw_word(words, word, &len);

	if (rc == WORD_OK && !words->is_wide) {
		uint8_t bytes[QU_PATH_MAX];
		size_t i;

		for (i = 0; i < len; i++)
			bytes[i] = (uint8_t)word[i];
		if (!qu_path_decode(word, QU_PATH_MAX, bytes, len))
			rc = WORD_WRONG;
	}
	if (rc == WORD_WRONG)
		qu_say("qcow2: options: a word is too long, is not UTF-8, or lacks its closing "
		       "quote\n");
	return rc;
}

/* Returns what follows `prefix` in a word, or NULL if the word does not start with it. */
static const uint16_t *after(const uint16_t *word, const char *prefix)
{
	for (; *prefix != '\0'; prefix++, word++)
		if (*word != (unsigned char)*prefix)
			return NULL;
	return word;
}

static bool is_option(const uint16_t *word)
{
	return after(word, "blocksize=") != NULL || after(word, "backing=") != NULL ||
	       after(word, "data=") != NULL || after(word, "overlay=") != NULL ||
	       after(word, "measure=") != NULL;
}

static bool say_wrong(const char *why, const uint16_t *word)
{
	qu_say("qcow2: options: %s: %w\n", why, word);
	return false;
}

static bool take_path(uint16_t path[QU_PATH_MAX], const uint16_t *word)
{
	return qu_path_join(path, NULL, word) || say_wrong("not a path on this volume", word);
}

static bool take_block_size(struct qu_request *request, const uint16_t *word)
{
	const uint16_t *end;

	if ((end = after(word, "512")) != NULL && *end == 0u)
		request->block_size = 512;
	else if ((end = after(word, "4096")) != NULL && *end == 0u)
		request->block_size = 4096;
	else
		return say_wrong("the block size must be 512 or 4096", word);
	return true;
}

static bool take_backing(struct qu_request *request, const uint16_t *word)
{
	const uint16_t *raw = after(word, "raw:");
	const uint16_t *path = raw != NULL ? raw : after(word, "qcow2:");

	if (path == NULL)
		return say_wrong("backing= needs raw:PATH or qcow2:PATH", word);
	if (request->n_backing >= QU_CHAIN_MAX)
		return say_wrong("more than 16 backing files", word);
	request->backing[request->n_backing].is_raw = raw != NULL;
	return take_path(request->backing[request->n_backing++].path, path);
}

static bool take_overlay(struct qu_request *request, const uint16_t *word)
{
	const uint16_t *end = after(word, "memory");

	request->has_overlay = true;
	return (end != NULL && *end == 0u) || say_wrong("overlay= must be memory", word);
}

static bool take_measure(struct qu_request *request, const uint16_t *word)
{
	const uint16_t *end = after(word, "yes");

	request->is_measured = true;
	return (end != NULL && *end == 0u) || say_wrong("measure= must be yes", word);
}

static bool take_option(struct qu_request *request, const uint16_t *word)
{
	const uint16_t *value;

	if ((value = after(word, "blocksize=")) != NULL)
		return take_block_size(request, value);
	if ((value = after(word, "backing=")) != NULL)
		return take_backing(request, value);
	if ((value = after(word, "overlay=")) != NULL)
		return take_overlay(request, value);
	if ((value = after(word, "measure=")) != NULL)
		return take_measure(request, value);
	request->has_data = true;
	return take_path(request->data, after(word, "data="));
}

int qu_request_next(struct qu_words *words, struct qu_request *request)
{
	uint16_t word[QU_PATH_MAX];
	int rc = next_word(words, word);

	if (rc != WORD_OK)
		return rc;
	memset(request, 0, sizeof *request);
	request->block_size = 512;
	if (is_option(word)) {
		say_wrong("this option must follow an image", word);
		return WORD_WRONG;
	}
	if (!take_path(request->path, word))
		return WORD_WRONG;
	for (;;) {
		size_t start = words->at;

		rc = next_word(words, word);
		if (rc == WORD_OK && is_option(word)) {
			if (!take_option(request, word))
				return WORD_WRONG;
			continue;
		}
		words->at = start;
		return rc == WORD_WRONG ? WORD_WRONG : WORD_OK;
	}
}

void qu_words_skip_program(struct qu_words *words)
{
	static const uint16_t suffix[4] = { '.', 'E', 'F', 'I' };
	uint16_t word[QU_PATH_MAX];
	size_t start = words->at;
	size_t len;

	if (raw_word(words, word, &len) != WORD_OK || len < 4u ||
	    !qu_path_equal(word + len - 4u, suffix, 4))
		words->at = start;
}

bool qu_words_have_path(const struct qu_words *words)
{
	struct qu_words rest;
	uint16_t c;

	memcpy(&rest, words, sizeof rest);
	while ((c = peek(&rest)) != 0u && c != '\\' && c != '/' && c != '.')
		rest.at++;
	return c != 0u;
}
