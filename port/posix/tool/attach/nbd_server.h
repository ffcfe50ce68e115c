/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The transmission phase of NBD, for one disk and a few connections, read-only. The other ends of
 * the connections belong to the kernel's block driver, which begins in this phase, so there is no
 * handshake. Each connection has the same number of threads. One of them at a time receives a
 * request; then it reads the disk while another receives the next one, so a slow request holds up
 * no other. Replies come in any order.
 */
#ifndef QCOW2_TOOL_NBD_SERVER_H
#define QCOW2_TOOL_NBD_SERVER_H

#include <pthread.h>

#include "../tool.h"

enum {
	NBD_SECTOR = 512,           /* the disk is served in whole sectors */
	NBD_CONNECTIONS = 16,       /* at most */
	NBD_THREADS = 16,           /* at most, of all connections */
	NBD_REQUEST_LIMIT = 1 << 20 /* bytes that one request can read: the buffer of a thread */
};

struct nbd_server;

struct nbd_connection {
	pthread_mutex_t receiving; /* held while a request is received; guards what follows */
	bool ended;                /* there is no further request */
	unsigned n_threads;        /* that use the socket; the last one closes it */
	pthread_mutex_t replying;  /* held while a reply is sent */
	int socket;                /* -1: not connected */
};

struct nbd_thread {
	const struct nbd_server *server;
	struct nbd_connection *connection;
	unsigned char *buffer; /* for a reply */
	pthread_t id;
};

struct nbd_server {
	struct qcow2 *q;
	uint64_t size; /* bytes that can be read: the disk, and zeros to the end of its last sector
	                */
	struct nbd_connection connections[NBD_CONNECTIONS];
	struct nbd_thread threads[NBD_THREADS];
	unsigned char *buffers; /* of all threads */
	unsigned n;             /* connections */
	unsigned n_threads;
	unsigned n_started; /* threads that run */
};

/*
 * Prepares the server for n connections and n_threads threads, a multiple of n, and sets
 * kernel_ends[0] to kernel_ends[n - 1] to the descriptors of their other ends, which belong to the
 * caller. Returns 0 or an errno. The caller calls nbd_server_end in both cases.
 */
int nbd_server_begin(struct nbd_server *s, struct qcow2 *q, unsigned n, unsigned n_threads,
                     int *kernel_ends);

/* Starts the threads. Returns 0 or an errno. */
int nbd_server_start(struct nbd_server *s);

/* Waits until all connections have ended, and frees what they had. */
void nbd_server_end(struct nbd_server *s);

#endif
