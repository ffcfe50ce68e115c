/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The transmission phase of NBD, as doc/proto.md of the NBD project defines it. Numbers
 * are big-endian. A request is
 *
 *	magic (4)  flags (2)  type (2)  cookie (8)  offset (8)  length (4)
 *
 * and the simple reply to it is
 *
 *	magic (4)  error (4)  cookie (8)  data, if it was a read without an error
 */
#include "nbd_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../write_all.h"

enum { REQUEST_LEN = 28, REPLY_LEN = 16, COOKIE_LEN = 8 };

/* The stack of a thread. All memory is locked, so the usual 8 MiB would be used up at once. */
enum { THREAD_STACK = 256 * 1024 };

static const uint32_t request_magic = 0x25609513u;
static const uint32_t reply_magic = 0x67446698u;

enum nbd_type {
	NBD_READ = 0,
	NBD_WRITE = 1,
	NBD_DISC = 2,
	NBD_FLUSH = 3,
	NBD_TRIM = 4,
	NBD_ZERO = 6
};

/* Errors of the protocol have the numbers of Linux, on every system. */
enum nbd_error { NBD_OK = 0, NBD_EPERM = 1, NBD_EIO = 5, NBD_EINVAL = 22 };

struct kernel_request {
	unsigned type;
	unsigned char cookie[COOKIE_LEN];
	uint64_t offset;
	uint32_t len;
};

static uint32_t load_be32(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static void store_be32(unsigned char *bytes, uint32_t value)
{
	bytes[0] = (unsigned char)(value >> 24);
	bytes[1] = (unsigned char)(value >> 16);
	bytes[2] = (unsigned char)(value >> 8);
	bytes[3] = (unsigned char)value;
}

/* Returns false if the connection ends before that. */
static bool receive(int fd, unsigned char *bytes, size_t len)
{
	while (len > 0u) {
		ssize_t n = read(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Returns false if the connection has ended, or if what came is no request. */
static bool receive_request(const struct nbd_connection *c, struct kernel_request *request)
{
	unsigned char bytes[REQUEST_LEN];

	if (!receive(c->socket, bytes, sizeof bytes) || load_be32(bytes) != request_magic)
		return false;
	request->type = load_be32(bytes + 4) & 0xffffu;
	memcpy(request->cookie, bytes + 8, COOKIE_LEN);
	request->offset = (uint64_t)load_be32(bytes + 16) << 32 | load_be32(bytes + 20);
	request->len = load_be32(bytes + 24);
	return true;
}

/* Sends the header and `len` bytes, which are in the buffer behind the room for the header. */
static bool reply(const struct nbd_connection *c, const struct kernel_request *request,
                  enum nbd_error error, uint32_t len)
{
	store_be32(c->buffer, reply_magic);
	store_be32(c->buffer + 4, (uint32_t)error);
	memcpy(c->buffer + 8, request->cookie, COOKIE_LEN);
	return write_all(c->socket, c->buffer, REPLY_LEN + (size_t)len);
}

/* Reads [offset, offset + len) of the disk, with zeros behind its end. */
static bool read_disk(struct qcow2 *q, unsigned char *dest, uint32_t len, uint64_t offset)
{
	int n = 1;

	while (len > 0u && n > 0) {
		n = qcow2_read(q, dest, len, offset);
		if (n > 0) {
			dest += n;
			len -= (uint32_t)n;
			offset += (uint64_t)n;
		}
	}
	if (n == 0)
		memset(dest, 0, len);
	return n >= 0;
}

static bool answer_read(const struct nbd_connection *c, const struct kernel_request *request)
{
	const struct nbd_server *s = c->server;

	if (request->len > NBD_REQUEST_LIMIT || request->offset > s->size ||
	    request->len > s->size - request->offset)
		return reply(c, request, NBD_EINVAL, 0);
	if (!read_disk(s->q, c->buffer + REPLY_LEN, request->len, request->offset))
		return reply(c, request, NBD_EIO, 0);
	return reply(c, request, NBD_OK, request->len);
}

/* Takes the data of a write out of the way, because the next request is behind it. */
static bool refuse_write(const struct nbd_connection *c, const struct kernel_request *request)
{
	uint32_t left = request->len, n;

	for (; left > 0u; left -= n) {
		n = left < NBD_REQUEST_LIMIT ? left : NBD_REQUEST_LIMIT;
		if (!receive(c->socket, c->buffer + REPLY_LEN, n))
			return false;
	}
	return reply(c, request, NBD_EPERM, 0);
}

/* Returns false at the end of the connection. */
static bool answer(const struct nbd_connection *c, const struct kernel_request *request)
{
	switch (request->type) {
	case NBD_READ: return answer_read(c, request);
	case NBD_WRITE: return refuse_write(c, request);
	case NBD_DISC: return false;
	case NBD_FLUSH: return reply(c, request, NBD_OK, 0); /* nothing is ever written */
	case NBD_TRIM:
	case NBD_ZERO: return reply(c, request, NBD_EPERM, 0);
	default: return reply(c, request, NBD_EINVAL, 0);
	}
}

static void *serve(void *connection)
{
	struct nbd_connection *c = connection;
	struct kernel_request request;

	/* The library allocates a reader for each thread at its first read, which is most of the
	 * memory of a connection. Later there may be none. If this fails, so will the request for
	 * these bytes. */
	read_disk(c->server->q, c->buffer + REPLY_LEN, 1, 0);
	while (receive_request(c, &request) && answer(c, &request))
		;
	close(c->socket); /* the kernel learns of it at once */
	c->socket = -1;
	return NULL;
}

static int connect_one(struct nbd_connection *c, int *kernel_end)
{
	int ends[2];

	c->buffer = malloc(REPLY_LEN + (size_t)NBD_REQUEST_LIMIT);
	if (c->buffer == NULL)
		return ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	c->socket = ends[0];
	*kernel_end = ends[1];
	return 0;
}

int nbd_server_begin(struct nbd_server *s, struct qcow2 *q, unsigned n, int *kernel_ends)
{
	uint64_t size = qcow2_get_size(q), past = size % NBD_SECTOR;
	int error = 0;

	memset(s, 0, sizeof *s);
	s->q = q;
	s->size = past == 0u ? size : size + (NBD_SECTOR - past);
	while (s->n < n && error == 0) {
		struct nbd_connection *c = &s->connections[s->n];

		c->server = s;
		c->socket = -1;
		error = connect_one(c, &kernel_ends[s->n]);
		s->n++; /* also after a failure: nbd_server_end frees what there is */
	}
	return error;
}

int nbd_server_start(struct nbd_server *s)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	while (s->n_threads < s->n && error == 0) {
		struct nbd_connection *c = &s->connections[s->n_threads];

		error = pthread_create(&c->thread, &attributes, serve, c);
		if (error == 0)
			s->n_threads++;
	}
	pthread_attr_destroy(&attributes);
	return error;
}

void nbd_server_end(struct nbd_server *s)
{
	unsigned i;

	for (i = 0; i < s->n_threads; i++)
		pthread_join(s->connections[i].thread, NULL);
	for (i = 0; i < s->n; i++) {
		if (s->connections[i].socket >= 0) /* it had no thread */
			close(s->connections[i].socket);
		free(s->connections[i].buffer);
	}
}
