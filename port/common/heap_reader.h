/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef PORT_HEAP_READER_H
#define PORT_HEAP_READER_H

#include "qcow2/reader.h"

/*
 * Starts a reader with the core's decoders for deflate and zstd, and with memory from a heap. It
 * takes the most that helps and the fast decoders if the heap has it, and else less, down to the
 * least memory and the small decoders.
 *
 * alloc returns NULL if it has too little memory. Afterwards *memory is what it returned last, and
 * the caller releases it, also if the call fails. It is NULL if the heap had not even the least;
 * the result is then QCOW2_E_MEMORY. Otherwise fails as qcow2_reader_start does.
 */
int port_heap_reader_start(struct qcow2_reader *reader, const struct qcow2_image *image,
                           void *(*alloc)(size_t len), void **memory);

#endif
