/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/check_count.c"
#include "internal.h"
#include "walk.h"

/*@ requires good_counters(c) && c->first <= cluster < c->window_end;
    assigns c->found[0 .. 3], c->finding.code, c->finding.cluster, c->ended, c->too_short,
            c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
    ensures good_counters(c); */
static void refer_to_cluster(struct qcow2_check *c, uint32_t cluster);
