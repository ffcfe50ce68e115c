/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A plugin for QEMU that counts the instructions that the guest executes, except those in the given
 * ranges of addresses.
 *
 *	qemu-system-arm ... -plugin count.so,skip=FROM:TO,skip=...
 *
 * FROM and TO are hexadecimal; TO is the first address after the range. At the end the plugin
 * prints "instructions N" on standard error. Debian does not package QEMU's header for plugins, so
 * this file declares what it uses, as of version 1 of the interface.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb; /* a translated block of straight code */
struct qemu_info;

enum { ADD_U64 = 0, SKIPS_MAX = 8 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*on_translate)(plugin_id,
                                                                struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *to,
                                              uint64_t value);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*at_exit)(plugin_id, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

extern int qemu_plugin_version;
int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;

static uint64_t n_executed;
static struct {
	uint64_t from, to;
} skips[SKIPS_MAX];
static unsigned n_skips;

static int is_skipped(uint64_t address)
{
	unsigned i;

	for (i = 0; i < n_skips; i++)
		if (address >= skips[i].from && address < skips[i].to)
			return 1;
	return 0;
}

static void on_translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	(void)id;
	if (!is_skipped(qemu_plugin_tb_vaddr(tb)))
		qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &n_executed,
		                                         qemu_plugin_tb_n_insns(tb));
}

static void at_exit(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	fprintf(stderr, "instructions %" PRIu64 "\n", n_executed);
}

EXPORTED int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (n_skips == SKIPS_MAX || sscanf(argv[i], "skip=%" SCNx64 ":%" SCNx64,
		                                   &skips[n_skips].from, &skips[n_skips].to) != 2)
			return 1;
		n_skips++;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
