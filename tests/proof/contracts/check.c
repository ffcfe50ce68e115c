/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/check.c"
#include "internal.h"
#include "walk.h"

/* Assumed of the walk: it changes neither the window nor the memory. */
/*@ requires good_counters(c) && good_buffer(c) && c->first <= c->settled;
    ensures good_counters(c) && good_buffer(c);
    ensures same_window{Old, Here}(c); */
void q2_check_walk(struct qcow2_check *c);

/*@ requires good_counters(c) && c->first <= c->finding.cluster < c->window_end;
    assigns c->found[0 .. 3], c->finding.code, c->ended; */
static uint32_t report_overflow(struct qcow2_check *c);

/*@ requires good_counters(c) && c->first <= cluster < c->window_end;
    requires refcount == \null || \valid_read(refcount);
    assigns c->found[0 .. 3], c->finding.code, c->finding.cluster, c->finding.references,
            c->finding.refcount, c->ended, c->end, c->owners,
            c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
    ensures good_counters(c) && (\old(good_buffer(c)) ==> good_buffer(c)); */
static void compare(struct qcow2_check *c, uint32_t cluster, const uint64_t *refcount);

/*@ requires good_counters(c) && good_buffer(c);
    ensures good_counters(c) && good_buffer(c);
    ensures same_window{Old, Here}(c); */
static void window_refcounts(struct qcow2_check *c, bool marks);

/*@ requires good_memory(c) && good_buffer(c) && c->next <= c->n_clusters < UINT32_MAX;
    ensures good_memory(c) && good_buffer(c); */
static void window_check(struct qcow2_check *c);
