/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A pipe for the answers to reads of data that a file holds as it is. The pipe refers to the pages
 * that the kernel has of that file: splice(2). So the data is copied once, by the kernel, and never
 * to the memory of this process.
 */
#ifndef QCOW2_TOOL_SERVE_RELAY_H
#define QCOW2_TOOL_SERVE_RELAY_H

#include "../tool.h"

struct relay {
	int ends[2]; /* for reading and for writing */
	size_t room; /* bytes of data that an answer can have; 0: none, because there is no pipe */
};

/* Opens the pipe. Each thread has its own. */
void relay_open(struct relay *relay);

/*
 * Answers a request, which is as the kernel wrote it, with `len` bytes of fd from pos on. `to` is
 * the descriptor of the session. Returns false if that cannot be done, or if it fails: then the
 * caller answers, and finds out why. The kernel ignores an answer that it already has.
 */
bool relay_answer(const struct relay *relay, const void *request, int to, int fd, uint64_t pos,
                  size_t len);

#endif
