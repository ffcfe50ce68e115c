/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * 64-bit arithmetic. Where registers have 32 bits, each of these takes so many instructions that a
 * call is shorter, so they are not inline.
 */
#include "internal.h"

#if UINTPTR_MAX <= UINT32_MAX
uint64_t q2_shr64(uint64_t value, unsigned bits)
{
	uint32_t high = (uint32_t)(value >> 32);
	uint32_t low = (uint32_t)value;

	if (bits >= 32u)
		return high >> (bits - 32u);
	/* A shift by 0 needs its own case, because high << 32 below is undefined. */
	if (bits == 0u)
		return value;
	return (uint64_t)(high >> bits) << 32 | (low >> bits | high << (32u - bits));
}
#endif

uint64_t q2_left(uint64_t size, uint64_t pos)
{
	return pos < size ? size - pos : 0u;
}

void q2_extent_clip(struct qcow2_extent *e, uint64_t len)
{
	if (e->len > len)
		e->len = len;
}
