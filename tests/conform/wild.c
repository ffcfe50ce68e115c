/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The qcow2 command, taken over: while it reads the image, it tries what its sandbox must refuse.
 * The linker redirects main and pread here.
 *
 *	QCOW2_WILD=FILE		opens FILE for writing before the command runs. Then each thread, at
 *			its first pread in the sandbox (with --no-sandbox: at its first pread),
 *			prints one line on standard error: "NAME ERROR;" for each attempt, where
 *			ERROR is 0 if it succeeded, else its errno
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int other = -1; /* a descriptor that the command does not know */
static bool no_sandbox;
static __thread bool is_done;

static char line[1024];
static size_t line_len;

static void tried(const char *name, long result)
{
	int error = result < 0 ? errno : 0;

	line_len +=
		(size_t)snprintf(line + line_len, sizeof line - line_len, "%s %d;", name, error);
}

static void try_files(void)
{
	uint64_t range[2] = { 0, 512 };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char byte = 'x';

	tried("open", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	tried("create", open("created", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	tried("write", write(other, &byte, 1));
	tried("pwrite", pwrite(other, &byte, 1, 0));
	tried("ftruncate", ftruncate(other, 1));
	tried("fchmod", fchmod(other, 0600));
	tried("dup", dup(other));
	tried("share",
	      mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0) == MAP_FAILED ? -1 : 0);
	tried("zero", ioctl(other, BLKZEROOUT, range)); /* of another device than the output */
	tried("lock", fcntl(other, F_OFD_SETLK, &lock));
	tried("type", ioctl(STDERR_FILENO, TIOCSTI, &byte)); /* into a terminal */
}

static void try_names(void)
{
	tried("rename", rename("elsewhere/file", "elsewhere/renamed"));
	tried("unlink", unlink("elsewhere/doomed"));
	tried("chmod", chmod("elsewhere", 0755));
	tried("mkdir", mkdir("elsewhere/made", 0755));
	tried("symlink", symlink("here", "elsewhere/symlink"));
}

static void try_processes(void)
{
	char *arguments[] = { NULL };
	struct clone_args how = { .exit_signal = SIGCHLD };

	tried("socket", socket(AF_INET, SOCK_STREAM, 0));
	tried("socketpair", socket(AF_UNIX, SOCK_STREAM, 0));
	tried("kill", kill(getppid(), 0));
	tried("execute", execve("/nonexistent", arguments, arguments));
	tried("map code", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                       0) == MAP_FAILED
	                          ? -1
	                          : 0);
	tried("prctl", prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
#ifdef SYS_clone3
	tried("clone3", syscall(SYS_clone3, &how, 8)); /* too small: EINVAL */
#endif
}

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t pos);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos)
{
	static int lock;

	/* In the sandbox, even this question is refused; before it, the answer is 0. */
	if (other >= 0 && !is_done && (no_sandbox || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)) {
		is_done = true;
		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0)
			continue;
		line_len = 0;
		try_files();
		try_names();
		try_processes();
		dprintf(STDERR_FILENO, "%s\n", line);
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	}
	return __real_pread64(fd, buf, len, pos);
}

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);
int __wrap_main(int argc, char **argv)
{
	const char *name = getenv("QCOW2_WILD");
	int i;

	for (i = 1; i < argc; i++)
		no_sandbox |= strcmp(argv[i], "--no-sandbox") == 0;
	other = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
	return __real_main(argc, argv);
}
