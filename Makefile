# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
#
#	make                    the libraries and the command, in build/
#	make help               all targets
#
# CC, CROSS_COMPILE, AR, CFLAGS, CPPFLAGS, LDFLAGS, DESTDIR and PREFIX have their usual meaning. Your
# flags are added to those that the build needs. O=DIR builds in DIR, and V=1 shows the commands.
# port/install/install.mk has the folders that `make install` writes to.

.DEFAULT_GOAL := all

# The shared library is libqcow2.so.VERSION, and SOVERSION is what programs ask for. A release that breaks
# them gets another SOVERSION; new calls do not.
VERSION = 0.2.0
SOVERSION = 0

O ?= build
PREFIX ?= /usr/local
PKG_CONFIG ?= pkg-config
STD ?= c11
CFLAGS ?= -O2 -g

ifeq ($(origin CC),default)
CC = $(if $(CROSS_COMPILE),$(CROSS_COMPILE)gcc,cc)
endif
ifeq ($(origin AR),default)
AR = $(CROSS_COMPILE)ar
endif
ifneq ($(V),1)
Q = @
say = @printf '  %-6s %s\n' '$(1)' '$(2)';
endif

include src/sources.mk

WARNINGS = -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla \
	-Wcast-qual -Wmissing-prototypes -Wstrict-prototypes -Wswitch-enum
BASE_CFLAGS = -std=$(STD) $(WARNINGS) -fvisibility=hidden -fPIC -MMD -MP
BASE_CPPFLAGS = -Iinclude

# The build uses the libraries that pkg-config finds. POSIX_DEFLATE=libdeflate|zlib|builtin,
# POSIX_ZSTD=libzstd|builtin, POSIX_CRYPTO=libgcrypt|libcrypto|none and TOOL_FUSE=libfuse3|none override
# its choice.
have = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo yes)
POSIX_DEFLATE := $(or $(POSIX_DEFLATE),$(if $(call have,libdeflate),libdeflate),$(if $(call have,zlib),zlib),builtin)
POSIX_ZSTD := $(or $(POSIX_ZSTD),$(if $(call have,libzstd),libzstd),builtin)
POSIX_CRYPTO := $(or $(POSIX_CRYPTO),$(if $(call have,libgcrypt),libgcrypt),$(if $(call have,libcrypto),libcrypto),none)
TOOL_FUSE := $(or $(TOOL_FUSE),$(if $(call have,fuse3),libfuse3),none)
CODEC_PKGS := $(filter libdeflate zlib libzstd libgcrypt libcrypto,$(POSIX_DEFLATE) $(POSIX_ZSTD) $(POSIX_CRYPTO))
ifneq ($(CODEC_PKGS),)
CODEC_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(CODEC_PKGS))
endif

# What the compiler has against the use of a bug in the command, and in the library except for the core.
# HARDENING= and HARDENING_LINK= leave it out. _FORTIFY_SOURCE needs an optimizing compiler, and hides
# from sanitizers what they look for.
HARDENING_TRY = -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	$(if $(filter -fsanitize% -O0,$(CFLAGS)),,$(if $(filter -O%,$(CFLAGS)),-D_FORTIFY_SOURCE=2))
HARDENING_LINK_TRY = -Wl,-z,relro,-z,now $(if $(filter -static%,$(LDFLAGS)),,-pie)
# The compiler is asked once, by the first rule that uses the variable.
HARDENING = $(eval HARDENING := $(shell sh port/posix/hardening.sh compile $(CC) $(CPPFLAGS) $(CFLAGS) \
	-- $(HARDENING_TRY)))$(HARDENING)
HARDENING_LINK = $(eval HARDENING_LINK := $(shell sh port/posix/hardening.sh link $(CC) $(CFLAGS) $(LDFLAGS) \
	-- $(HARDENING_LINK_TRY)))$(HARDENING_LINK)

include port/posix/posix.mk
include port/install/install.mk
include port/uefi/uefi.mk
include port/uefi/edk2/edk2.mk
include port/uboot/uboot.mk
include port/grub/grub.mk
include port/nbdkit/nbdkit.mk
include port/debian/debian.mk
include port/rust/rust.mk
include port/components/components.mk
include tests/tests.mk
include tests/coverage/coverage.mk
include tests/firmware/firmware.mk
include tests/trees/trees.mk
include fuzz/fuzz.mk
include tests/bench/bench.mk
include tests/analyze/analyze.mk
include tests/mutation/mutation.mk
include tests/proof/proof.mk

CORE_OBJS = $(QCOW2_CORE_SRCS:%.c=$(O)/src/%.o)
POSIX_OBJS = $(POSIX_SRCS:%.c=$(O)/%.o)
LIB_OBJS = $(O)/port/posix/core.o $(POSIX_OBJS)
TOOL_OBJS = $(TOOL_SRCS:%.c=$(O)/%.o)

include port/initramfs/initramfs.mk

all: $(O)/libqcow2-core.a $(O)/libqcow2.a $(O)/libqcow2.so.$(SOVERSION) $(O)/qcow2
	@echo "deflate: $(POSIX_DEFLATE), zstd: $(POSIX_ZSTD), encryption: $(POSIX_CRYPTO), mount: $(TOOL_FUSE)"

help:
	@sed -n 's/^#: *//p' $(MAKEFILE_LIST) | \
		awk '{ name = $$1; sub(/^[^ ]+ +/, ""); printf "%-18s %s\n", name, $$0 }'

#: all          build the libraries and the command (default)
#: core         build the freestanding core alone: build/libqcow2-core.a
#: amalgamation  write the library and the core as two files each, into build/amalgamation
#: demo         show info, map and checksum of a real compressed image
#: check        run the tests for a commit: a few minutes, installs nothing
#: check-all    install what the tests need (Debian, as root), then run all tests in all builds
#: uefi         build the UEFI programs that boot from an image: build/uefi/*.efi (needs clang-14, lld-14)
#: freestanding  compile the core for 27 targets and check that it needs no header and no helper
#: size         compare the code, memory and stack of the core with its budgets
#: clean        remove the build directory

core: $(O)/libqcow2-core.a

# Objects also depend on the compiler, the flags and the choice of codecs. make sees only files, so
# this file changes when one of these does.
FLAGS_NOW = $(VERSION) $(CC) $(BASE_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(POSIX_DEFLATE) $(POSIX_ZSTD) $(POSIX_CRYPTO) \
	$(TOOL_FUSE) $(HARDENING) $(HARDENING_LINK)
$(O)/flags: FORCE
	@mkdir -p $(O)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@

# The core uses no threads, and compilers for firmware do not know -pthread.
THREADS = -pthread
$(O)/src/%.o: THREADS =
$(addprefix $(O)/port/,posix/%.o common/%.o crypto/%.o nbdkit/%.o initramfs/%.o): HARDENED = $(HARDENING)
$(O)/port/posix/core.o: HARDENED = $(filter -fcf-protection,$(HARDENING))
$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE_CFLAGS) $(THREADS) $(HARDENED) $(BASE_CPPFLAGS) $(EXTRA_CPPFLAGS) $(CODEC_CFLAGS) \
		$(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(O)/tests/%.o: EXTRA_CPPFLAGS = $(TEST_CPPFLAGS)
$(O)/port/posix/tool/%.o: EXTRA_CPPFLAGS = -DQCOW2_VERSION='"$(VERSION)"'
$(O)/port/posix/tool/mount/serve_libfuse3.o: EXTRA_CPPFLAGS = $(shell $(PKG_CONFIG) --cflags fuse3)

# The POSIX library compiles the core as one unit: port/posix/core.c includes this list.
$(O)/core_sources.h: src/sources.mk
	@mkdir -p $(O)
	$(call say,GEN,$@)printf '#include "src/%s"\n' $(QCOW2_CORE_SRCS) > $@
$(O)/port/posix/core.o: $(O)/core_sources.h
$(O)/port/posix/core.o: EXTRA_CPPFLAGS = -I. -I$(O)

$(O)/libqcow2-core.a: $(CORE_OBJS)
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

$(O)/libqcow2.a: $(LIB_OBJS)
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

$(O)/libqcow2.so.$(SOVERSION): $(LIB_OBJS) port/posix/libqcow2.map
	$(call say,LD,$@)$(CC) -shared -pthread -Wl,-soname,libqcow2.so.$(SOVERSION) \
		-Wl,--version-script=port/posix/libqcow2.map $(CFLAGS) $(filter-out -pie,$(HARDENING_LINK)) $(LDFLAGS) \
		$(filter %.o,$^) $(POSIX_LIBS) -o $@

$(O)/qcow2: $(TOOL_OBJS) $(O)/libqcow2.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(HARDENING_LINK) $(LDFLAGS) $^ $(POSIX_LIBS) $(TOOL_LIBS) -o $@

# Writes the library as two files, and the core as two files, into build/amalgamation/.
amalgamation:
	$(call say,GEN,$(O)/amalgamation)sh port/amalgamate.sh $(abspath $(O))/amalgamation $(VERSION) \
		src/$(QCOW2_MEM_SRCS) $(addprefix src/,$(QCOW2_CORE_SRCS)) -- \
		$(filter-out port/posix/codec/deflate% port/posix/codec/zstd_% port/posix/key/crypto_% \
			port/crypto/%,$(POSIX_SRCS)) \
		$(addprefix port/posix/,codec/deflate_builtin.c codec/zstd_builtin.c key/crypto_none.c)

# Print what a program must link with the static library, and the version, for the tests.
print-libs:
	@echo $(POSIX_LIBS)
print-version:
	@echo $(VERSION)

demo: all
	$(Q)sh tests/demo.sh $(O)/qcow2

programs: $(TEST_PROGRAMS)

check:
	$(Q)sh tests/install.sh missing check
	+$(Q)$(MAKE) --no-print-directory programs all nbdkit
	$(Q)sh tests/check.sh $(O)

check-all:
	$(Q)sh tests/install.sh
	$(Q)bash tests/check-all.sh

clean:
	rm -rf $(O)

-include $(CORE_OBJS:.o=.d) $(LIB_OBJS:.o=.d) $(TOOL_OBJS:.o=.d) $(ATTACH_OBJS:.o=.d) $(NBDKIT_OBJS:.o=.d) $(TEST_OBJS:.o=.d)

.PHONY: all help core amalgamation demo print-libs print-version programs check check-all clean FORCE
