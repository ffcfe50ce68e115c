/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* libqcow. It leaves opening backing files to the caller. */
#include "bench/reader.h"

#include <stdio.h>
#include <string.h>

#include <libqcow.h>

enum { NAME_ROOM = 4096 };

static struct reader *complain(libqcow_file_t *file, libqcow_error_t *error)
{
	libqcow_error_fprint(error, stderr);
	libqcow_error_free(&error);
	libqcow_file_free(&file, NULL);
	return NULL;
}

/* The path of the backing file, in the directory of the image; "" if the image has none. */
static bool backing_path(libqcow_file_t *file, const char *path, char out[NAME_ROOM])
{
	const char *slash = strrchr(path, '/');
	size_t dir_len = slash != NULL ? (size_t)(slash + 1 - path) : 0u;
	size_t name_len = 0;

	out[0] = '\0';
	if (libqcow_file_get_utf8_backing_filename_size(file, &name_len, NULL) != 1 || name_len < 2)
		return true;
	if (dir_len > NAME_ROOM || name_len > NAME_ROOM - dir_len)
		return false;
	memcpy(out, path, dir_len);
	return libqcow_file_get_utf8_backing_filename(file, (uint8_t *)out + dir_len, name_len,
	                                              NULL) == 1;
}

struct reader *reader_open(const char *path)
{
	libqcow_file_t *file = NULL, *parent;
	libqcow_error_t *error = NULL;
	char below[NAME_ROOM];

	if (libqcow_file_initialize(&file, &error) != 1 ||
	    libqcow_file_open(file, path, LIBQCOW_OPEN_READ, &error) != 1)
		return complain(file, error);
	if (!backing_path(file, path, below))
		return complain(file, NULL);
	if (below[0] == '\0')
		return (struct reader *)(void *)file;
	parent = (libqcow_file_t *)(void *)reader_open(below);
	if (parent == NULL || libqcow_file_set_parent_file(file, parent, &error) != 1)
		return complain(file, error);
	return (struct reader *)(void *)file;
}

uint64_t reader_size(struct reader *reader)
{
	size64_t size = 0;

	libqcow_file_get_media_size((libqcow_file_t *)(void *)reader, &size, NULL);
	return size;
}

bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	return libqcow_file_read_buffer_at_offset((libqcow_file_t *)(void *)reader, buf, len,
	                                          (off64_t)off, NULL) == (ssize_t)len;
}

void reader_close(struct reader *reader)
{
	libqcow_file_t *file = (libqcow_file_t *)(void *)reader;

	libqcow_file_close(file, NULL);
	libqcow_file_free(&file, NULL);
}
