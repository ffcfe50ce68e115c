/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The last failure of each thread: errno, status, position and message.
 *
 * Messages begin in lower case and have no full stop, because a program puts its own words before
 * them. They state what is wrong, then what helps.
 */
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/codecs.h"
#include "key/crypto.h"
#include "open/file.h"
#include "printable.h"
#include "qcow2/image.h"
#include "words.h"

/* Room for a name and the words around it. */
enum { LABEL_ROOM = QP_PRINTABLE + 32, WHAT_ROOM = QP_PRINTABLE + 128 };

static __thread struct qcow2_failure last_failure = { .text = "no error" };

const struct qcow2_failure *qcow2_last_failure(void)
{
	return &last_failure;
}

void qp_failure_reset(void)
{
	last_failure.error = 0;
	last_failure.status = QCOW2_OK;
	last_failure.has_pos = 0;
	last_failure.pos = 0;
	last_failure.depth = 0;
	last_failure.offset = 0;
	last_failure.length = 0;
	last_failure.looks_cut = 0;
	last_failure.names_file = 0;
	last_failure.text = "no error";
	last_failure.message[0] = '\0';
}

void qp_fail(int error, int status, const char *text, const char *format, ...)
{
	va_list args;

	qp_failure_reset();
	last_failure.error = error;
	last_failure.status = status;
	last_failure.text = text;
	va_start(args, format);
	vsnprintf(last_failure.message, sizeof last_failure.message, format, args);
	va_end(args);
}

void qp_fail_text(int error, int status, const char *text)
{
	qp_fail(error, status, text, "%s", text);
}

void qp_fail_memory(void)
{
	qp_fail_text(ENOMEM, 0, "out of memory");
}

int qp_failed(void)
{
	errno = last_failure.error;
	return -1;
}

void qp_failure_status(int status)
{
	last_failure.status = status;
}

/* The errno of a status: the table in qcow2.h. */
static int errno_of(int status, int io_code)
{
	if (status == QCOW2_E_IO)
		return io_code > 0 ? io_code : EIO;
	switch (status) {
	case QCOW2_E_KEY: return EACCES;
	case QCOW2_E_MEMORY: return ENOMEM;
	case QCOW2_E_DEPTH: return ELOOP;
	case QCOW2_E_NOT_FOUND: return ENOENT;
	case QCOW2_E_INCONSISTENT: return ESTALE;
	case QCOW2_E_TOO_BIG: return EFBIG;
	case QCOW2_E_BACKING:
	case QCOW2_E_DATA_FILE:
	case QCOW2_E_VERSION:
	case QCOW2_E_FEATURE:
	case QCOW2_E_ENCRYPTED:
	case QCOW2_E_CRYPTO: /* of all reasons the likely one is a cipher that it does not have */
	case QCOW2_E_COMPRESSION:
	case QCOW2_E_SNAPSHOT_DATA_FILE: return ENOTSUP;
	case QCOW2_E_L2_ENTRY:
	case QCOW2_E_COMPRESSED:
	case QCOW2_E_REFCOUNT:
	case QCOW2_E_TRUNCATED: return EIO;
	default: return EINVAL; /* a wrong argument, or an invalid header or table */
	}
}

/* Describes unknown feature bits, with the name of the lowest one if the image has one. */
static void feature_message(const struct qcow2_error *err, char *buf, size_t len)
{
	char name[QCOW2_FEATURE_NAME_ROOM];
	unsigned bit = 0;

	while (bit < 63u && (err->detail >> bit) % 2u == 0u)
		bit++;
	if (qcow2_feature_name(err->io, QCOW2_FEATURE_INCOMPATIBLE, bit, name) == QCOW2_OK) {
		char shown[QP_PRINTABLE];

		snprintf(buf, len, "unknown incompatible feature \"%s\" (bits %#llx)",
		         qp_printable(shown, name, strlen(name)), (unsigned long long)err->detail);
	} else {
		snprintf(buf, len, "unknown incompatible feature (bits %#llx)",
		         (unsigned long long)err->detail);
	}
}

/* Why data cannot be decrypted; detail is the method. */
static void encrypted_message(uint64_t detail, char *buf, size_t len)
{
	if (detail > QCOW2_CRYPT_LUKS)
		snprintf(buf, len, "the image is encrypted by an unknown method (%llu)",
		         (unsigned long long)detail);
	else
		snprintf(buf, len, "the image is encrypted (%s), and no key was given",
		         qp_encryption_name(detail));
}

/* Describes a status, with the names and numbers that belong to it. */
static void core_message(int status, const struct qcow2_error *err, char *buf, size_t len)
{
	const char *text = qcow2_status_text(status);
	unsigned long long detail = err->detail;

	switch (status) {
	case QCOW2_E_IO:
		snprintf(buf, len, "%s: %s", text,
		         err->io_code == QP_IO_SHRANK ? "the file shrank" : strerror(err->io_code));
		break;
	case QCOW2_E_VERSION:
		snprintf(buf, len, "qcow version %llu is not supported", detail);
		break;
	case QCOW2_E_FEATURE: feature_message(err, buf, len); break;
	case QCOW2_E_ENCRYPTED: encrypted_message(detail, buf, len); break;
	case QCOW2_E_CRYPTO:
		snprintf(buf, len, "%s, which this build uses, lacks the cipher or hash, or failed",
		         qp_crypto_name != NULL ? qp_crypto_name : "");
		break;
	case QCOW2_E_KEY:
		snprintf(buf, len, "wrong password: it opens none of the %llu active key slots",
		         detail);
		break;
	case QCOW2_E_CLUSTER_BITS:
		snprintf(buf, len, "cluster size 2^%llu is not supported", detail);
		break;
	case QCOW2_E_COMPRESSION:
		snprintf(buf, len, "compression type %llu is not supported", detail);
		break;
	case QCOW2_E_TOO_BIG:
		snprintf(buf, len, "a size or count exceeds the limits of QEMU: %llu", detail);
		break;
	case QCOW2_E_SNAPSHOT_DATA_FILE:
		snprintf(buf, len,
		         "snapshots of an image with an external data file cannot be read");
		break;
	default: snprintf(buf, len, "%s", text); break;
	}
}

/* Does a failure with this status have a position in the file? */
static bool has_place(int status)
{
	return status <= QCOW2_E_IO && status != QCOW2_E_SNAPSHOT_DATA_FILE &&
	       status != QCOW2_E_CRYPTO;
}

/* "backing file 'base.qcow2': ", "data file at depth 0: ", or nothing for the image itself. */
static void file_label(const struct qp_file *file, char *buf, size_t len)
{
	const char *kind = qp_kind_name(file->is_data ? QCOW2_FILE_DATA : QCOW2_FILE_BACKING);
	char shown[QP_PRINTABLE];

	if (!file->is_data && file->depth == 0u)
		snprintf(buf, len, "%s", "");
	else if (file->path != NULL)
		snprintf(buf, len, "%s '%s': ", kind,
		         qp_printable(shown, file->path, strlen(file->path)));
	else
		snprintf(buf, len, "%s at depth %u: ", kind, file->depth);
}

void qp_fail_file(const struct qp_file *file, int error, const char *text, const char *reason)
{
	char label[LABEL_ROOM];

	file_label(file, label, sizeof label);
	qp_fail(error, 0, text, "%s%s%s%s", label, text, reason != NULL ? ": " : "",
	        reason != NULL ? reason : "");
	last_failure.depth = file->depth;
}

/* The position of a failure in its file; the image may begin after the start of the file. */
static uint64_t place_of(const struct qcow2_error *err)
{
	return qp_file_place(err->io, err->pos);
}

/* Notes a status and the file. The place in the file is noted if the status has one. */
static void fail_status(int status, const struct qcow2_error *err, const char *what,
                        const char *where)
{
	const struct qp_file *file = err->io != NULL ? err->io->ctx : NULL;
	bool placed = file != NULL && has_place(status);
	char label[LABEL_ROOM] = "";

	if (file != NULL)
		file_label(file, label, sizeof label);
	qp_fail(errno_of(status, err->io_code), status, qcow2_status_text(status), "%s%s%s", label,
	        what, where);
	last_failure.has_pos = placed;
	last_failure.pos = placed ? place_of(err) : 0u;
	last_failure.depth = file != NULL ? file->depth : 0u;
}

/* A call that failed before it could note anything leaves an older error in *err. */
static const struct qcow2_error *own_error(int status, const struct qcow2_error *err)
{
	static const struct qcow2_error nothing;

	return err != NULL && err->status == status ? err : &nothing;
}

void qp_fail_core(int status, const struct qcow2_error *err)
{
	char what[WHAT_ROOM];

	core_message(status, own_error(status, err), what, sizeof what);
	qp_fail_core_what(status, err, what);
}

void qp_fail_core_what(int status, const struct qcow2_error *err, const char *what)
{
	char where[64] = "";

	err = own_error(status, err);
	if (err->io != NULL && has_place(status))
		snprintf(where, sizeof where, " (at file offset %llu)",
		         (unsigned long long)place_of(err));
	fail_status(status, err, what, where);
}

void qp_fail_missing(const struct qp_file *file, bool looks_cut, const char *format, ...)
{
	struct qcow2_error err = { .pos = file->io.size, .io = &file->io };
	char what[WHAT_ROOM];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	fail_status(QCOW2_E_TRUNCATED, &err, what, "");
	last_failure.looks_cut = looks_cut;
}

void qp_fail_damage(int status, const struct qcow2_error *err, const struct qp_damage *damage)
{
	unsigned long long offset = damage->offset;
	char what[WHAT_ROOM], where[96];

	core_message(status, err, what, sizeof what);
	if (damage->reason[0] != '\0' || err->io == NULL || !has_place(status))
		snprintf(where, sizeof where, " (at disk offset %llu)", offset);
	else
		snprintf(where, sizeof where, " (at file offset %llu, disk offset %llu)",
		         (unsigned long long)place_of(err), offset);
	fail_status(status, err, damage->reason[0] != '\0' ? damage->reason : what, where);
	last_failure.offset = damage->offset;
	last_failure.length = damage->length;
	last_failure.looks_cut = damage->looks_cut;
}

void qp_failure_names_file(void)
{
	last_failure.names_file = 1;
}
