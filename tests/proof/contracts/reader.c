/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/reader.c"
#include "internal.h"

/*@ requires reader != \null ==> good_reader(reader);
    requires reader != \null && buf != \null ==> apart_buffer(reader, (uint8_t *)buf, len);
    assigns reader->error, reader->want, reader->extent, reader->misses, reader->spare,
            reader->mask, reader->memory[0 .. 512 * room(reader->keys) - 1],
            reader->keys[1 - room(reader->keys) .. 0], reader->stream,
            reader->window_image, reader->window_off, ((uint8_t *)buf)[0 .. len - 1];
    ensures \result == 0 && len > 0 ==> off + len <= reader->image->size; */
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len);
