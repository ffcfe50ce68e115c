/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "words.h"

#include "qcow2/cipher.h"

const char *qp_encryption_name(uint64_t method)
{
	return method == QCOW2_CRYPT_AES ? "aes" : "luks";
}

const char *qp_kind_name(int kind)
{
	return kind == QCOW2_FILE_DATA ? "data file" : "backing file";
}
