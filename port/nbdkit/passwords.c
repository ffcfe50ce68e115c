/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "passwords.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * No chain has more images. A password has at most PASSWORD_MAX bytes, and more are a wrong file,
 * as in the command.
 */
enum { PASSWORDS_MAX = 256, PASSWORD_MAX = 1024 * 1024 };

struct password {
	const char *file; /* as the parameter names it, for messages */
	char *bytes;
	size_t len;
	unsigned long depth; /* of the image that it is for, if has_depth */
	bool has_depth;      /* if not, it is for all images that have none of their own */
	bool is_used;
};

static struct password passwords[PASSWORDS_MAX];
static size_t n_passwords;

/* Reads up to room bytes. Returns how many there are, or -1 with errno set. */
static ssize_t read_all(int fd, char *bytes, size_t room)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, bytes + len, room - len);
		if (n > 0)
			len += (size_t)n;
	} while (len < room && (n > 0 || (n < 0 && errno == EINTR)));
	return n < 0 ? -1 : (ssize_t)len;
}

/* Returns 0, or an errno. */
static int read_password(struct password *p)
{
	int fd = open(p->file, O_RDONLY | O_CLOEXEC | O_NOCTTY), error;
	ssize_t len;

	if (fd < 0)
		return errno;
	len = read_all(fd, p->bytes, PASSWORD_MAX + 1u);
	error = errno;
	close(fd);
	if (len < 0)
		return error;
	p->len = (size_t)len;
	return p->len > PASSWORD_MAX ? EFBIG : 0;
}

/* Reads the password, or reports why that fails. */
static int load_password(struct password *p)
{
	int error;

	if (*p->file == '\0') {
		nbdkit_error("key-file: no file is named");
		return -1;
	}
	error = read_password(p);
	if (error != 0)
		nbdkit_error("%s: %s", p->file,
		             error == EFBIG ? "a password has at most 1 MiB" : strerror(error));
	return error != 0 ? -1 : 0;
}

int passwords_add(const char *value)
{
	struct password *p = &passwords[n_passwords];
	size_t digits = strspn(value, "0123456789");

	if (n_passwords == PASSWORDS_MAX) {
		nbdkit_error("key-file: more than %d passwords", PASSWORDS_MAX);
		return -1;
	}
	p->has_depth = digits != 0u && value[digits] == '=';
	p->depth = p->has_depth ? strtoul(value, NULL, 10) : 0u;
	p->file = nbdkit_strdup_intern(p->has_depth ? value + digits + 1 : value);
	p->bytes = malloc(PASSWORD_MAX + 1u);
	if (p->file == NULL || p->bytes == NULL) {
		nbdkit_error("key-file: %s", strerror(ENOMEM));
		free(p->bytes);
		return -1;
	}
	n_passwords++;
	return load_password(p);
}

int passwords_get(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key)
{
	struct password *for_all = NULL, *own = NULL, *p;

	(void)ctx;
	for (p = passwords; p < passwords + n_passwords; p++)
		if (!p->has_depth)
			for_all = p;
		else if (p->depth == request->depth)
			own = p;
	p = own != NULL ? own : for_all;
	if (p == NULL)
		return 0;
	p->is_used = true;
	key->bytes = p->bytes;
	key->len = p->len;
	return 1;
}

int passwords_check_used(void)
{
	size_t i;

	for (i = 0; i < n_passwords; i++)
		if (!passwords[i].is_used) {
			nbdkit_error("%s: no image needs this password", passwords[i].file);
			return -1;
		}
	return 0;
}

void passwords_wipe(void)
{
	size_t i;

	for (i = 0; i < n_passwords; i++) {
		explicit_bzero(passwords[i].bytes, PASSWORD_MAX + 1u);
		free(passwords[i].bytes);
	}
	n_passwords = 0;
}
