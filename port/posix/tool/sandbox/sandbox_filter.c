/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The tables of the system calls that remain, and their translation into a filter program:
 * seccomp(2). The program compares the number of the call with each number of the first table. Then
 * it has a block for each row of the second one, which also compares an argument.
 */
#include "sandbox_filter.h"

#if defined(__linux__) && defined(__x86_64__) && !defined(__ILP32__)
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The condition of a row. */
enum check {
	OUTPUT,  /* the argument is a descriptor that the command writes to */
	EQUALS,  /* the argument is the value */
	HAS,     /* the argument has the bits of the value */
	LACKS,   /* the argument has no bit of the value */
	PROCESS, /* the argument is the id of this process */
	PRIVATE, /* mmap(2): not executable, and not shared with a file */
	COPY,    /* the argument is the value, and the command duplicates descriptors */
	BLOCKS,  /* the argument is the value, for the block device that the command writes to */
	NBD,     /* the argument is the value, for the device that the command serves */
	NAMES    /* the command renames and removes files */
};

struct row {
	uint32_t call;
	enum check check;
	unsigned argument; /* its index */
	uint32_t value;
};

/*
 * The calls that remain whatever their arguments are. The kernel compares in this order, so
 * frequent calls come first.
 */
static const uint32_t always[] = {
	/* Read. */
	__NR_pread64,
	__NR_read,
	__NR_lseek,
	__NR_close,
	/* Ask what a file is. */
	__NR_fstat,
	__NR_newfstatat,
	/* Manage memory. */
	__NR_munmap,
	__NR_mremap,
	__NR_madvise,
	__NR_brk,
	/* Wait for threads, and end. */
	__NR_futex,
	__NR_set_robust_list,
#ifdef __NR_rseq
	__NR_rseq, /* since Linux 4.18 */
#endif
	__NR_exit,
	__NR_exit_group,
	/* Handle signals. */
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_restart_syscall,
	__NR_getpid,
	__NR_gettid,
	/* Tell the time, where the kernel's library cannot. malloc(3) uses random numbers. */
	__NR_clock_gettime,
	__NR_getrandom,
};

/* The calls that remain on a condition. */
static const struct row rows[] = {
	/* Write to the output. */
	{ __NR_pwrite64, OUTPUT, 0, 0 },
	{ __NR_write, OUTPUT, 0, 0 },
	{ __NR_writev, OUTPUT, 0, 0 },
	{ __NR_splice, OUTPUT, 2, 0 },
	{ __NR_ftruncate, OUTPUT, 0, 0 },
	{ __NR_shutdown, OUTPUT, 0, 0 }, /* of a socket that cannot be written to */
	{ __NR_fsync, OUTPUT, 0, 0 },
	{ __NR_ioctl, BLOCKS, 1, BLKZEROOUT },
	/* Run the device that is served, and take the sockets from it. */
	{ __NR_ioctl, NBD, 1, NBD_DO_IT },
	{ __NR_ioctl, NBD, 1, NBD_CLEAR_SOCK },
	/* Give the output its name, or remove it. */
	{ __NR_rename, NAMES, 0, 0 },
	{ __NR_unlink, NAMES, 0, 0 },
	/* Ask if another program writes to the image, by a lock. Other commands could set one. */
	{ __NR_fcntl, EQUALS, 1, F_OFD_GETLK },
	{ __NR_fcntl, COPY, 1, F_DUPFD_CLOEXEC },
	/* Ask if a descriptor must be read in whole blocks. */
	{ __NR_fcntl, EQUALS, 1, F_GETFL },
	/* Ask if a descriptor is a terminal. Other requests could type into it. */
	{ __NR_ioctl, EQUALS, 1, TCGETS },
	{ __NR_ioctl, EQUALS, 1, TIOCGWINSZ }, /* musl asks so */
	/* Get memory. A shared mapping could write to a file. */
	{ __NR_mmap, PRIVATE, 2, PROT_EXEC },
	{ __NR_mprotect, LACKS, 2, PROT_EXEC },
	/* Start threads of this process. */
	{ __NR_clone, HAS, 0, CLONE_THREAD },
	/* Send signals to this process, as raise(3) and abort(3) do. */
	{ __NR_tgkill, PROCESS, 0, 0 },
	{ __NR_tkill, PROCESS, 0, 0 }, /* musl; the id is that of the first thread */
};

enum {
	N_ALWAYS = sizeof always / sizeof always[0],
	N_ROWS = sizeof rows / sizeof rows[0],
	/* Also standard output and standard error. */
	N_OUTPUTS = 2 + SANDBOX_FILES + SANDBOX_WRITABLE,
	BLOCK_MAX = 3 + 2 * N_OUTPUTS,                   /* instructions of a row at most */
	MMAP_FLAGS = 3,                                  /* the index of this argument of mmap(2) */
	PROGRAM_MAX = N_ALWAYS + N_ROWS * BLOCK_MAX + 16 /* the rest is what is emitted once */
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short len;
	int outputs[N_OUTPUTS]; /* -1: none */
	int device;             /* -1: none */
	int nbd_device;         /* -1: none */
	bool renames;
	bool copies;
};

static void emit(struct program *p, unsigned operation, uint32_t value)
{
	p->code[p->len].code = (uint16_t)operation;
	p->code[p->len].k = value;
	p->len++;
}

/* A comparison that goes on with the next instruction if it holds, else skips `skip` of them. */
static void emit_test(struct program *p, uint32_t value, unsigned skip)
{
	p->code[p->len].jf = (uint8_t)skip;
	emit(p, BPF_JMP | BPF_K | BPF_JEQ, value);
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/*
 * Loads the lower half of an argument, which comes first on this processor: descriptors, process
 * ids and flags are not longer, and the kernel ignores the upper half.
 */
static void emit_load_argument(struct program *p, unsigned index)
{
	emit_load(p, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void emit_mask(struct program *p, uint32_t bits)
{
	emit(p, BPF_ALU | BPF_AND | BPF_K, bits);
}

static void emit_allow(struct program *p)
{
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

static void emit_refuse(struct program *p, uint32_t error)
{
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
}

/* One comparison for each call, and one instruction for all of them to jump to. */
static void emit_always(struct program *p)
{
	unsigned i;

	emit_load(p, offsetof(struct seccomp_data, nr));
	for (i = 0; i < N_ALWAYS; i++) {
		p->code[p->len].jt = (uint8_t)(N_ALWAYS - i);
		emit(p, BPF_JMP | BPF_K | BPF_JEQ, always[i]);
	}
	emit(p, BPF_JMP | BPF_JA, 1); /* none of them: past the next instruction */
	emit_allow(p);
}

static void emit_outputs(struct program *p)
{
	unsigned i;

	for (i = 0; i < N_OUTPUTS; i++) {
		if (p->outputs[i] < 0)
			continue;
		emit_test(p, (uint32_t)p->outputs[i], 1);
		emit_allow(p);
	}
}

/* Goes on if the argument, which is loaded, is the value, and the first one is the device. */
static void emit_device(struct program *p, uint32_t value, int device)
{
	emit_test(p, value, 3); /* past the rest of this block */
	emit_load_argument(p, 0);
	emit_test(p, (uint32_t)device, 1);
}

/* Allows the call if the argument, which is loaded, meets the condition. */
static void emit_condition(struct program *p, const struct row *row)
{
	switch (row->check) {
	case OUTPUT: emit_outputs(p); return;
	case NAMES:
		if (!p->renames)
			return;
		break;
	case COPY:
		if (!p->copies)
			return;
		emit_test(p, row->value, 1);
		break;
	case EQUALS: emit_test(p, row->value, 1); break;
	case PROCESS: emit_test(p, (uint32_t)getpid(), 1); break;
	case HAS:
		emit_mask(p, row->value);
		emit_test(p, row->value, 1);
		break;
	case PRIVATE:
		emit_mask(p, row->value);
		emit_test(p, 0, 4); /* past the rest of this block */
		emit_load_argument(p, MMAP_FLAGS);
		emit_mask(p, MAP_SHARED);
		emit_test(p, 0, 1);
		break;
	case BLOCKS:
		if (p->device < 0)
			return;
		emit_device(p, row->value, p->device);
		break;
	case NBD:
		if (p->nbd_device < 0)
			return;
		emit_device(p, row->value, p->nbd_device);
		break;
	case LACKS:
		emit_mask(p, row->value);
		emit_test(p, 0, 1);
		break;
	}
	emit_allow(p);
}

static void emit_row(struct program *p, const struct row *row)
{
	unsigned start;

	emit_load(p, offsetof(struct seccomp_data, nr));
	start = p->len;
	emit_test(p, row->call, 0);
	if (row->check != NAMES)
		emit_load_argument(p, row->argument);
	emit_condition(p, row);
	p->code[start].jf = (uint8_t)(p->len - start - 1u); /* another call: to the next row */
}

/*
 * In 32-bit mode the calls have other numbers, so none of them is allowed.
 *
 * When a filter is installed, Linux runs it for the number of each call that there is, to remember
 * those that are allowed whatever their arguments are. That takes longer than all else here, and
 * saves a command less. So the program loads an argument first, which ends these runs.
 */
static void emit_begin(struct program *p)
{
	emit_load_argument(p, 0);
	emit_load(p, offsetof(struct seccomp_data, arch));
	p->code[p->len].jt = 1;
	emit_test(p, AUDIT_ARCH_X86_64, 0);
	emit_refuse(p, EPERM);
}

static void emit_end(struct program *p)
{
#ifdef __NR_clone3
	/* Its flags are in memory, where a filter cannot see them. If the system does not have it,
	 * the C library uses clone. */
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_test(p, __NR_clone3, 1);
	emit_refuse(p, ENOSYS);
#endif
	emit_refuse(p, EPERM);
}

void sandbox_limit_calls(const struct sandbox_needs *needs)
{
	struct program program = {
		.outputs = { STDOUT_FILENO, STDERR_FILENO, needs->files[0], needs->files[1] },
		.device = needs->zeroes_blocks ? needs->files[0] : -1,
		.nbd_device = needs->n_writable > 0u ? needs->nbd_device : -1,
		.renames = needs->beside != NULL,
		.copies = needs->copies,
	};
	struct sock_fprog installed = { .filter = program.code };
	unsigned i;

	for (i = 0; i < SANDBOX_WRITABLE; i++)
		program.outputs[2 + SANDBOX_FILES + i] =
			i < needs->n_writable ? needs->writable[i] : -1;
	emit_begin(&program);
	emit_always(&program);
	for (i = 0; i < N_ROWS; i++)
		emit_row(&program, &rows[i]);
	emit_end(&program);
	installed.len = program.len;
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &installed, 0, 0);
}
#else
void sandbox_limit_calls(const struct sandbox_needs *needs)
{
	(void)needs;
}
#endif
