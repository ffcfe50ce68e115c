/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The transmission phase of NBD, for one disk and a few connections, read-only. A thread serves
 * each connection. The other ends of the connections belong to the kernel's block driver, which
 * begins in this phase, so there is no handshake.
 */
#ifndef QCOW2_TOOL_NBD_SERVER_H
#define QCOW2_TOOL_NBD_SERVER_H

#include <pthread.h>

#include "../tool.h"

enum {
	NBD_SECTOR = 512,     /* the disk is served in whole sectors */
	NBD_CONNECTIONS = 16, /* at most */
	NBD_REQUEST_LIMIT =
		1 << 20 /* bytes that one request can read: the buffer of a connection */
};

struct nbd_server;

struct nbd_connection {
	struct nbd_server *server;
	unsigned char *buffer; /* for a reply: its header, and up to NBD_REQUEST_LIMIT bytes */
	int socket;            /* -1: not connected */
	pthread_t thread;
};

struct nbd_server {
	struct qcow2 *q;
	uint64_t size; /* bytes that can be read: the disk, and zeros to the end of its last sector
	                */
	struct nbd_connection connections[NBD_CONNECTIONS];
	unsigned n;         /* connections */
	unsigned n_threads; /* of them, those that have a thread */
};

/*
 * Prepares the server for n connections, and sets kernel_ends[0] to kernel_ends[n - 1] to the
 * descriptors of their other ends, which belong to the caller. Returns 0 or an errno. The caller
 * calls nbd_server_end in both cases.
 */
int nbd_server_begin(struct nbd_server *s, struct qcow2 *q, unsigned n, int *kernel_ends);

/* Starts the threads. Returns 0 or an errno. */
int nbd_server_start(struct nbd_server *s);

/* Waits until all connections have ended, and frees what they had. */
void nbd_server_end(struct nbd_server *s);

#endif
