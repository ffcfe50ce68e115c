# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The program that links the core without a libc. It compiles the core again without CFLAGS, because
# sanitizers and coverage would need a libc. HOST_CC builds the program that makes its images.

HOST_CC ?= cc
FREE = $(O)/tests/freestanding
FREE_FLAGS = $(filter-out -fsanitize% -fno-sanitize% -fprofile% -fcoverage% --coverage -pg,$(CFLAGS))
FREE_TARGET := $(shell $(CC) $(CFLAGS) -dM -E -x c /dev/null 2>/dev/null | \
	grep -c -w -E '__x86_64__|__i386__|__aarch64__')
FREE_LINK = $(if $(filter 0,$(FREE_TARGET)),,-nostdlib -nostartfiles -Wl$(comma)-e$(comma)program) -static
FREE_SRCS = $(addprefix src/,$(QCOW2_CORE_SRCS)) \
	$(if $(filter 0,$(FREE_TARGET)),,$(addprefix src/,$(QCOW2_MEM_SRCS)))

$(FREE)/mkimage: $(wildcard tests/image/*.c tests/image/*.h)
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(HOST_CC) -O1 $(filter-out %/crypt.c,$(filter %.c,$^)) -o $@

$(FREE)/images.h: $(FREE)/mkimage $(wildcard tests/freestanding/*.recipe)
	$(call say,GEN,$@)for name in plain compressed; do \
		$(FREE)/mkimage -r tests/freestanding/$$name.recipe -e $(FREE)/$$name.content \
			$(FREE)/$$name.image || exit 1; \
		for part in image content; do \
			echo "static const uint8_t $${name}_$$part[] = {"; \
			od -An -v -tx1 $(FREE)/$$name.$$part | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; \
			echo "};"; \
		done; \
	done > $@.new && mv $@.new $@

$(FREE)/read: tests/freestanding/read.c $(FREE)/images.h $(FREE_SRCS) $(wildcard src/*.h include/qcow2/*.h)
	$(call say,LD,$@)$(CC) -std=$(STD) $(FREE_FLAGS) -ffreestanding -fno-pie \
		-fno-stack-protector -Iinclude -I$(FREE) $(FREE_LINK) \
		$(filter %.c,$^) -lgcc -o $@

# The core for many processors, and its archive as a firmware author builds it.
freestanding: $(FREE)/images.h
	+$(Q)$(MAKE) -s amalgamation O=$(O)/freestanding
	$(Q)sh tests/freestanding/freestanding.sh $(O)/freestanding $(O)/freestanding/amalgamation $(FREE)
	+$(Q)$(MAKE) -s core O=$(O)/freestanding/core CROSS_COMPILE=arm-none-eabi- \
		CFLAGS='-Os -mcpu=cortex-m4 -mthumb -ffreestanding -fno-pic -Werror'
	$(Q)NM=arm-none-eabi-nm sh tests/freestanding/check-symbols.sh $(O)/freestanding/core/libqcow2-core.a

size:
	$(Q)python3 tests/freestanding/size.py $(O)/size $(QCOW2_CORE_SRCS)

.PHONY: freestanding size
