/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The callbacks of the plugin. A connection's handle is a struct qcow2, which any number of threads
 * may use, so nbdkit calls pread and extents in parallel.
 */
#include "plugin.h"

#include <errno.h>
#include <stdio.h>

#include "exports.h"
#include "parameters.h"
#include "passwords.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/*
 * The most runs that one request examines, because a fragmented disk may have millions of them.
 * The protocol lets the answer end early; the client asks again for the rest.
 */
enum { RUNS_MAX = 65536 };

/* The preferred block size of a raw disk, which has no clusters. */
enum { RAW_BLOCK = 4096 };

static int plugin_get_ready(void)
{
	return exports_open_disk();
}

static void plugin_unload(void)
{
	exports_close();
	passwords_wipe();
}

static void plugin_dump(void)
{
	const char *compression, *decoder;
	unsigned i;

	printf("qcow2_version=%s\n", QCOW2_VERSION);
	for (i = 0; qcow2_get_decoder(i, &compression, &decoder) > 0; i++)
		printf("qcow2_%s=%s\n", compression, decoder);
	printf("qcow2_encryption=%s\n", qcow2_get_crypto() != NULL ? qcow2_get_crypto() : "no");
}

static int plugin_list_exports(int readonly, int is_tls, struct nbdkit_exports *list)
{
	(void)readonly;
	(void)is_tls;
	return exports_list(list);
}

static void *plugin_open(int readonly)
{
	const char *name = nbdkit_export_name();

	(void)readonly;
	return name != NULL ? exports_find(name) : NULL;
}

/* The largest L1 and L2 tables map 2^61 bytes, so the size is never negative. */
static int64_t plugin_get_size(void *handle)
{
	return (int64_t)qcow2_get_size(handle);
}

/* Any byte can be read by itself, but reading less than a cluster decodes it more than once. */
static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                             uint32_t *maximum)
{
	struct qcow2_info info = { .struct_size = sizeof info };

	*minimum = 1;
	*preferred = RAW_BLOCK;
	*maximum = UINT32_MAX;
	if (qcow2_get_info(handle, 0, &info) == 0 && info.cluster_size != 0u)
		*preferred = (uint32_t)info.cluster_size;
	return 0;
}

/* All connections see the same disk, which never changes. */
static int plugin_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

/* Reports the failure of a read. The protocol knows few errors; nbdkit makes EINVAL of all others.
 */
static int failed(void)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	nbdkit_error("%s", failure->message);
	nbdkit_set_error(failure->error == ENOMEM || failure->error == ENOTSUP ? failure->error
	                                                                       : EIO);
	return -1;
}

/* nbdkit has checked that the disk has all that is asked for. */
static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return qcow2_read(handle, buf, count, offset) < 0 ? failed() : 0;
}

/*
 * Finds the run at offset. What is damaged counts as data, so that a client reads it and learns of
 * the damage there, and the rest of the map is still found.
 */
static int find_run(struct qcow2 *q, uint64_t offset, uint64_t len, struct qcow2_segment *run)
{
	const struct qcow2_failure *failure;

	if (qcow2_map(q, offset, len, run) > 0)
		return 0;
	failure = qcow2_last_failure();
	if (failure->error != EIO || failure->length == 0u)
		return failed();
	run->length = failure->length < len ? failure->length : len;
	run->flags = QCOW2_SEGMENT_DATA;
	return 0;
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                          struct nbdkit_extents *extents)
{
	const uint64_t end = offset + count; /* within the disk, so it does not wrap */
	struct qcow2_segment run;
	unsigned n;

	for (n = 0; n < RUNS_MAX && offset != end; n++) {
		uint32_t type;

		if (find_run(handle, offset, end - offset, &run) != 0)
			return -1;
		type = (run.flags & QCOW2_SEGMENT_DATA) != 0u
		               ? 0u
		               : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
		if (nbdkit_add_extent(extents, offset, run.length, type) != 0)
			return -1;
		if ((flags & NBDKIT_FLAG_REQ_ONE) != 0u)
			break;
		offset += run.length;
	}
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "qcow2",
	.longname = "qcow2 disk images",
	.version = QCOW2_VERSION,
	.description = "Serves the disk of a qcow2 image, and its internal snapshots as exports.",
	.unload = plugin_unload,
	.config = parameters_store,
	.config_complete = parameters_check,
	.config_help = parameters_help,
	.magic_config_key = "file",
	.get_ready = plugin_get_ready,
	.dump_plugin = plugin_dump,
	.list_exports = plugin_list_exports,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_multi_conn = plugin_can_multi_conn,
	.pread = plugin_pread,
	.extents = plugin_extents,
};

/* The macro below defines it without a declaration. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
