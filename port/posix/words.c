/* SPDX-License-Identifier: MIT */
#include "words.h"

/* qcow2.txt "Header", bytes 32-35: crypt_method. */
enum { CRYPT_AES = 1, CRYPT_LUKS = 2 };

const char *qp_encryption_name(uint64_t method)
{
	return method == CRYPT_AES ? "aes" : method == CRYPT_LUKS ? "luks" : "unknown method";
}

const char *qp_kind_name(int kind)
{
	return kind == QCOW2_FILE_DATA ? "data file" : "backing file";
}
