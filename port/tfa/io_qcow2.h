/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef IO_QCOW2_H
#define IO_QCOW2_H

#include <drivers/io/io_driver.h>

/*
 * Registers the io device for the disk in a qcow2 image; io_qcow2.c explains its use. Returns 0 or
 * a negative errno.
 */
int register_io_dev_qcow2(const io_dev_connector_t **dev_con);

#endif
