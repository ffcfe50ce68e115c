/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/check_map.c"
#include "internal.h"
#include "walk.h"

/*@ requires good_counters(c) && c->image.cluster_bits <= 21 && c->first <= c->settled;
    requires good_error(c);
    assigns c->found[0 .. 3], c->finding.code, c->finding.cluster, c->finding.length,
            c->finding.refcount, c->ended, c->too_short, c->next, c->snapshot_copied, c->n_calls,
            *c->error, c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1]; */
static void entry_leads(struct qcow2_check *c, uint32_t code, bool external);
