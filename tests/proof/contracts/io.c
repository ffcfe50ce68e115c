/* SPDX-License-Identifier: MIT */
#include "../../../src/io.c"
#include "internal.h"
