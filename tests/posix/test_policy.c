/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which of the files that an image names the library opens: only those that the caller allows, in
 * the format that the caller or the image states.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow2/image.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536, DISK = 4 * CLUSTER };

/* Writes a raw disk full of this byte. */
static void write_raw(const char *path, int byte)
{
	char *bytes = malloc(DISK);

	TRUE(bytes != NULL);
	memset(bytes, byte, DISK);
	file_write(path, bytes, DISK);
	free(bytes);
}

/* The byte at offset 0, which an overlay gets from its backing file. */
static int first_byte(struct qcow2 *q)
{
	unsigned char byte;

	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 0), 1);
	return byte;
}

static void follows(const char *name, unsigned flags, int byte)
{
	struct qcow2 *q;

	write_overlay("top", name, "raw");
	q = open_with("top", flags);
	EQ(first_byte(q), byte);
	qcow2_close(q);
}

static void refuses(const char *name, unsigned flags, int error)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	write_overlay("top", name, "raw");
	options.flags = flags;
	options.path = "top";
	fails_with("top", &options, error);
}

/* A new directory with the files that most tests use. */
static int files_setup(void **state)
{
	if (dir_setup(state) != 0)
		return 1;
	write_raw("base", 1);
	mkdir("sub", 0777);
	write_raw("sub/base", 2);
	write_raw("subway", 3);
	symlink("base", "link");
	symlink("sub", "linked");
	mkfifo("fifo", 0666);
	return 0;
}

/* ---- Inside the directory ---- */

static void check_relative(void)
{
	follows("base", QCOW2_FOLLOW, 1);
	follows("./base", QCOW2_FOLLOW, 1);
	follows("file:base", QCOW2_FOLLOW, 1);
	follows("sub/base", QCOW2_FOLLOW, 2);
	follows("sub//./base", QCOW2_FOLLOW, 2);
	EQ(hooks.n_inherited, 0);
}

/*
 * An absolute name is inside the directory only if the path of the image leads to the same
 * directory.
 */
static void check_absolute(void)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	char name[256], top[256];
	struct qcow2 *q;

	snprintf(name, sizeof name, "%s/sub/base", dir_path());
	snprintf(top, sizeof top, "%s/top", dir_path());
	write_overlay("top", name, "raw");
	q = open_with(top, QCOW2_FOLLOW);
	EQ(first_byte(q), 2);
	qcow2_close(q);
	q = open_with("top", QCOW2_FOLLOW);
	EQ(first_byte(q), 2);
	qcow2_close(q);

	options.flags = QCOW2_FOLLOW;
	options.path = "sub/top";
	write_overlay("sub/top", "/etc/hostname", "raw");
	fails_with("sub/top", &options, EPERM);
	snprintf(name, sizeof name, "%s/base", dir_path());
	write_overlay("sub/top", name, "raw");
	fails_with("sub/top", &options, EPERM);
	snprintf(name, sizeof name, "%s/sub/../base", dir_path());
	write_overlay("sub/top", name, "raw");
	fails_with("sub/top", &options, EPERM);
	snprintf(name, sizeof name, "%s/subway", dir_path());
	write_overlay("sub/top", name, "raw");
	fails_with("sub/top", &options, EPERM);
}

static void check_outside(void)
{
	refuses("../base", QCOW2_FOLLOW, EPERM);
	refuses("sub/../base", QCOW2_FOLLOW, EPERM);
	refuses("sub/..", QCOW2_FOLLOW, EPERM);
	refuses("..", QCOW2_FOLLOW, EPERM);
	refuses("/dev/null", QCOW2_FOLLOW, EPERM);
	refuses("file:/dev/null", QCOW2_FOLLOW, EPERM);
	refuses("link", QCOW2_FOLLOW, ELOOP);
	refuses("linked/base", QCOW2_FOLLOW, ELOOP);
	refuses("base/", QCOW2_FOLLOW, ENOTDIR);
	refuses("base/x", QCOW2_FOLLOW, ENOTDIR);
	EQ(qcow2_last_failure()->status, 0);
	refuses("missing", QCOW2_FOLLOW, ENOENT);
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
	EQ(qcow2_last_failure()->names_file, 0); /* by its name it is not found */
	refuses("missing/base", QCOW2_FOLLOW, ENOENT);
}

static void check_kinds(void)
{
	refuses("sub", QCOW2_FOLLOW, EISDIR);
	refuses(".", QCOW2_FOLLOW, EISDIR);
	refuses("fifo", QCOW2_FOLLOW, ESPIPE);
	refuses("fifo", QCOW2_FOLLOW_ANY, ESPIPE);
	refuses("/dev/null", QCOW2_FOLLOW_ANY, ESPIPE);
}

/* The library has two ways to stay inside a directory: openat2(2), and a walk of its own. */
static void test_inside(void **state)
{
	static void (*const checks[])(void) = { check_relative, check_absolute, check_outside,
		                                check_kinds };
	size_t i;

	(void)state;
	for (i = 0; i < 2 * COUNT(checks); i++) {
		test_case("check %zu, %s openat2", i / 2, i % 2 == 0 ? "with" : "without");
		hooks_reset();
		hooks.no_openat2 = i % 2 == 1;
		checks[i / 2]();
	}
	hooks_reset();
}

static void test_anywhere(void **state)
{
	char absolute[256];

	(void)state;
	follows("link", QCOW2_FOLLOW_ANY, 1);
	follows("linked/base", QCOW2_FOLLOW_ANY, 2);
	follows("sub/../base", QCOW2_FOLLOW_ANY, 1);
	snprintf(absolute, sizeof absolute, "%s/sub/base", dir_path());
	follows(absolute, QCOW2_FOLLOW_ANY, 2);
	refuses("missing", QCOW2_FOLLOW_ANY, ENOENT);
}

/* Names that are not file names are never tried, whatever is allowed. */
static void test_no_file_name(void **state)
{
	static const char *const names[] = {
		"json:{\"driver\":\"file\",\"filename\":\"base\"}",
		"nbd://localhost/x",
		"nbd:unix:/tmp/sock",
		"http://localhost/x",
		"fat:rw:/",
		"x:base",
	};
	size_t i;

	(void)state;
	write_raw("x:base", 4);
	for (i = 0; i < COUNT(names); i++) {
		hooks_reset();
		refuses(names[i], QCOW2_FOLLOW, ENOTSUP);
		refuses(names[i], QCOW2_FOLLOW_ANY, ENOTSUP);
		EQ(hooks.n[CALL_OPEN], 0);
	}
	follows("./x:base", QCOW2_FOLLOW, 4);
}

static void test_nul_in_name(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;

	(void)state;
	small_image(&img);
	image_set_backing(&img, "base\0.txt", 9, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_to_file(&img, "top", NULL);
	image_free(&img);
	options.flags = QCOW2_FOLLOW_ANY;
	options.path = "top";
	fails_with("top", &options, EINVAL);
}

/* Without the path of the image, its directory is unknown. */
static void test_no_path(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "base", "raw");
	options.flags = QCOW2_FOLLOW;
	fails_with("top", &options, EINVAL);
}

/* If nothing is allowed, nothing is tried, and the message says what would be needed. */
static void test_not_allowed(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "ba\nse", "raw");
	options.path = "top";
	hooks_reset();
	fails_with("top", &options, ENOTSUP);
	EQ(hooks.n[CALL_OPEN], 0);
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
	EQ(qcow2_last_failure()->names_file, 1);
	HAS(qcow2_last_failure()->message, "'ba\\x0ase'");
}

/* ---- Formats ---- */

static void test_formats(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;

	(void)state;
	options.flags = QCOW2_FOLLOW;
	options.path = "top";
	write_overlay("top", "base", NULL);
	fails_with("top", &options, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_ARGUMENT);
	options.backing_format = "raw";
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	options.backing_format = "qcow2";
	fails_with("top", &options, EINVAL);
	EQ(qcow2_last_failure()->status, QCOW2_E_NOT_QCOW2);
	EQ(qcow2_last_failure()->depth, 1);
	/* The format in the image takes precedence over that in the options. */
	write_overlay("top", "base", "raw");
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	write_overlay("top", "base", "vmdk");
	hooks_reset();
	fails_with("top", &options, ENOTSUP);
	EQ(hooks.n[CALL_OPEN], 0);
	HAS(qcow2_last_failure()->message, "vmdk");
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
}

/* QEMU's names for the bytes as they are, in the image and from the caller. */
static void test_raw_formats(void **state)
{
	static const char *const formats[] = { "raw", "file", "host_device" };
	struct qcow2_file file = { "sub/base", -1, NULL };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;
	size_t i;

	(void)state;
	options.n_backing = 1;
	options.backing = &file;
	for (i = 0; i < COUNT(formats); i++) {
		write_overlay("top", "base", formats[i]);
		q = open_with("top", QCOW2_FOLLOW);
		EQ(first_byte(q), 1);
		qcow2_close(q);
		file.format = i == 0u ? NULL : formats[i];
		q = qcow2_open_options(open_read("top"), &options, NULL);
		EQ(first_byte(q), 2);
		qcow2_close(q);
	}
}

/* Where no format is given, the message says what the file looks like. Nothing follows from it. */
static void test_looks(void **state)
{
	static const char like[] = "it starts like a qcow2 image";
	static const char unlike[] = "it does not start like a qcow2 image";
	struct qcow2_file file = { "mid", -1, NULL };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;

	(void)state;
	write_overlay("mid", "base", "raw");
	options.flags = QCOW2_FOLLOW;
	options.path = "top";
	write_overlay("top", "mid", NULL);
	fails_with("top", &options, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_ARGUMENT);
	HAS(qcow2_last_failure()->message, like);
	write_overlay("top", "base", NULL);
	fails_with("top", &options, ENOTSUP);
	HAS(qcow2_last_failure()->message, unlike);
	options.flags = 0;
	options.n_backing = 1;
	options.backing = &file;
	fails_with("top", &options, ENOTSUP);
	HAS(qcow2_last_failure()->message, like);
	options.backing_format = "raw";
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 'Q');
	qcow2_close(q);
}

/* CVE-2008-2004: a raw disk in which the guest has written a qcow2 header stays a raw disk. */
static void test_no_probing(void **state)
{
	(void)state;
	write_raw("secret", 9);
	write_overlay("base", "secret", "raw");
	follows("base", QCOW2_FOLLOW, 'Q');
}

/* ---- Chains ---- */

static void test_loops(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	options.flags = QCOW2_FOLLOW;
	options.path = "a";
	write_overlay("a", "a", "qcow2");
	fails_with("a", &options, ELOOP);
	write_overlay("a", "b", "qcow2");
	write_overlay("b", "c", "qcow2");
	write_overlay("c", "b", "qcow2");
	fails_with("a", &options, ELOOP);
	/* Another name of the same file. */
	write_overlay("b", "d", "qcow2");
	EQ(link("b", "d"), 0);
	fails_with("a", &options, ELOOP);
}

static void write_chain(unsigned n)
{
	char name[16], below[16];

	while (n-- > 0u) {
		snprintf(name, sizeof name, "n%u", n);
		snprintf(below, sizeof below, "n%u", n + 1u);
		write_overlay(name, below, "qcow2");
	}
}

static void test_depth(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_info info = { .struct_size = sizeof info };
	struct qcow2 *q;

	(void)state;
	options.flags = QCOW2_FOLLOW;
	options.path = "n0";
	write_chain(300);
	fails_with("n0", &options, ELOOP);
	write_raw("base", 5);
	write_overlay("n254", "base", "raw");
	q = open_with("n0", QCOW2_FOLLOW);
	EQ(first_byte(q), 5);
	EQ(qcow2_get_info(q, 255, &info), 0);
	EQ(info.version, 0);
	EQ(qcow2_get_info(q, 256, &info), -1);
	TEXT(qcow2_get_path(q, 255), "./base");
	qcow2_close(q);
}

/* A name is looked up beside the file that holds it. */
static void test_relative_to_namer(void **state)
{
	struct qcow2 *q;

	(void)state;
	write_overlay("sub/mid", "base", "raw");
	write_overlay("top", "sub/mid", "qcow2");
	q = open_with("top", QCOW2_FOLLOW);
	EQ(first_byte(q), 2);
	qcow2_close(q);
}

/* Names are looked up in the directory that has the image, not in that of a link to it. */
static void test_link_to_image(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;
	char name[256];
	int i;

	(void)state;
	write_overlay("sub/top", "base", "raw");
	EQ(symlink("sub/top", "elsewhere"), 0);
	for (i = 0; i < 2; i++) {
		hooks_reset();
		hooks.no_proc = i == 1;
		q = open_with("elsewhere", QCOW2_FOLLOW);
		EQ(first_byte(q), 2);
		snprintf(name, sizeof name, "%s/sub/base", dir_path());
		TEXT(qcow2_get_path(q, 1), name);
		qcow2_close(q);
	}
	hooks_reset();
	/* As in QEMU. */
	q = open_with("elsewhere", QCOW2_FOLLOW_ANY);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	/* The directory of the link is another one, so an absolute name in it leads out. */
	snprintf(name, sizeof name, "%s/base", dir_path());
	write_overlay("sub/top", name, "raw");
	snprintf(name, sizeof name, "%s/elsewhere", dir_path());
	options.flags = QCOW2_FOLLOW;
	options.path = name;
	fails_with("elsewhere", &options, EPERM);
}

/* If the path is not that of the file, the directory is not known. */
static void test_unknown_directory(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "base", "raw");
	write_overlay("other", "base", "raw");
	options.flags = QCOW2_FOLLOW;
	options.path = "other";
	hooks_reset();
	hooks.no_proc = true;
	fails_with("top", &options, ENOENT);
	HAS(qcow2_last_failure()->message, "directory of the image");
	hooks_reset();
}

/* A directory that may be entered but not listed. */
static void test_unreadable_directory(void **state)
{
	uid_t user = geteuid();
	struct qcow2 *q;
	int i;

	(void)state;
	EQ(mkdir("deep", 0777), 0);
	EQ(mkdir("deep/deeper", 0777), 0);
	write_raw("deep/deeper/base", 7);
	write_overlay("deep/top", "deeper/base", "raw");
	EQ(chmod("deep/deeper", 0311), 0);
	EQ(chmod("deep", 0311), 0);
	EQ(chmod(".", 0711), 0);
	if (user == 0u)
		EQ(seteuid(65534), 0); /* root may list any directory */
	for (i = 0; i < 2; i++) {
		hooks_reset();
		hooks.no_openat2 = i == 1;
		q = open_with("deep/top", QCOW2_FOLLOW);
		EQ(first_byte(q), 7);
		qcow2_close(q);
	}
	hooks_reset();
	if (user == 0u)
		EQ(seteuid(user), 0);
	EQ(chmod("deep", 0777), 0);
	EQ(chmod("deep/deeper", 0777), 0);
}

static void exchange(void)
{
	EQ(renameat2(AT_FDCWD, "sub", AT_FDCWD, "evil", RENAME_EXCHANGE), 0);
}

/*
 * Another process exchanges a directory of the chain and a symbolic link to a directory elsewhere.
 * Whenever it does that, nothing from elsewhere is read.
 */
static void test_exchanged_directory(void **state)
{
	unsigned n, n_read = 0;
	bool more = true;

	(void)state;
	EQ(mkdir("imgs", 0777), 0);
	EQ(mkdir("outside", 0777), 0);
	write_raw("outside/base", 9);
	EQ(chdir("imgs"), 0);
	EQ(mkdir("sub", 0777), 0);
	EQ(symlink("../outside", "evil"), 0);
	write_raw("sub/base", 2);
	write_overlay("sub/mid", "base", "raw");
	write_overlay("top", "sub/mid", "qcow2");
	for (n = 2; more; n++) {
		struct qcow2 *q;

		test_case("before call %u, %s openat2", n / 2, n % 2 == 0 ? "with" : "without");
		hooks_reset();
		hooks.no_openat2 = n % 2 == 1;
		hooks.swap = exchange;
		hooks.swap_call = CALL_OPEN;
		hooks.swap_at = n / 2;
		q = open_with("top", QCOW2_FOLLOW);
		more = hooks.n[CALL_OPEN] >= n / 2 || n % 2 == 0;
		if (q != NULL) {
			EQ(first_byte(q), 2);
			n_read++;
		}
		qcow2_close(q);
		if (hooks.n[CALL_OPEN] >= n / 2)
			exchange(); /* back */
	}
	LE(4, n_read);
	hooks_reset();
	EQ(chdir(".."), 0);
}

/* ---- Files from the caller ---- */

static void test_given_backing(void **state)
{
	struct qcow2_file files[2] = { { NULL, -1, "qcow2" }, { "sub/base", -1, NULL } };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;
	unsigned before;

	(void)state;
	before = count_fds();
	write_overlay("mid", "nothing", "raw");
	write_overlay("top", "json:{}", NULL);
	options.backing = files;
	options.n_backing = 2;
	files[0].fd = open_read("mid");
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 2);
	qcow2_close(q);
	EQ(count_fds(), before);

	/* Without the second file, the first is refused, and closed. */
	options.n_backing = 1;
	files[0].fd = open_read("mid");
	TRUE(qcow2_open_options(open_read("top"), &options, NULL) == NULL);
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
	EQ(count_fds(), before);

	/* More files than the chain needs. */
	options.n_backing = 2;
	files[0].path = "base";
	files[0].format = "raw";
	files[1].path = NULL;
	files[1].fd = open_read("mid");
	TRUE(qcow2_open_options(open_read("top"), &options, NULL) == NULL);
	EQ(errno, EINVAL);
	EQ(count_fds(), before);
}

/* An image that names no backing file can be given one. */
static void test_given_unnamed(void **state)
{
	struct qcow2_file file = { "base", -1, "raw" };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	image_to_file(&img, "alone", NULL);
	image_free(&img);
	options.backing = &file;
	options.n_backing = 1;
	q = qcow2_open_options(open_read("alone"), &options, NULL);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	options.flags = QCOW2_LAYER_ONLY;
	fails_with("alone", &options, EINVAL);
}

static void write_data_image(const char *path, const char *name)
{
	struct image img;

	image_init(&img, 3, 16, DISK);
	img.has_data_file = true;
	image_add(&img, &img.active, 0, IMAGE_DATA);
	if (name != NULL)
		image_add_ext(&img, IMAGE_EXT_DATA_FILE, (uint32_t)strlen(name), name,
		              strlen(name));
	image_to_file(&img, path, NULL);
	image_free(&img);
}

static void test_data_file(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_file file = { "sub/base", -1, NULL };
	struct qcow2 *q;
	unsigned before;

	(void)state;
	before = count_fds();
	write_data_image("top", "base");
	q = open_with("top", QCOW2_FOLLOW);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	q = open_with("top", QCOW2_FOLLOW | QCOW2_LAYER_ONLY);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	options.data_file = &file;
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 2);
	qcow2_close(q);
	file.path = NULL;
	file.fd = open_read("base");
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 1);
	qcow2_close(q);
	EQ(count_fds(), before);

	/* Given to an image that has no data file. */
	write_overlay("over", "base", "raw");
	file.fd = open_read("base");
	options.flags = QCOW2_LAYER_ONLY;
	TRUE(qcow2_open_options(open_read("over"), &options, NULL) == NULL);
	EQ(errno, EINVAL);
	EQ(count_fds(), before);

	/* CVE-2024-32498: an image names a data file that its author may not read. */
	options.data_file = NULL;
	options.flags = QCOW2_FOLLOW;
	options.path = "top";
	write_data_image("top", "/etc/passwd");
	fails_with("top", &options, EPERM);
	write_data_image("top", "json:{\"driver\":\"null-co\"}");
	fails_with("top", &options, ENOTSUP);
	write_data_image("top", NULL);
	fails_with("top", &options, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_DATA_FILE);
	EQ(qcow2_last_failure()->names_file, 0);
}

static void test_layer_only(void **state)
{
	struct qcow2 *q;

	(void)state;
	write_overlay("top", "missing", NULL);
	q = open_with("top", QCOW2_LAYER_ONLY);
	EQ(first_byte(q), 0);
	qcow2_close(q);
}

/* ---- The callback ---- */

struct asked {
	int n;
	const char *answer; /* path to open; NULL: refuse */
	const char *format;
	struct qcow2_file_request last;
	char name[64];
};

static int answer(void *ctx, const struct qcow2_file_request *request, const char **format)
{
	struct asked *asked = ctx;

	asked->n++;
	asked->last = *request;
	snprintf(asked->name, sizeof asked->name, "%s", request->name);
	if (asked->answer == NULL) {
		errno = EACCES;
		return -1;
	}
	if (asked->format != NULL)
		*format = asked->format;
	return open_read(asked->answer);
}

static void test_callback(void **state)
{
	struct asked asked = { 0 };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;
	unsigned before;

	(void)state;
	before = count_fds();
	options.open_file = answer;
	options.open_file_ctx = &asked;
	options.path = "top";
	write_overlay("top", "json:{}", NULL);
	fails_with("top", &options, EACCES);
	EQ(asked.n, 1);
	EQ(asked.last.kind, QCOW2_FILE_BACKING);
	EQ(asked.last.depth, 0);
	EQ(asked.last.name_len, 7);
	TRUE(asked.last.format == NULL);
	TEXT(asked.name, "json:{}");
	asked.answer = "sub/base";
	fails_with("top", &options, ENOTSUP); /* the format is still unknown */
	asked.format = "raw";
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 2);
	qcow2_close(q);
	asked.format = "floppy";
	fails_with("top", &options, ENOTSUP);

	write_data_image("top", "other");
	q = qcow2_open_options(open_read("top"), &options, NULL);
	EQ(first_byte(q), 2);
	EQ(asked.last.kind, QCOW2_FILE_DATA);
	qcow2_close(q);
	EQ(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_DIR(test)     cmocka_unit_test_setup_teardown(test, dir_setup, dir_teardown)
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, files_setup, dir_teardown)
		WITH_FILES(test_inside),
		WITH_FILES(test_anywhere),
		WITH_FILES(test_no_file_name),
		WITH_FILES(test_nul_in_name),
		WITH_FILES(test_no_path),
		WITH_FILES(test_not_allowed),
		WITH_FILES(test_formats),
		WITH_FILES(test_raw_formats),
		WITH_FILES(test_looks),
		IN_DIR(test_no_probing),
		IN_DIR(test_loops),
		IN_DIR(test_depth),
		WITH_FILES(test_relative_to_namer),
		WITH_FILES(test_link_to_image),
		WITH_FILES(test_unknown_directory),
		WITH_FILES(test_unreadable_directory),
		IN_DIR(test_exchanged_directory),
		WITH_FILES(test_given_backing),
		WITH_FILES(test_given_unnamed),
		WITH_FILES(test_data_file),
		IN_DIR(test_layer_only),
		WITH_FILES(test_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
