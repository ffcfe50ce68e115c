/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The texts of the statuses. */
#include "support.h"

#include <ctype.h>
#include <string.h>

static const int statuses[] = {
	QCOW2_OK,
	QCOW2_E_ARGUMENT,
	QCOW2_E_RANGE,
	QCOW2_E_MEMORY,
	QCOW2_E_BACKING,
	QCOW2_E_DATA_FILE,
	QCOW2_E_DEPTH,
	QCOW2_E_NOT_FOUND,
	QCOW2_E_LIMIT,
	QCOW2_E_IO,
	QCOW2_E_NOT_QCOW2,
	QCOW2_E_VERSION,
	QCOW2_E_FEATURE,
	QCOW2_E_ENCRYPTED,
	QCOW2_E_COMPRESSION,
	QCOW2_E_CODEC,
	QCOW2_E_TOO_BIG,
	QCOW2_E_CLUSTER_BITS,
	QCOW2_E_SNAPSHOT_DATA_FILE,
	QCOW2_E_HEADER,
	QCOW2_E_EXTENSION,
	QCOW2_E_L1,
	QCOW2_E_L2_ENTRY,
	QCOW2_E_COMPRESSED,
	QCOW2_E_SNAPSHOT,
	QCOW2_E_TRUNCATED,
	QCOW2_E_REFCOUNT,
	QCOW2_E_BITMAP,
	QCOW2_E_INCONSISTENT,
	QCOW2_E_KEY,
	QCOW2_E_CRYPTO,
	QCOW2_E_LUKS,
};

static bool known(int status)
{
	for (size_t i = 0; i < COUNT(statuses); i++) {
		if (statuses[i] == status)
			return true;
	}
	return false;
}

static void test_texts(void **state)
{
	const char *unknown = qcow2_status_text(12345);

	(void)state;
	TRUE(unknown != NULL);
	for (size_t i = 0; i < COUNT(statuses); i++) {
		const char *text = qcow2_status_text(statuses[i]);

		test_case("status %d", statuses[i]);
		TRUE(text != NULL);
		LE(3, strlen(text));
		LE(strlen(text), 90);
		TRUE(strcmp(text, unknown) != 0);
		for (const char *p = text; *p != '\0'; p++)
			TRUE(isprint((unsigned char)*p));
		for (size_t k = 0; k < i; k++)
			TRUE(strcmp(text, qcow2_status_text(statuses[k])) != 0);
	}
}

static void test_unknown(void **state)
{
	static const int far[] = { INT32_MIN, INT32_MIN + 1, -1000000, 1000000, INT32_MAX };
	const char *unknown = qcow2_status_text(12345);

	(void)state;
	for (int status = -300; status < 300; status++) {
		test_case("status %d", status);
		TRUE((strcmp(qcow2_status_text(status), unknown) == 0) == !known(status));
	}
	for (size_t i = 0; i < COUNT(far); i++) {
		test_case("status %d", far[i]);
		EQ(strcmp(qcow2_status_text(far[i]), unknown), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
