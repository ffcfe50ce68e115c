/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Contracts of the functions in src/walk.h: see internal.h. */
#ifndef CONTRACTS_WALK_H
#define CONTRACTS_WALK_H

/*@ requires \valid_read(c);
    assigns \nothing; */
static inline bool q2_check_is_first(const struct qcow2_check *c);

/*@ requires good_counters(c) && c->first <= cluster < c->window_end;
    assigns \nothing; */
uint32_t q2_counter_get(const struct qcow2_check *c, uint32_t cluster);

/*@ requires good_counters(c) && c->first <= cluster < c->window_end;
    assigns c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
    ensures good_counters(c) && (\old(good_buffer(c)) ==> good_buffer(c)); */
void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t value);

/*@ requires \valid(c);
    assigns c->next;
    ensures c->next >= \old(c->next) || c->next >= c->window_end; */
void q2_check_note_next(struct qcow2_check *c, uint32_t cluster);

/* Assumed: it calls the program, which does not change *c. */
/*@ requires \valid(c);
    assigns c->found[0 .. 3], c->finding.code, c->ended; */
void q2_check_report(struct qcow2_check *c, uint32_t code);

/*@ requires \valid(c);
    assigns c->found[0 .. 3], c->finding.code, c->ended; */
void q2_check_report_first(struct qcow2_check *c, uint32_t code);

/*@ requires good_counters(c) && c->image.cluster_bits <= 21;
    assigns c->found[0 .. 3], c->finding.code, c->finding.cluster, c->ended, c->too_short, c->next,
            c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
    ensures good_counters(c); */
bool q2_check_refer(struct qcow2_check *c);

/*@ requires good_counters(c) && c->image.cluster_bits <= 21;
    assigns c->found[0 .. 3], c->finding.code, c->finding.cluster, c->finding.length, c->ended,
            c->too_short, c->next, c->counters[0 .. c->n_counters - 1],
            ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
    ensures good_counters(c); */
bool q2_check_refer_cluster(struct qcow2_check *c);

/* Assumed: it reads by qcow2_refcounts. */
/*@ requires \valid(c) && \valid(n) && 0 < *n && \valid(counts + (0 .. *n - 1));
    requires \valid(c->error) && \separated(c, n, c->error);
    requires \separated(counts + (0 .. *n - 1), n, c->error);
    requires \separated(counts + (0 .. *n - 1), c) || (counts == &c->finding.refcount && *n == 1);
    assigns *n, counts[0 .. *n - 1], c->n_calls, c->ended, *c->error;
    ensures 0 < *n <= \old(*n); */
bool q2_check_refcounts(struct qcow2_check *c, uint64_t cluster, uint32_t *n, uint64_t *counts);

#endif
