/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Notes the failure that qcow2_last_failure returns, one for each thread.
 */
#ifndef QCOW2_POSIX_FAILURE_H
#define QCOW2_POSIX_FAILURE_H

#include "posix.h"

#include "qcow2/status.h"

struct qp_file;

/* qcow2_error.io_code of a file that is shorter than it was at open. No errno is negative. */
enum { QP_IO_SHRANK = -1 };

#if defined(__GNUC__)
#define QP_PRINTF(at) __attribute__((format(printf, at, (at) + 1)))
#else
#define QP_PRINTF(at)
#endif

/* Forgets the last failure of this thread. */
void qp_failure_reset(void);

/* Notes a failure. text is static; format and what follows make the message. */
void qp_fail(int error, int status, const char *text, const char *format, ...) QP_PRINTF(4);
/* The same; the message is the text. */
void qp_fail_text(int error, int status, const char *text);
/* Changes the status of the failure that was noted last. */
void qp_failure_status(int status);
/* Notes that there is not enough memory. */
void qp_fail_memory(void);
/*
 * Notes a failure of a file of the handle. The message names the file unless it is the image
 * itself, and ends with the reason if that is not NULL.
 */
void qp_fail_file(const struct qp_file *file, int error, const char *text, const char *reason);
/* Notes a status of the core. err may be NULL; the ctx of err->io, if it is set, is a qp_file. */
void qp_fail_core(int status, const struct qcow2_error *err);
/* The same; `what` replaces the text of the status in the message. */
void qp_fail_core_what(int status, const struct qcow2_error *err, const char *what);
/*
 * Notes that the file ends before a part of it does: QCOW2_E_TRUNCATED at the end of the file.
 * looks_cut is the field of qcow2_failure.
 */
void qp_fail_missing(const struct qp_file *file, bool looks_cut, const char *format, ...)
	QP_PRINTF(3);

/* A part of the disk that cannot be read or mapped (read/damage.h). */
struct qp_damage {
	uint64_t offset; /* in the disk; the fields of qcow2_failure */
	uint64_t length;
	bool looks_cut;
	char reason[256]; /* replaces the text of the status, and says where; "": it does not */
};

/* Like qp_fail_core, for a part of the disk. */
void qp_fail_damage(int status, const struct qcow2_error *err, const struct qp_damage *damage);
/* Notes about the last failure that the image names the file that it needs. */
void qp_failure_names_file(void);

/* Ends a public call that failed: sets errno from the failure that was noted. Returns -1. */
int qp_failed(void);

#endif
