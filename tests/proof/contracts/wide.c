/* SPDX-License-Identifier: MIT */
#include "../../../src/wide.c"
#include "internal.h"
