/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What every file of the nbdkit plugin needs. Each file includes it before anything else, because
 * it asks the system for 64-bit file offsets.
 *
 * Of the project, the plugin uses only qcow2.h and qcow2/status.h.
 */
#ifndef QCOW2_NBDKIT_PLUGIN_H
#define QCOW2_NBDKIT_PLUGIN_H

#define _GNU_SOURCE        1
#define _FILE_OFFSET_BITS  64
#define _TIME_BITS         64
#define NBDKIT_API_VERSION 2

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nbdkit-plugin.h>

#include "qcow2.h"

/* The Makefile defines it; this is for builds by hand. */
#ifndef QCOW2_VERSION
#define QCOW2_VERSION "(unknown version)"
#endif

#endif
