/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What clients can connect to: the disk, whose name is empty, and the internal snapshots of the
 * image. All connections to an export share one handle of the library.
 */
#ifndef QCOW2_NBDKIT_EXPORTS_H
#define QCOW2_NBDKIT_EXPORTS_H

#include "plugin.h"

/* Opens the disk. Returns 0, or -1 after a message. */
int exports_open_disk(void);

/*
 * Returns the handle for the name that a client asks for: "", or the id or the name of a snapshot.
 * A snapshot is opened when a client first asks for it, and stays open. Returns NULL after a
 * message.
 */
struct qcow2 *exports_find(const char *name);

/* Lists the disk and the snapshots. Returns 0, or -1 after a message. */
int exports_list(struct nbdkit_exports *list);

/* Closes all handles. */
void exports_close(void);

#endif
