/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/io.c"
#include "internal.h"
