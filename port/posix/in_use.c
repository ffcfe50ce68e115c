/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Tells whether QEMU has a file of the chain open for writing.
 *
 * QEMU locks bytes of each image file that it opens, block/file-posix.c: byte 100 + N while it has
 * permission N, and byte 200 + N while it denies that permission to others. Permission 1 is to
 * write. The locks are at these positions even if the image begins elsewhere in the file.
 */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "failure.h"
#include "handle.h"

/* RAW_LOCK_PERM_BASE, and the number of BLK_PERM_WRITE. */
enum { PERMISSIONS = 100, WRITE = 1 };

static bool is_locked(const struct qp_file *file)
{
#ifdef F_OFD_GETLK
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	lock.l_start = PERMISSIONS + WRITE;
	lock.l_len = 1;
	return file->fd >= 0 && fcntl(file->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
#else
	(void)file;
	return false;
#endif
}

int qcow2_in_use(struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);
	int error = errno;
	bool locked;

	if (layer == NULL) {
		qp_fail_text(ENOENT, 0, "the backing chain has no image at this depth");
		return qp_failed();
	}
	locked = is_locked(&layer->file) || is_locked(&layer->data);
	errno = error;
	return locked;
}
