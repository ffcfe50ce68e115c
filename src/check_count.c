/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a check does again and again: reads a piece of the file or an entry of a table, gets and
 * sets the counter of a cluster, counts a reference, and reports a finding. The other files of the
 * check call this.
 */
#include "qcow2/refcount.h"
#include "walk.h"

void q2_check_report(struct qcow2_check *c, uint32_t code)
{
	if (c->ended != QCOW2_OK)
		return;
	if (code < QCOW2_CHECK_LEAK)
		c->corruptions++;
	else if (code == QCOW2_CHECK_LEAK)
		c->leaks++;
	else if (code == QCOW2_CHECK_UNREADABLE)
		c->unreadable++;
	else
		c->notes++;
	c->finding.code = code;
	if (c->report != NULL && c->report(c->ctx, &c->finding) != 0)
		c->ended = QCOW2_E_LIMIT;
}

bool q2_check_spend(struct qcow2_check *c, uint32_t n)
{
	if (c->ended != QCOW2_OK)
		return false;
	if (n > c->max_calls - c->n_calls) {
		c->ended = QCOW2_E_LIMIT;
		return false;
	}
	c->n_calls += n;
	return true;
}

bool q2_check_read(struct qcow2_check *c, uint64_t pos, void *buf, uint32_t len)
{
	if (!q2_check_spend(c, 1))
		return false;
	c->ended = q2_image_read(&c->image, pos, buf, len, c->error);
	return c->ended == QCOW2_OK;
}

bool q2_check_refcounts(struct qcow2_check *c, uint64_t cluster, uint32_t n, uint64_t *counts)
{
	int rc;

	if (!q2_check_spend(c, 2))
		return false;
	rc = qcow2_refcounts(&c->image, cluster, &n, counts, c->error);
	if (rc == QCOW2_E_IO)
		c->ended = rc;
	return rc == QCOW2_OK;
}

uint32_t q2_counter_get(const struct qcow2_check *c, uint32_t cluster)
{
	const uint8_t *counter = c->counters + ((size_t)(cluster - c->first) << c->wide);

	if (c->wide != 0u)
		return *(const uint32_t *)(const void *)counter;
	return (uint32_t)(*counter & Q2_COUNT_MOST) | (uint32_t)(*counter >> 7) << 31;
}

void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t value)
{
	uint8_t *counter = c->counters + ((size_t)(cluster - c->first) << c->wide);

	if (c->wide != 0u)
		*(uint32_t *)(void *)counter = value;
	else
		*counter = (uint8_t)(value | value >> 31 << 7);
}

void q2_check_report_first(struct qcow2_check *c, uint32_t code)
{
	if (q2_check_is_first(c))
		q2_check_report(c, code);
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
	uint32_t counter = q2_counter_get(c, cluster);

	if (c->mode == Q2_WALK_COUNT) {
		if (c->wide == 0u && (counter & Q2_COUNT_MOST) == Q2_COUNT_MOST)
			c->saturated = true;
		else
			/* A wide counter stays at the most that it can count. */
			q2_counter_set(c, cluster,
			               counter + ((counter | Q2_COUNT_MARK) != UINT32_MAX));
	} else if ((counter & Q2_COUNT_MARK) != 0u) {
		c->finding.cluster = cluster;
		q2_check_report(c, QCOW2_CHECK_OWNER);
	}
}

void q2_check_refer(struct qcow2_check *c, uint64_t pos, uint64_t len)
{
	unsigned bits = c->image.cluster_bits;
	uint32_t cluster, last;

	if (len == 0u)
		return;
	if (pos > c->room || len > c->room - pos) {
		c->finding.value = pos;
		c->finding.length = len;
		q2_check_report_first(c, QCOW2_CHECK_PAST_END);
		return;
	}
	cluster = (uint32_t)q2_shr64(pos, bits);
	last = (uint32_t)q2_shr64(pos + (len - 1u), bits);
	if (last >= c->window_end) {
		q2_check_note_next(c, cluster);
		last = c->window_end - 1u;
	}
	if (cluster < c->first)
		cluster = c->first;
	for (; cluster <= last; cluster++)
		refer_to_cluster(c, cluster);
}

bool q2_check_entry(struct qcow2_check *c, uint32_t owner, uint64_t table, uint32_t index)
{
	uint32_t in_slice = index % Q2_CHECK_SLICE_ENTRIES;
	uint64_t pos = table + (uint64_t)index * Q2_CHECK_ENTRY_LEN;

	/* A table inside the file is below 2^63, so the sum does not wrap. */
	if (in_slice == 0u && (table >= c->image.io.size || pos >= c->image.io.size ||
	                       !q2_check_read(c, pos, c->slice, Q2_SLICE_LEN)))
		return false;
	q2_check_at(c, owner, pos);
	c->finding.index = index;
	c->finding.entry = q2_be64(c->slice + in_slice * Q2_CHECK_ENTRY_LEN);
	return true;
}
