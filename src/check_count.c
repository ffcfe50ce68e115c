/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Counts for a check: references to the clusters of the window, in their counters, and findings,
 * which it reports.
 */
#include "walk.h"

/* ---- Findings ---- */

void q2_check_report(struct qcow2_check *c, uint32_t code)
{
	if (c->ended != QCOW2_OK)
		return;
	c->found[code / QCOW2_CHECK_KIND]++;
	c->finding.code = code;
	if (c->report != NULL && c->report(c->ctx, &c->finding) != 0)
		c->ended = QCOW2_E_LIMIT;
}

void q2_check_report_first(struct qcow2_check *c, uint32_t code)
{
	if (q2_check_is_first(c))
		q2_check_report(c, code);
}

/* ---- References ---- */

uint32_t q2_counter_get(const struct qcow2_check *c, uint32_t cluster)
{
	size_t i = cluster - c->first;

	if (c->wide != 0u)
		return ((const uint32_t *)(const void *)c->counters)[i];
	return c->counters[i];
}

void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t value)
{
	size_t i = cluster - c->first;

	if (c->wide != 0u)
		((uint32_t *)(void *)c->counters)[i] = value;
	else
		c->counters[i] = (uint8_t)value;
}

void q2_check_note_next(struct qcow2_check *c, uint32_t cluster)
{
	if (cluster < c->window_end)
		cluster = c->window_end;
	if (cluster < c->next)
		c->next = cluster;
}

/* Something refers to a cluster of the window. */
static void refer_to_cluster(struct qcow2_check *c, uint32_t cluster)
{
	uint32_t counter = q2_counter_get(c, cluster), most;

	if (c->owners != 0u) {
		c->finding.cluster = cluster;
		if ((counter & Q2_COUNT_MARK) != 0u)
			q2_check_report(c, QCOW2_CHECK_OWNER);
		return;
	}
	/* At its most, a counter means at least that. */
	most = c->wide != 0u ? UINT32_MAX : Q2_COUNT_SHORT_MOST * Q2_COUNT_ONE + Q2_COUNT_MARK;
	if ((counter | Q2_COUNT_MARK) != most)
		counter += Q2_COUNT_ONE;
	if ((counter | Q2_COUNT_MARK) == most)
		c->too_short = 1;
	q2_counter_set(c, cluster, counter);
}

bool q2_check_refer(struct qcow2_check *c)
{
	uint64_t pos = c->finding.value, len = c->finding.length;
	uint32_t cluster, last;

	if (len == 0u)
		return true;
	if (pos > c->room || len > c->room - pos) {
		q2_check_report_first(c, QCOW2_CHECK_PAST_END);
		return false;
	}
	cluster = (uint32_t)q2_shr64(pos, c->image.cluster_bits);
	last = (uint32_t)q2_shr64(pos + (len - 1u), c->image.cluster_bits);
	if (last >= c->window_end) {
		q2_check_note_next(c, cluster);
		last = c->window_end - 1u;
	}
	if (cluster < c->first)
		cluster = c->first;
	/*@ loop invariant c->first <= cluster && last < c->window_end;
	    loop assigns cluster, c->found[0 .. 3], c->finding.code, c->finding.cluster, c->ended,
	                 c->too_short, c->counters[0 .. c->n_counters - 1],
	                 ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
	    loop variant last - cluster; */
	for (; cluster <= last; cluster++)
		refer_to_cluster(c, cluster);
	return true;
}

bool q2_check_refer_cluster(struct qcow2_check *c)
{
	c->finding.length = c->cluster_len;
	return q2_check_refer(c);
}
