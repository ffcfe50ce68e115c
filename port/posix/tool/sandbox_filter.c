/* SPDX-License-Identifier: MIT */
/*
 * The table of the system calls that remain, and its translation into a filter program:
 * seccomp(2). The program is a list of blocks, one for each row of the table. A block compares the
 * number of the call, and, if the row has a condition, an argument; then it allows or refuses.
 */
#include "sandbox_filter.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__linux__) && !defined(SANITIZED)
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define THIS_ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__) && !defined(__ILP32__) && !defined(__AARCH64EB__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__) && !defined(__ARMEB__)
#define THIS_ARCH AUDIT_ARCH_ARM
#elif defined(__s390x__)
#define THIS_ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define THIS_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__powerpc__) && !defined(__powerpc64__)
#define THIS_ARCH AUDIT_ARCH_PPC
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCH AUDIT_ARCH_RISCV64
#endif
#endif

#ifdef THIS_ARCH

/* The condition of a row. */
enum check {
	OUTPUT,  /* the argument is a descriptor that the command writes to */
	EQUALS,  /* the argument is the value */
	HAS,     /* the argument has the bits of the value */
	LACKS,   /* the argument has no bit of the value */
	PROCESS, /* the argument is the id of this process */
	NAMES    /* the command renames and removes files */
};

struct row {
	uint32_t call;
	enum check check;
	unsigned argument; /* its index */
	uint32_t value;
};

/* clone(2): on s390 the flags are the second argument. */
#if defined(__s390x__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

/*
 * #ifdef in the tables: the call has this name, or exists at all, on some processors only.
 *
 * The calls that remain whatever their arguments are. The kernel compares in this order, so
 * frequent calls come first.
 */
static const uint32_t always[] = {
	/* Read. */
	__NR_pread64,
	__NR_read,
	__NR_preadv,
#ifdef __NR_lseek
	__NR_lseek,
#endif
#ifdef __NR__llseek
	__NR__llseek,
#endif
	__NR_close,
	/* Complete what is written. */
	__NR_fsync,
	__NR_fdatasync,
	/* Ask what a file is. */
	__NR_fstat,
#ifdef __NR_fstat64
	__NR_fstat64,
#endif
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
#ifdef __NR_fstatat64
	__NR_fstatat64,
#endif
#ifdef __NR_statx
	__NR_statx,
#endif
	/* Manage memory. */
	__NR_munmap,
	__NR_mremap,
	__NR_madvise,
	__NR_brk,
	/* Wait for threads, and end. */
	__NR_futex,
#ifdef __NR_futex_time64
	__NR_futex_time64,
#endif
	__NR_set_robust_list,
#ifdef __NR_rseq
	__NR_rseq,
#endif
	__NR_sched_yield,
	__NR_sched_getaffinity,
	__NR_exit,
	__NR_exit_group,
	/* Handle signals. */
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
#ifdef __NR_sigreturn
	__NR_sigreturn,
#endif
	__NR_restart_syscall,
	__NR_getpid,
	__NR_gettid,
	/* Tell the time. malloc(3) uses random numbers. */
	__NR_clock_gettime,
#ifdef __NR_clock_gettime64
	__NR_clock_gettime64,
#endif
	__NR_clock_nanosleep,
	__NR_getrandom,
};

/* The calls that remain on a condition. If a call has several rows, one of them is enough. */
static const struct row rows[] = {
	/* Write to the output. */
	{ __NR_pwrite64, OUTPUT, 0, 0 },
	{ __NR_write, OUTPUT, 0, 0 },
	{ __NR_writev, OUTPUT, 0, 0 },
	{ __NR_splice, OUTPUT, 2, 0 },
	{ __NR_ftruncate, OUTPUT, 0, 0 },
#ifdef __NR_ftruncate64
	{ __NR_ftruncate64, OUTPUT, 0, 0 },
#endif
	{ __NR_fallocate, OUTPUT, 0, 0 },
	{ __NR_fchmod, OUTPUT, 0, 0 },
	{ __NR_fchown, OUTPUT, 0, 0 },
	{ __NR_fsetxattr, OUTPUT, 0, 0 },
	/* Ask what a file or a terminal is, and control a device that is the output. */
	{ __NR_fcntl, EQUALS, 1, F_GETFD },
	{ __NR_fcntl, EQUALS, 1, F_GETFL },
	{ __NR_fcntl, EQUALS, 1, F_OFD_GETLK },
#ifdef __NR_fcntl64
	{ __NR_fcntl64, EQUALS, 1, F_GETFD },
	{ __NR_fcntl64, EQUALS, 1, F_GETFL },
	{ __NR_fcntl64, EQUALS, 1, F_OFD_GETLK },
#endif
	{ __NR_ioctl, EQUALS, 1, TCGETS },
	{ __NR_ioctl, EQUALS, 1, TIOCGWINSZ },
	{ __NR_ioctl, OUTPUT, 0, 0 },
/* Give the output its name, or remove it. */
#ifdef __NR_rename
	{ __NR_rename, NAMES, 0, 0 },
#endif
#ifdef __NR_renameat
	{ __NR_renameat, NAMES, 0, 0 },
#endif
	{ __NR_renameat2, NAMES, 0, 0 },
#ifdef __NR_unlink
	{ __NR_unlink, NAMES, 0, 0 },
#endif
	{ __NR_unlinkat, NAMES, 0, 0 },
/* Get memory that is not executable. */
#ifdef __NR_mmap
	{ __NR_mmap, LACKS, 2, PROT_EXEC },
#endif
#ifdef __NR_mmap2
	{ __NR_mmap2, LACKS, 2, PROT_EXEC },
#endif
	{ __NR_mprotect, LACKS, 2, PROT_EXEC },
	/* Start threads of this process. */
	{ __NR_clone, HAS, CLONE_FLAGS, CLONE_THREAD },
	/* Send signals to this process, as raise(3) and abort(3) do. */
	{ __NR_tgkill, PROCESS, 0, 0 },
};

enum {
	N_ALWAYS = sizeof always / sizeof always[0],
	N_ROWS = sizeof rows / sizeof rows[0],
	N_OUTPUTS = 4,                 /* standard output, standard error and two files */
	BLOCK_MAX = 3 + 2 * N_OUTPUTS, /* instructions of a row at most */
	PROGRAM_MAX = N_ALWAYS + N_ROWS * BLOCK_MAX + 16 /* the rest is what is emitted once */
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short len;
	int outputs[N_OUTPUTS]; /* -1: none */
	bool renames;
};

static void emit(struct program *p, unsigned operation, uint32_t value)
{
	p->code[p->len].code = (uint16_t)operation;
	p->code[p->len].k = value;
	p->len++;
}

/* A comparison that goes on with the next instruction if it holds, else skips `skip` of them. */
static void emit_test(struct program *p, unsigned operation, uint32_t value, unsigned skip)
{
	p->code[p->len].jf = (uint8_t)skip;
	emit(p, BPF_JMP | BPF_K | operation, value);
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/*
 * Loads the lower half of an argument: descriptors, process ids and flags are not longer, and the
 * kernel ignores the upper half.
 */
static void emit_load_argument(struct program *p, unsigned index)
{
	size_t offset = offsetof(struct seccomp_data, args) + index * sizeof(uint64_t);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	offset += sizeof(uint32_t);
#endif
	emit_load(p, offset);
}

static void emit_allow(struct program *p)
{
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
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
		emit_test(p, BPF_JEQ, (uint32_t)p->outputs[i], 1);
		emit_allow(p);
	}
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
	case EQUALS: emit_test(p, BPF_JEQ, row->value, 1); break;
	case PROCESS: emit_test(p, BPF_JEQ, (uint32_t)getpid(), 1); break;
	case LACKS:
		emit(p, BPF_ALU | BPF_AND | BPF_K, row->value);
		emit_test(p, BPF_JEQ, 0, 1);
		break;
	case HAS:
		emit(p, BPF_ALU | BPF_AND | BPF_K, row->value);
		emit_test(p, BPF_JEQ, row->value, 1);
		break;
	}
	emit_allow(p);
}

static void emit_row(struct program *p, const struct row *row)
{
	unsigned start;

	emit_load(p, offsetof(struct seccomp_data, nr));
	start = p->len;
	emit_test(p, BPF_JEQ, row->call, 0);
	if (row->check != NAMES)
		emit_load_argument(p, row->argument);
	emit_condition(p, row);
	p->code[start].jf = (uint8_t)(p->len - start - 1u); /* another call: to the next row */
}

/* Another processor's calls have other numbers, so none of them is allowed. */
static void emit_begin(struct program *p)
{
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit_test(p, BPF_JEQ, THIS_ARCH, 0);
	p->code[p->len - 1u].jt = 1;
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
}

static void emit_end(struct program *p)
{
#ifdef __NR_clone3
	/* Its flags are in memory, where a filter cannot see them. Without it, the C library uses
	 * clone. */
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_test(p, BPF_JEQ, __NR_clone3, 1);
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
#endif
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
}

void sandbox_limit_calls(const struct sandbox_needs *needs)
{
	struct program program = {
		.outputs = { STDOUT_FILENO, STDERR_FILENO, needs->files[0], needs->files[1] },
		.renames = needs->beside != NULL,
	};
	struct sock_fprog installed = { .filter = program.code };
	unsigned i;

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
