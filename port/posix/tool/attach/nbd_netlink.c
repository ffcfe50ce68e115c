/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A request is a message of generic netlink: a header, a second one with the command, and
 * attributes. The number of the kernel's driver is not fixed, so the first request asks for it. The
 * kernel answers each request before send(2) returns, and its last answer is an acknowledgment.
 */
#include "nbd_netlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for the attributes of 16 sockets, and for what the kernel says about its driver. */
enum { MESSAGE_MAX = 4096 };

/* The header of an attribute: its length and its type. Data follow it without a gap. */
static const size_t header_len = sizeof(struct nlattr);

union message {
	struct nlmsghdr header; /* its length is that of the message so far */
	unsigned char bytes[MESSAGE_MAX];
};

static void begin_message(union message *m, unsigned type, unsigned command)
{
	struct genlmsghdr *second = NLMSG_DATA(&m->header);

	memset(m, 0, sizeof *m);
	m->header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->header.nlmsg_type = (uint16_t)type;
	m->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	second->cmd = (uint8_t)command;
	second->version = 1; /* of both, the kernel's table and the driver */
}

/* The next attribute begins at a multiple of four. */
static size_t padded(size_t len)
{
	return (len + 3u) & ~(size_t)3u;
}

/* Adds an attribute after the others. */
static struct nlattr *add(union message *m, unsigned type, const void *data, size_t len)
{
	struct nlattr *attribute = (struct nlattr *)(m->bytes + m->header.nlmsg_len);

	attribute->nla_type = (uint16_t)type;
	attribute->nla_len = (uint16_t)(header_len + len);
	if (len > 0u)
		memcpy(attribute + 1, data, len);
	m->header.nlmsg_len += (uint32_t)padded(attribute->nla_len);
	return attribute;
}

/* Begins an attribute that has attributes inside. */
static struct nlattr *begin_nested(union message *m, unsigned type)
{
	return add(m, type | NLA_F_NESTED, NULL, 0);
}

static void end_nested(const union message *m, struct nlattr *attribute)
{
	const unsigned char *end = m->bytes + m->header.nlmsg_len;

	attribute->nla_len = (uint16_t)(end - (unsigned char *)attribute);
}

/* Returns the number of a driver from an answer of the kernel's table, or 0. */
static unsigned family_of(const union message *m, size_t len)
{
	size_t pos = NLMSG_LENGTH(GENL_HDRLEN), left;

	for (; pos < len && len - pos >= header_len; pos += padded(left)) {
		const struct nlattr *attribute = (const struct nlattr *)(m->bytes + pos);
		uint16_t number;

		left = attribute->nla_len;
		if (left < header_len || left > len - pos)
			break;
		if (attribute->nla_type == CTRL_ATTR_FAMILY_ID &&
		    left >= header_len + sizeof number) {
			memcpy(&number, attribute + 1, sizeof number);
			return number;
		}
	}
	return 0;
}

/*
 * Sends the message, and reads answers into it until the acknowledgment. Returns the errno in that.
 * If the kernel's table answers, sets *family.
 */
static int ask(int fd, union message *m, unsigned *family)
{
	ssize_t len = send(fd, m->bytes, m->header.nlmsg_len, 0);

	while (len > 0) {
		len = recv(fd, m->bytes, sizeof m->bytes, 0);
		if (len >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
		    m->header.nlmsg_type == NLMSG_ERROR)
			return -((const struct nlmsgerr *)NLMSG_DATA(&m->header))->error;
		if (len > 0 && m->header.nlmsg_type == GENL_ID_CTRL)
			*family = family_of(m, (size_t)len);
	}
	return len < 0 ? errno : EPROTO;
}

/* Opens a socket, and finds the number of the driver. Returns 0 or an errno. */
static int open_driver(int *fd, unsigned *family)
{
	union message m;
	int error;

	*family = 0;
	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (*fd < 0)
		return errno;
	begin_message(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof NBD_GENL_FAMILY_NAME);
	error = ask(*fd, &m, family);
	if (error == 0 && *family == 0u)
		error = ENOENT;
	if (error != 0)
		close(*fd);
	return error;
}

static void add_sockets(union message *m, const int *sockets, unsigned n)
{
	struct nlattr *all = begin_nested(m, NBD_ATTR_SOCKETS);
	unsigned i;

	for (i = 0; i < n; i++) {
		struct nlattr *item = begin_nested(m, NBD_SOCK_ITEM);
		uint32_t fd = (uint32_t)sockets[i];

		add(m, NBD_SOCK_FD, &fd, sizeof fd);
		end_nested(m, item);
	}
	end_nested(m, all);
}

static void add_number(union message *m, unsigned type, uint64_t value)
{
	add(m, type, &value, sizeof value);
}

/* Begins a request about a device. Returns 0, and the socket for it in *fd, or an errno. */
static int begin_request(int *fd, union message *m, unsigned command, unsigned index)
{
	uint32_t number = index;
	unsigned family;
	int error = open_driver(fd, &family);

	if (error != 0)
		return error;
	begin_message(m, family, command);
	add(m, NBD_ATTR_INDEX, &number, sizeof number);
	return 0;
}

/* Sends the request, and closes the socket. Returns 0 or an errno. */
static int end_request(int fd, union message *m)
{
	unsigned unused;
	int error = ask(fd, m, &unused);

	close(fd);
	return error;
}

int nbd_netlink_connect(unsigned index, const struct nbd_settings *settings, const int *sockets,
                        unsigned n)
{
	union message m;
	int fd, error = begin_request(&fd, &m, NBD_CMD_CONNECT, index);

	if (error != 0)
		return error;
	add_number(&m, NBD_ATTR_SIZE_BYTES, settings->size);
	add_number(&m, NBD_ATTR_BLOCK_SIZE_BYTES, settings->sector);
	add_number(&m, NBD_ATTR_TIMEOUT, settings->timeout);
	add_number(&m, NBD_ATTR_SERVER_FLAGS, settings->flags);
	add_sockets(&m, sockets, n);
	return end_request(fd, &m);
}

int nbd_netlink_disconnect(unsigned index)
{
	union message m;
	int fd, error = begin_request(&fd, &m, NBD_CMD_DISCONNECT, index);

	return error == 0 ? end_request(fd, &m) : error;
}
