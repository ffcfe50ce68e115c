// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
/*
 * Where the blocks of a qcow2 image are on the device below
 */
#include <blk.h>
#include <errno.h>
#include <malloc.h>
#include <qcow2_blk.h>
#include <linux/kernel.h>
#include <linux/string.h>

void qcow2_place_init(struct qcow2_place *place, struct blk_desc *desc)
{
	memset(place, 0, sizeof(*place));
	place->uclass_id = desc->uclass_id;
	place->devnum = desc->devnum;
	place->blksz = desc->blksz;
	place->hwpart = desc->hwpart;
	place->lba = desc->lba;
}

static int more_runs(struct qcow2_place *place)
{
	uint max = place->max_runs ? place->max_runs * 2 : 16;
	struct qcow2_run *runs;

	/* A file system of 2^32 blocks has fewer runs than that. */
	if (max > UINT_MAX / sizeof(*runs))
		return -ENOMEM;
	runs = malloc(max * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	if (place->n_runs)
		memcpy(runs, place->runs, place->n_runs * sizeof(*runs));
	free(place->runs);
	place->runs = runs;
	place->max_runs = max;
	return 0;
}

/* Does the run begin where the last one would continue? */
static bool continues(const struct qcow2_place *place,
		      const struct qcow2_run *run)
{
	const struct qcow2_run *last;

	if (!place->n_runs)
		return false;
	last = &place->runs[place->n_runs - 1];
	if (last->hole || run->hole)
		return last->hole && run->hole;
	return run->start - last->start == run->index - last->index;
}

int qcow2_place_add(struct qcow2_place *place, const struct qcow2_run *run)
{
	if (continues(place, run))
		return 0;
	if (place->n_runs == place->max_runs) {
		int ret = more_runs(place);

		if (ret)
			return ret;
	}
	place->runs[place->n_runs++] = *run;
	return 0;
}

/* Returns the number of the run that has block @index of the image. */
static uint find_run(const struct qcow2_place *place, lbaint_t index)
{
	uint low = 0, high = place->n_runs;

	while (high - low > 1) {
		uint middle = low + (high - low) / 2;

		if (place->runs[middle].index <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/*
 * Returns the device, or NULL if it is gone, another one has its number, or
 * another hardware partition of it is selected. That one is not selected back
 * here: U-Boot's block cache does not distinguish hardware partitions.
 */
static struct blk_desc *device_of(const struct qcow2_place *place)
{
	struct blk_desc *desc;

	desc = blk_get_devnum_by_uclass_id(place->uclass_id, place->devnum);
	if (!desc || desc->blksz != place->blksz ||
	    desc->hwpart != place->hwpart || desc->lba != place->lba)
		return NULL;
	return desc;
}

int qcow2_place_read(void *ctx, u64 lba, u32 count, void *buf)
{
	struct qcow2_place *place = ctx;
	lbaint_t index = (lbaint_t)lba, left = count, n;
	struct blk_desc *desc = device_of(place);
	char *to = buf;
	uint i;

	if (!desc)
		return -ENODEV;
	for (i = find_run(place, index); left; i++) {
		const struct qcow2_run *run = &place->runs[i];

		n = left;
		if (i + 1 < place->n_runs && n > run[1].index - index)
			n = run[1].index - index;
		if (run->hole)
			memset(to, 0, n * place->blksz);
		else if (blk_dread(desc, run->start + (index - run->index), n,
				   to) != n)
			return -EIO;
		to += n * place->blksz;
		index += n;
		left -= n;
	}
	return 0;
}

void qcow2_place_free(struct qcow2_place *place)
{
	free(place->runs);
	place->runs = NULL;
}
