/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reading a disk that is damaged: zeros where it cannot be read, and a list of these ranges.
 */
#ifndef QCOW2_TOOL_SALVAGE_H
#define QCOW2_TOOL_SALVAGE_H

#include "../args.h"

struct salvage;

/*
 * Starts to collect what is lost if the command line says --salvage; otherwise *s becomes NULL, and
 * salvage_read fails where the library does. Opens the report of --report. Returns EXIT_OK, or
 * EXIT_FAILED after a message.
 */
int salvage_begin(struct salvage **s, const struct args *args, struct qcow2 *q);

/*
 * Reads [off, off + len) of the disk. With a salvage, parts that cannot be read become zeros and
 * are noted. Returns false if the library failed, or without a salvage, if the read failed;
 * qcow2_last_failure has the reason. Any number of threads may call it.
 */
bool salvage_read(struct salvage *s, struct qcow2 *q, char *buf, size_t len, uint64_t off);

/* The descriptor of the report, or -1 if there is none. s may be NULL. */
int salvage_report_fd(const struct salvage *s);

/* Notes that len bytes of the disk are lost. The library's last failure has the reason. s is not
 * NULL. */
void salvage_note(struct salvage *s, uint64_t off, uint64_t len);

/*
 * Prints what is lost and completes the report. rc is the exit status of the command so far.
 * Returns it, or EXIT_SALVAGED if it is EXIT_OK and something is lost, or EXIT_FAILED after a
 * message if the report cannot be written. s may be NULL.
 */
int salvage_end(struct salvage *s, int rc);

#endif
