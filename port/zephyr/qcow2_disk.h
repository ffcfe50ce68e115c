/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Zephyr: the disk in a qcow2 image, as a read-only disk of disk_access.
 *
 *	static struct qcow2_file file;
 *	static struct qcow2_disk disk;
 *
 *	qcow2_file_open(&file, "/SD:/disk.qcow2");
 *	qcow2_disk_register(&disk, "VM", &file.io, NULL);
 *
 * After that a file system can be mounted from "VM". All calls return 0 or a negative errno.
 */
#ifndef QCOW2_DISK_H
#define QCOW2_DISK_H

#include <zephyr/drivers/disk.h>
#include <zephyr/fs/fs.h>
#include <zephyr/kernel.h>

#include "qcow2/reader.h"

#ifdef CONFIG_QCOW2_ZSTD
#define QCOW2_DISK_MEMORY QCOW2_READER_MEMORY_ZSTD(CONFIG_QCOW2_ZSTD_CLUSTER_BITS)
#else
#define QCOW2_DISK_MEMORY QCOW2_READER_MEMORY_DEFLATE
#endif

enum { QCOW2_DISK_SECTOR = 512 };

/* All members are private, except that image.size is the size of the disk in bytes. */
struct qcow2_disk {
	struct disk_info info;
	struct k_mutex lock; /* for the reader, which serves one thread at a time */
	struct qcow2_image image;
	struct qcow2_reader reader;
	uint64_t memory[QCOW2_DISK_MEMORY / 8];
};

/*
 * Opens the image in *io and registers its disk under this name. backing is the image below, which
 * the caller has opened with qcow2_image_open, or NULL if there is none. disk, name, what io->ctx
 * points to, and backing must stay as they are until qcow2_disk_unregister.
 *
 * A last sector that the disk does not fill ends with zeros.
 *
 * Fails with
 *	-EINVAL   the image is invalid, needs another file, or has a feature that is not supported
 *	-EFBIG    the disk has more sectors than disk_access can count
 *	the error of the io callback, and what disk_access_register fails with
 */
int qcow2_disk_register(struct qcow2_disk *disk, const char *name, const struct qcow2_io *io,
                        const struct qcow2_image *backing);

/* Only when nothing uses the disk any more. */
int qcow2_disk_unregister(struct qcow2_disk *disk);

/* A file of a file system of Zephyr. io is what qcow2_disk_register and qcow2_image_open take. */
struct qcow2_file {
	struct fs_file_t file;
	struct k_mutex lock; /* for the position of file, which all disks over it share */
	struct qcow2_io io;
};

/* The file must not change while it is open. */
int qcow2_file_open(struct qcow2_file *file, const char *path);
int qcow2_file_close(struct qcow2_file *file);

#endif
