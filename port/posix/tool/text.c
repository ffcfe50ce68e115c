/* SPDX-License-Identifier: MIT */
/*
 * Text for people.
 */
#include "tool.h"

#include "../printable.h"

void text_print(FILE *out, const char *bytes, size_t len)
{
	while (len > 0u) {
		size_t n = qp_utf8_len(bytes, len);

		if (n == 0u) {
			fprintf(out, "\\x%02x", (unsigned char)*bytes);
			n = 1;
		} else {
			fwrite(bytes, 1, n, out);
		}
		bytes += n;
		len -= n;
	}
}

void text_print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 999.5 && unit < 6u) {
		value /= 1024;
		unit++;
	}
	fprintf(out, "%.3g %s", value, units[unit]);
}
