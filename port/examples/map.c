/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Prints where an image and the images below it have data. Opens only files beside the image. */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <qcow2.h>

int main(int argc, char **argv)
{
	struct qcow2_options options = { .struct_size = sizeof options, .flags = QCOW2_FOLLOW };
	struct qcow2_segment segment;
	uint64_t offset = 0;
	struct qcow2 *q;
	int n;

	if (argc != 2)
		errx(2, "usage: map IMAGE");
	options.path = argv[1];
	q = qcow2_open_options(open(argv[1], O_RDONLY), &options, NULL);
	if (q == NULL)
		errx(1, "%s: %s", argv[1], qcow2_last_failure()->message);
	while ((n = qcow2_map(q, offset, UINT64_MAX - offset, &segment)) > 0) {
		if (segment.flags & QCOW2_SEGMENT_DATA)
			printf("%" PRIu64 " %" PRIu64 " %u\n", segment.start, segment.length,
			       segment.depth);
		offset = segment.start + segment.length;
	}
	if (n < 0)
		errx(1, "%s: %s", argv[1], qcow2_last_failure()->message);
	qcow2_close(q);
	return 0;
}
