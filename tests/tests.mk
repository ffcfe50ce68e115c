# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The C test programs: each tests/DIR/test_*.c is one, linked with cmocka, the checks of tests/support,
# the image writer, and the library that its directory tests.

IMAGE_WRITER = $(patsubst %.c,$(O)/%.o,$(filter-out %/mkimage.c %/crypt.c,$(wildcard tests/image/*.c)))
# The part of the image writer that encrypts needs libgcrypt, whatever the library uses.
TEST_GCRYPT := $(if $(call have,libgcrypt),1,0)
ifeq ($(TEST_GCRYPT),1)
CRYPT_WRITER = $(O)/tests/image/crypt.o
GCRYPT_LIBS := $(shell $(PKG_CONFIG) --libs libgcrypt)
endif
TEST_CHECKS = $(patsubst %.c,$(O)/%.o,$(wildcard tests/support/*.c))
TEST_SUPPORT = $(O)/tests/unit/support.o $(TEST_CHECKS)
CORE_TESTS = $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
POSIX_TESTS = $(patsubst %.c,$(O)/%,$(wildcard tests/posix/test_*.c))
POSIX_TEST_SUPPORT = $(patsubst %.c,$(O)/%.o,$(filter-out tests/posix/test_%,$(wildcard tests/posix/*.c))) \
	$(TEST_CHECKS)
# What the tests of the decoders share.
INFLATE_SUPPORT = $(addprefix $(O)/tests/unit/,deflate_writer.o inflate.o answers.o zlib_oracle.o)
ZSTD_SUPPORT = $(addprefix $(O)/tests/unit/,zstd_writer.o zstd.o answers.o zstd_oracle.o)
# What the tests of encryption share.
TOY_CRYPTO = $(O)/tests/unit/toy_crypto.o
COMMAND_FAULTS = $(O)/tests/conform/qcow2-faults
COMMAND_WILD = $(O)/tests/conform/qcow2-wild
COMMAND_NBD = $(O)/tests/conform/qcow2-nbd
COMMAND_SHARED = $(O)/tests/layers/qcow2-shared
CORE_CAT = $(O)/tests/conform/core_cat
TEST_PROGRAMS = $(CORE_TESTS) $(POSIX_TESTS) $(GLUE_TESTS) $(O)/tests/image/mkimage \
	$(O)/tests/freestanding/read $(COMMAND_FAULTS) $(COMMAND_WILD) $(COMMAND_NBD) \
	$(COMMAND_SHARED) $(CORE_CAT)
TEST_OBJS = $(TEST_PROGRAMS:=.o) $(addprefix $(O)/tests/conform/,faults.o fault_server.o nbd_kernel.o wild.o) \
	$(IMAGE_WRITER) $(CRYPT_WRITER) $(TEST_SUPPORT) \
	$(INFLATE_SUPPORT) $(ZSTD_SUPPORT) $(TOY_CRYPTO) $(POSIX_TEST_SUPPORT) $(GLUE_PORTS) $(GLUE_SUPPORT)

-include tests/freestanding/freestanding.mk
TEST_CPPFLAGS = -Itests -DTEST_GCRYPT=$(TEST_GCRYPT)
include tests/glue/glue.mk

$(filter $(O)/tests/unit/test_inflate%,$(CORE_TESTS)): $(INFLATE_SUPPORT)
$(filter $(O)/tests/unit/test_zstd%,$(CORE_TESTS)): $(ZSTD_SUPPORT)
$(filter $(O)/tests/unit/test_zstd%,$(CORE_TESTS)): ZSTD_ORACLE = -lzstd
$(addprefix $(O)/tests/unit/test_,cipher luks version1): $(TOY_CRYPTO)
$(CORE_TESTS): $(O)/%: $(O)/%.o $(TEST_SUPPORT) $(IMAGE_WRITER) $(O)/libqcow2-core.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(O)/libqcow2-core.a \
		-lcmocka -lz $(ZSTD_ORACLE) -o $@

$(POSIX_TESTS): $(O)/%: $(O)/%.o $(POSIX_TEST_SUPPORT) $(IMAGE_WRITER) $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $(POSIX_TEST_LDFLAGS) $^ -lcmocka \
		$(POSIX_LIBS) $(TEST_LIBS) -o $@
$(O)/tests/posix/test_encryption: $(CRYPT_WRITER)
$(O)/tests/posix/test_encryption: TEST_LIBS = $(GCRYPT_LIBS)

$(O)/tests/image/mkimage: $(O)/tests/image/mkimage.o $(IMAGE_WRITER) $(CRYPT_WRITER)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(GCRYPT_LIBS) -o $@

# The qcow2 command whose system calls fail on demand: the tests of tests/conform run it.
FAULTS_LDFLAGS = $(addprefix -Wl$(comma)--wrap=,main malloc calloc strdup realpath open64 __open64_2 fcntl64 fstat64 stat64 \
	readlink lseek64 pread64 pwrite64 write splice ftruncate64 fallocate64 fchmod fsync close rename pthread_create)

$(COMMAND_FAULTS): $(O)/tests/conform/faults.o $(O)/tests/conform/fault_server.o $(TOOL_SRCS:%.c=$(O)/%.o) \
		$(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $(FAULTS_LDFLAGS) $^ $(POSIX_LIBS) $(TOOL_LIBS) -o $@

# The qcow2 command that tries what its sandbox must refuse.
$(COMMAND_WILD): $(O)/tests/conform/wild.o $(TOOL_SRCS:%.c=$(O)/%.o) $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -Wl,--wrap=main,--wrap=pread64 $^ \
		$(POSIX_LIBS) $(TOOL_LIBS) -o $@

# The qcow2 command with a model of the kernel's block devices.
NBD_LDFLAGS = $(addprefix -Wl$(comma)--wrap=,open64 __open64_2 fstat64 close access nanosleep ioctl readlink socket send recv pread64)
$(COMMAND_NBD): $(O)/tests/conform/nbd_kernel.o $(TOOL_SRCS:%.c=$(O)/%.o) $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $(NBD_LDFLAGS) $^ $(POSIX_LIBS) $(TOOL_LIBS) -o $@

# The qcow2 command, linked with the shared library: tests/layers/command.sh.
$(COMMAND_SHARED): $(TOOL_SRCS:%.c=$(O)/%.o) $(O)/libqcow2.so.$(SOVERSION)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $^ $(TOOL_LIBS) -Wl,-rpath,$(abspath $(O)) -o $@

# The core with its own decoders, for tests/conform.
$(CORE_CAT): $(CORE_CAT).o $(O)/libqcow2-core.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@
