/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The qcow2 command with a model of the kernel's network block devices, for machines whose kernel
 * has none. The linker redirects some system calls here (tests/tests.mk). The rest of the kernel is
 * test_command_attach.py, which gets the sockets and reads the disk through them.
 *
 * The environment variable QCOW2_NBD names a directory. Its file "kernel" is a socket on which the
 * test listens. A process that sets up a device connects, and sends a message with the socket for
 * each NBD_SET_SOCK, and a message with all settings for NBD_SET_FLAGS. NBD_DO_IT waits until the
 * test sends a byte, the errno of the call, or shuts down its end. While the directory has a file
 * "pid", the device is attached; while it has "busy", it is mounted; with "no-sys", the length of
 * requests cannot be set. NBD_DISCONNECT makes the file "disconnected". Its file "calls" gets the
 * numbers of the requests. With "taken", another process attaches and detaches the device, and
 * keeps it open, before the first NBD_SET_SOCK. With "gone", an attached device cannot be opened.
 * The device is /dev/nbd7, and /dev/nbd7p1 is a partition.
 *
 * With a file "netlink", the kernel also has the interface of <linux/nbd-netlink.h>, whose commands
 * have the numbers from 100 on; 100 is the search for the driver, which finds it without a number
 * if there is a file "nameless". The device is open while the directory has a file "open", which
 * vanishes when it is met. With "no-name", /sys does not tell the number of the device.
 *
 * With QCOW2_NBD_SLOW=POS, a read of the image at this position waits while there is a file "slow".
 *
 * With QCOW2_NBD_FAULT="N ERROR", the request with the number N in <linux/nbd.h>, or the command of
 * netlink, fails with this errno. If ERROR is 0, the process is killed there.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What the command has set. */
static struct {
	uint64_t block, blocks, timeout, flags, max_sectors_kb;
} settings;

static int control = -1;   /* the connection to the test */
static int kb_file = -1;   /* what the command writes the length of requests to */
static bool is_partition;  /* the device that was opened last */
static bool is_device[64]; /* descriptors */
static int netlink = -1;   /* a descriptor */

/* Defines the function that is called instead of `name`, and declares the original. */
#define CAUGHT(type, name, parameters)                                                             \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters

/* The path of a file in the directory. */
static const char *place_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", getenv("QCOW2_NBD"), name);
	return path;
}

static bool in_directory(const char *name)
{
	return access(place_of(name), F_OK) == 0;
}

/* A file that is no device, under the number of one. */
static int open_device(const char *path, int flags)
{
	int fd;

	if (strncmp(path, "/dev/nbd7", 9) != 0 || (in_directory("pid") && in_directory("gone"))) {
		errno = ENXIO;
		return -1;
	}
	if ((flags & O_EXCL) != 0 && in_directory("busy")) {
		errno = EBUSY;
		return -1;
	}
	is_partition = strcmp(path, "/dev/nbd7p1") == 0;
	fd = memfd_create("device", MFD_CLOEXEC);
	if (fd >= 0 && fd < 64)
		is_device[fd] = true;
	return fd;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	if (strncmp(path, "/dev/nbd", 8) == 0)
		return open_device(path, flags);
	if (strcmp(path, "/sys/dev/block/43:7/pid") == 0)
		return __real_open64(place_of("pid"), flags);
	if (strcmp(path, "/sys/dev/block/43:7/queue/max_sectors_kb") == 0) {
		if (in_directory("no-sys")) {
			errno = EROFS;
			return -1;
		}
		kb_file = memfd_create("max_sectors_kb", MFD_CLOEXEC);
		return dup(kb_file);
	}
	va_start(rest, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	return __real_open64(path, flags, mode);
}

/* What open(2) is with _FORTIFY_SOURCE, if its flags are no constant. */
int __wrap___open64_2(const char *path, int flags);
int __wrap___open64_2(const char *path, int flags)
{
	return __wrap_open64(path, flags);
}

CAUGHT(int, fstat64, (int fd, struct stat *st))
{
	int rc = __real_fstat64(fd, st);

	if (rc == 0 && fd >= 0 && fd < 64 && is_device[fd]) {
		st->st_mode = S_IFBLK | 0600;
		st->st_rdev = makedev(43, 7);
	}
	return rc;
}

/* Time passes at once in a directory with a file "fast". */
CAUGHT(int, nanosleep, (const struct timespec *time, struct timespec *left))
{
	return in_directory("fast") ? 0 : __real_nanosleep(time, left);
}

/* Several threads call it. */
CAUGHT(ssize_t, pread64, (int fd, void *bytes, size_t len, off_t pos))
{
	static const struct timespec moment = { 0, 10 * 1000 * 1000 };
	const char *slow = getenv("QCOW2_NBD_SLOW");
	char path[4096];

	snprintf(path, sizeof path, "%s/slow", getenv("QCOW2_NBD"));
	while (slow != NULL && pos == atoll(slow) && access(path, F_OK) == 0)
		__real_nanosleep(&moment, NULL);
	return __real_pread64(fd, bytes, len, pos);
}

CAUGHT(ssize_t, readlink, (const char *path, char *target, size_t size))
{
	static const char name[] = "../../devices/virtual/block/nbd7";

	if (strcmp(path, "/sys/dev/block/43:7") != 0 || size < sizeof name)
		return __real_readlink(path, target, size);
	if (in_directory("no-name")) {
		errno = ENOENT;
		return -1;
	}
	memcpy(target, name, sizeof name - 1u);
	return sizeof name - 1u;
}

CAUGHT(int, close, (int fd))
{
	if (fd == netlink)
		netlink = -1;
	if (fd >= 0 && fd < 64)
		is_device[fd] = false;
	return __real_close(fd);
}

CAUGHT(int, access, (const char *path, int mode))
{
	if (strcmp(path, "/sys/dev/block/43:7/pid") == 0)
		return in_directory("pid") ? 0 : -1;
	if (strcmp(path, "/sys/dev/block/43:7/partition") == 0)
		return is_partition ? 0 : -1;
	return __real_access(path, mode);
}

static void connect_to_test(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof address.sun_path, "%s/kernel", getenv("QCOW2_NBD"));
	control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(control, (struct sockaddr *)&address, sizeof address) != 0)
		abort();
}

static int send_settings(void)
{
	char text[32] = { 0 };

	if (pread(kb_file, text, sizeof text - 1u, 0) > 0)
		settings.max_sectors_kb = strtoull(text, NULL, 10);
	return send(control, &settings, sizeof settings, 0) < 0 ? -1 : 0;
}

static int send_socket(int fd)
{
	char byte = 0;
	struct iovec data = { &byte, 1 };
	char space[CMSG_SPACE(sizeof fd)];
	struct msghdr message = { .msg_iov = &data,
		                  .msg_iovlen = 1,
		                  .msg_control = space,
		                  .msg_controllen = sizeof space };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (control < 0)
		connect_to_test();
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	return sendmsg(control, &message, 0) < 0 ? -1 : 0;
}

static int run_device(void)
{
	unsigned char byte = 0;

	if (read(control, &byte, 1) <= 0 || byte == 0u)
		return 0;
	errno = byte;
	return -1;
}

static int create(const char *name)
{
	return __real_close(creat(place_of(name), 0600));
}

static void note_call(unsigned number)
{
	FILE *calls = fopen(place_of("calls"), "a");

	if (calls != NULL) { /* the sandbox of a server allows no more files */
		fprintf(calls, "%u\n", number);
		fclose(calls);
	}
}

static bool is_to_fail(unsigned request)
{
	const char *fault = getenv("QCOW2_NBD_FAULT");
	char *end;

	if (fault == NULL || strtoul(fault, &end, 10) != request)
		return false;
	errno = atoi(end);
	if (errno == 0)
		raise(SIGKILL);
	return true;
}

static int answer(unsigned request, unsigned long value)
{
	note_call(request & 0xffu);
	if (is_to_fail(request & 0xffu))
		return -1;
	if (request == NBD_SET_SOCK && in_directory("taken"))
		create("pid");
	switch (request) {
	case NBD_SET_BLKSIZE: settings.block = value; return 0;
	case NBD_SET_SIZE_BLOCKS: settings.blocks = value; return 0;
	case NBD_SET_TIMEOUT: settings.timeout = value; return 0;
	case NBD_SET_FLAGS: settings.flags = value; return send_settings();
	case NBD_SET_SOCK: return send_socket((int)value);
	case NBD_DO_IT: return run_device();
	case NBD_CLEAR_SOCK:
	case BLKRRPART: return 0;
	case NBD_DISCONNECT: return create("disconnected");
	default: errno = ENOTTY; return -1;
	}
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	unsigned long value;

	va_start(rest, request);
	value = va_arg(rest, unsigned long);
	va_end(rest);
	if (fd >= 0 && fd < 64 && is_device[fd])
		return answer((unsigned)request, value);
	return __real_ioctl(fd, request, value);
}

/* ---- netlink ---- */

enum { FAMILY = 27, COMMANDS = 100, HEADER = sizeof(struct nlattr) };

/* What recv(2) gets: an answer, if its length is not 0, and an acknowledgment. */
static struct {
	struct nlmsghdr header;
	unsigned char rest[64];
} answer_of_table;
static struct {
	struct nlmsghdr header;
	struct nlmsgerr error;
} acknowledgment;

CAUGHT(int, socket, (int domain, int type, int protocol))
{
	if (domain != AF_NETLINK)
		return __real_socket(domain, type, protocol);
	if (!in_directory("netlink")) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	netlink = memfd_create("netlink", MFD_CLOEXEC);
	return netlink;
}

/* Two attributes, of which the second is the number, or is cut. */
static void describe_driver(void)
{
	struct nlattr name = { HEADER + 1, CTRL_ATTR_FAMILY_NAME };
	struct nlattr number = { HEADER + 2, CTRL_ATTR_FAMILY_ID };
	uint16_t family = FAMILY;
	unsigned char *to = answer_of_table.rest + GENL_HDRLEN;

	if (in_directory("nameless"))
		number.nla_len = 100;
	memcpy(to, &name, sizeof name);
	memcpy(to + 8, &number, sizeof number);
	memcpy(to + 12, &family, sizeof family);
	answer_of_table.header.nlmsg_type = GENL_ID_CTRL;
	answer_of_table.header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN + 16);
}

static int send_sockets(const unsigned char *items, size_t len)
{
	size_t pos;
	int fd, rc = 0;

	for (pos = 0; pos < len && rc == 0; pos += 12) {
		memcpy(&fd, items + pos + 8, sizeof fd);
		rc = send_socket(fd);
		if (rc == 0 && pos == 0)
			rc = send_settings();
	}
	return rc;
}

static void take_setting(unsigned type, const unsigned char *value)
{
	uint64_t number;

	memcpy(&number, value, sizeof number);
	switch (type) {
	case NBD_ATTR_SIZE_BYTES: settings.blocks = number / 512; break;
	case NBD_ATTR_BLOCK_SIZE_BYTES: settings.block = number; break;
	case NBD_ATTR_TIMEOUT: settings.timeout = number; break;
	case NBD_ATTR_SERVER_FLAGS: settings.flags = number; break;
	default: abort();
	}
}

/* The index comes first, and the sockets come last. */
static int connect_device(const unsigned char *bytes, size_t len)
{
	const unsigned char *end = bytes + len;
	struct nlattr attribute;
	uint32_t index;

	memcpy(&index, bytes + HEADER, sizeof index);
	if (index != 7u)
		abort();
	for (bytes += 8; bytes < end; bytes += NLA_ALIGN(attribute.nla_len)) {
		memcpy(&attribute, bytes, sizeof attribute);
		if (attribute.nla_type == (NBD_ATTR_SOCKETS | NLA_F_NESTED))
			return send_sockets(bytes + HEADER, attribute.nla_len - HEADER);
		take_setting(attribute.nla_type, bytes + HEADER);
	}
	errno = EINVAL;
	return -1;
}

static int do_command(const struct nlmsghdr *m)
{
	/* NLMSG_DATA would drop the const. */
	const struct genlmsghdr *head = (const void *)((const unsigned char *)m + NLMSG_HDRLEN);
	unsigned command = m->nlmsg_type == GENL_ID_CTRL ? 0 : head->cmd;
	const unsigned char *rest = (const unsigned char *)head + GENL_HDRLEN;

	note_call(COMMANDS + command);
	if (is_to_fail(COMMANDS + command))
		return -1;
	if (command == 0u) {
		describe_driver();
		return 0;
	}
	if (command == NBD_CMD_DISCONNECT)
		return create("disconnected");
	if (unlink(place_of("open")) == 0) {
		errno = EBUSY;
		return -1;
	}
	return connect_device(rest, m->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN));
}

CAUGHT(ssize_t, send, (int fd, const void *bytes, size_t len, int flags))
{
	int rc;

	if (fd != netlink)
		return __real_send(fd, bytes, len, flags);
	rc = do_command(bytes);
	acknowledgment.header.nlmsg_type = NLMSG_ERROR;
	acknowledgment.header.nlmsg_len = sizeof acknowledgment;
	acknowledgment.error.error = rc == 0 ? 0 : -errno;
	return (ssize_t)len;
}

CAUGHT(ssize_t, recv, (int fd, void *bytes, size_t size, int flags))
{
	size_t len = answer_of_table.header.nlmsg_len;

	if (fd != netlink)
		return __real_recv(fd, bytes, size, flags);
	if (len > 0u) {
		memcpy(bytes, &answer_of_table, len);
		answer_of_table.header.nlmsg_len = 0;
		return (ssize_t)len;
	}
	memcpy(bytes, &acknowledgment, sizeof acknowledgment);
	return sizeof acknowledgment;
}
