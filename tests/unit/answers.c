/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "answers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "support.h"

static FILE *answers_open(const char *mode)
{
	static FILE *file;
	const char *name = getenv("TEST_ANSWERS");

	if (file == NULL && name != NULL) {
		file = fopen(name, mode);
		TRUE(file != NULL);
	}
	return file;
}

FILE *answers_out(void)
{
	return answers_open("wb");
}

FILE *answers_in(void)
{
	FILE *file = answers_open("rb");

	TRUE(file != NULL);
	return file;
}

void answers_put_stream(uint64_t question, const uint8_t *bytes, size_t len)
{
	FILE *file = answers_out();

	if (file == NULL)
		return;
	fprintf(file, "%016" PRIx64 " %zu\n", question, len);
	fwrite(bytes, 1, len, file);
}

size_t answers_get_stream(uint64_t question, uint8_t *out, size_t out_len)
{
	uint64_t asked;
	size_t len;

	EQ(fscanf(answers_in(), "%" SCNx64 " %zu", &asked, &len), 2);
	EQ(fgetc(answers_in()), '\n');
	EQ(asked, question);
	LE(len, out_len);
	EQ(fread(out, 1, len, answers_in()), len);
	return len;
}
