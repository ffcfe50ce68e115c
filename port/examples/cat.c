/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Copies the disk of the image on standard input to standard output. */
#include <err.h>
#include <stdio.h>
#include <qcow2.h>

int main(void)
{
	static char buf[65536];
	const char *error;
	struct qcow2 *q = qcow2_open(0, &error); /* q owns standard input */
	uint64_t offset;
	int n;

	if (q == NULL)
		errx(1, "%s", error);
	for (offset = 0; (n = qcow2_read(q, buf, sizeof buf, offset)) > 0; offset += (uint64_t)n)
		fwrite(buf, 1, (size_t)n, stdout);
	if (n < 0)
		errx(1, "%s", qcow2_last_failure()->message);
	qcow2_close(q);
	return 0;
}
