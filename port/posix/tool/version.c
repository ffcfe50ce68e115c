/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 version: the version, and what decodes compressed clusters, and what decrypts.
 */
#include "commands.h"

int run_version(struct args *args)
{
	const char *compression, *decoder;
	unsigned i;

	(void)args;
	printf("qcow2 %s\n", QCOW2_VERSION);
	for (i = 0; qcow2_get_decoder(i, &compression, &decoder) > 0; i++)
		printf("%s: %s\n", compression, decoder);
	printf("encryption: %s\n",
	       qcow2_get_crypto() != NULL ? qcow2_get_crypto() : "no cipher in this build");
	return EXIT_OK;
}
