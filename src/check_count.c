/* SPDX-License-Identifier: MIT */
/*
 * What a check does again and again: reads a piece of the file, gets and sets the counter of a
 * cluster, and reports a finding. check.c and check_walk.c call this.
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
