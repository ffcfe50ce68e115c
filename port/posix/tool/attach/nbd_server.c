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

/* A reply: its header, and the longest data. */
static const size_t buffer_len = REPLY_LEN + NBD_REQUEST_LIMIT;

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
		/* The lock is for this: no other thread can receive before this request is here. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection) */
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
static bool receive_header(int fd, struct kernel_request *request)
{
	unsigned char bytes[REQUEST_LEN];

	if (!receive(fd, bytes, sizeof bytes) || load_be32(bytes) != request_magic)
		return false;
	request->type = load_be32(bytes + 4) & 0xffffu;
	memcpy(request->cookie, bytes + 8, COOKIE_LEN);
	request->offset = (uint64_t)load_be32(bytes + 16) << 32 | load_be32(bytes + 20);
	request->len = load_be32(bytes + 24);
	return true;
}

/* Takes the data of a write out of the way, because the next request follows it. */
static bool skip_data(const struct nbd_thread *t, const struct kernel_request *request)
{
	uint32_t left = request->len, n;

	for (; left > 0u; left -= n) {
		n = left < NBD_REQUEST_LIMIT ? left : NBD_REQUEST_LIMIT;
		if (!receive(t->connection->socket, t->buffer, n))
			return false;
	}
	return true;
}

/* Returns false at the end of the connection. */
static bool receive_request(const struct nbd_thread *t, struct kernel_request *request)
{
	if (!receive_header(t->connection->socket, request))
		return false;
	if (request->type == NBD_WRITE)
		return skip_data(t, request);
	return request->type != NBD_DISC;
}

/* The same, if no other thread has met the end. */
static bool next_request(const struct nbd_thread *t, struct kernel_request *request)
{
	struct nbd_connection *c = t->connection;
	bool ended;

	pthread_mutex_lock(&c->receiving);
	c->ended = c->ended || !receive_request(t, request);
	ended = c->ended;
	pthread_mutex_unlock(&c->receiving);
	return !ended;
}

/*
 * Sends the header and `len` bytes, which are in the buffer after the room for the header. If this
 * fails, the other end cannot make sense of any further reply. A thread may wait for its requests.
 */
static void reply(const struct nbd_thread *t, const struct kernel_request *request,
                  enum nbd_error error, uint32_t len)
{
	struct nbd_connection *c = t->connection;

	store_be32(t->buffer, reply_magic);
	store_be32(t->buffer + 4, (uint32_t)error);
	memcpy(t->buffer + 8, request->cookie, COOKIE_LEN);
	pthread_mutex_lock(&c->replying);
	if (!write_all(c->socket, t->buffer, REPLY_LEN + (size_t)len))
		shutdown(c->socket, SHUT_RDWR);
	pthread_mutex_unlock(&c->replying);
}

/* Reads [offset, offset + len) of the disk, with zeros past its end. */
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

static void answer_read(const struct nbd_thread *t, const struct kernel_request *request)
{
	const struct nbd_server *s = t->server;

	if (request->len > NBD_REQUEST_LIMIT || request->offset > s->size ||
	    request->len > s->size - request->offset)
		reply(t, request, NBD_EINVAL, 0);
	else if (!read_disk(s->q, t->buffer + REPLY_LEN, request->len, request->offset))
		reply(t, request, NBD_EIO, 0);
	else
		reply(t, request, NBD_OK, request->len);
}

static void answer(const struct nbd_thread *t, const struct kernel_request *request)
{
	switch (request->type) {
	case NBD_READ: answer_read(t, request); return;
	case NBD_FLUSH: reply(t, request, NBD_OK, 0); return; /* nothing is ever written */
	case NBD_WRITE:
	case NBD_TRIM:
	case NBD_ZERO: reply(t, request, NBD_EPERM, 0); return;
	default: reply(t, request, NBD_EINVAL, 0); return;
	}
}

/* The kernel learns of the end once the last thread closes the socket. */
static void leave(struct nbd_connection *c)
{
	pthread_mutex_lock(&c->receiving);
	c->n_threads--;
	if (c->n_threads == 0u) {
		close(c->socket);
		c->socket = -1;
	}
	pthread_mutex_unlock(&c->receiving);
}

static void *serve(void *thread)
{
	const struct nbd_thread *t = thread;
	struct kernel_request request;

	/* The library allocates a reader for each thread at its first read, which is half of the
	 * memory of a thread. Later there may be none. If this fails, so will the request for
	 * these bytes. */
	read_disk(t->server->q, t->buffer + REPLY_LEN, 1, 0);
	while (next_request(t, &request))
		answer(t, &request);
	leave(t->connection);
	return NULL;
}

static int connect_one(struct nbd_connection *c, int *kernel_end)
{
	int ends[2];

	pthread_mutex_init(&c->receiving, NULL); /* on Linux, these two cannot fail */
	pthread_mutex_init(&c->replying, NULL);
	c->socket = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	c->socket = ends[0];
	*kernel_end = ends[1];
	return 0;
}

/* Gives each connection its share of the threads, and each thread a buffer. */
static int prepare_threads(struct nbd_server *s, unsigned n)
{
	s->buffers = malloc(n * buffer_len);
	if (s->buffers == NULL)
		return ENOMEM;
	for (; s->n_threads < n; s->n_threads++) {
		struct nbd_thread *t = &s->threads[s->n_threads];

		t->server = s;
		t->connection = &s->connections[s->n_threads % s->n];
		t->buffer = s->buffers + s->n_threads * buffer_len;
	}
	return 0;
}

int nbd_server_begin(struct nbd_server *s, struct qcow2 *q, unsigned n, unsigned n_threads,
                     int *kernel_ends)
{
	uint64_t size = qcow2_get_size(q), past = size % NBD_SECTOR;
	int error = 0;

	memset(s, 0, sizeof *s);
	s->q = q;
	s->size = past == 0u ? size : size + (NBD_SECTOR - past);
	while (s->n < n && error == 0) {
		error = connect_one(&s->connections[s->n], &kernel_ends[s->n]);
		s->n++; /* also after a failure: nbd_server_end frees what there is */
	}
	return error == 0 ? prepare_threads(s, n_threads) : error;
}

int nbd_server_start(struct nbd_server *s)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);
	unsigned i;

	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	for (i = 0; i < s->n_threads; i++)
		s->threads[i].connection->n_threads++;
	while (s->n_started < s->n_threads && error == 0) {
		struct nbd_thread *t = &s->threads[s->n_started];

		error = pthread_create(&t->id, &attributes, serve, t);
		if (error == 0)
			s->n_started++;
	}
	pthread_attr_destroy(&attributes);
	return error;
}

void nbd_server_end(struct nbd_server *s)
{
	unsigned i;

	for (i = 0; i < s->n_started; i++)
		pthread_join(s->threads[i].id, NULL);
	free(s->buffers);
	for (i = 0; i < s->n; i++)
		if (s->connections[i].socket >= 0) /* it had no thread */
			close(s->connections[i].socket);
}
