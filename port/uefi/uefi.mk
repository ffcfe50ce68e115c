# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Programs for UEFI firmware: build/uefi/qcow2{x64,aa64,ia32}.efi, and the drivers qcow2drv*.efi.
# They need clang and lld, whatever CC is, because these write PE files, which UEFI loads.

UEFI_CC ?= clang-14
UEFI_ARCHS = x64 aa64 ia32
UEFI_TARGET_x64 = --target=x86_64-unknown-windows -mno-red-zone -mno-stack-arg-probe
UEFI_TARGET_aa64 = --target=aarch64-unknown-windows -mno-stack-arg-probe
UEFI_TARGET_ia32 = --target=i686-unknown-windows -mno-stack-arg-probe
UEFI_CFLAGS = -std=$(STD) -Os $(WARNINGS) -Werror -ffreestanding -fno-builtin -fshort-wchar \
	-fno-stack-protector -mgeneral-regs-only -ffunction-sections -fdata-sections -Iinclude \
	-Iport/uefi
# Brepro: no time of the build in the file, so that anyone can build and compare it before signing.
UEFI_LDFLAGS = -nostdlib -fuse-ld=lld -Wl,-entry:efi_main -Wl,-opt:ref -Wl,-Brepro

UEFI_SRCS = $(addprefix port/uefi/,cache.c chain.c config.c console.c disk.c fat.c file.c \
	firmware.c handover.c measure.c overlay.c path.c sbat.c session.c volume.c) port/common/utf8.c
UEFI_CORE = $(addprefix src/,$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_FAST) \
	$(QCOW2_CORE_ZSTD_FAST) extension.c status.c $(QCOW2_MEM_SRCS))
UEFI_HEADERS = $(wildcard port/uefi/*.h port/common/*.h src/*.h include/qcow2/*.h)

uefi: $(foreach arch,$(UEFI_ARCHS),$(O)/uefi/qcow2$(arch).efi $(O)/uefi/qcow2drv$(arch).efi)

# The programs that tests/firmware/run-uefi.sh runs.
UEFI_TEST_PROGRAMS = $(foreach name,qcow2 qcow2drv probe probe-returns,\
	$(UEFI_ARCHS:%=$(O)/uefi/$(name)%.efi))
FIRMWARE_PROGRAMS += $(UEFI_TEST_PROGRAMS)
uefi-tests: $(UEFI_TEST_PROGRAMS)

# The images that they boot: build/uefi-test/stick.
uefi-images: uefi-tests
	$(call say,GEN,$(O)/uefi-test)bash tests/firmware/uefi-images.sh $(O)/uefi $(O)/uefi-test

$(UEFI_ARCHS:%=$(O)/uefi/%/port/uefi/sbat.o): UEFI_CFLAGS += -DQCOW2_VERSION='"$(VERSION)"'
$(O)/port/uefi/sbat.o: EXTRA_CPPFLAGS = -DQCOW2_VERSION='"$(VERSION)"'

define uefi_arch
$(O)/uefi/$(1)/%.o: %.c $(UEFI_HEADERS) port/uefi/uefi.mk
	@mkdir -p $$(@D)
	$$(call say,CC,$(1) $$<)$(UEFI_CC) $$(UEFI_TARGET_$(1)) $$(UEFI_CFLAGS) -c $$< -o $$@

$(O)/uefi/qcow2$(1).efi: $(patsubst %.c,$(O)/uefi/$(1)/%.o,port/uefi/main_app.c $(UEFI_SRCS) $(UEFI_CORE))
	$$(call say,LD,$$@)$(UEFI_CC) $$(UEFI_TARGET_$(1)) $$(UEFI_LDFLAGS) \
		-Wl,-subsystem:efi_application $$^ -o $$@

$(O)/uefi/qcow2drv$(1).efi: $(patsubst %.c,$(O)/uefi/$(1)/%.o,port/uefi/main_driver.c $(UEFI_SRCS) $(UEFI_CORE))
	$$(call say,LD,$$@)$(UEFI_CC) $$(UEFI_TARGET_$(1)) $$(UEFI_LDFLAGS) \
		-Wl,-subsystem:efi_boot_service_driver $$^ -o $$@

# The boot loader of the tests, which switches the machine off or returns. It has .sbat, because shim
# also checks the programs that ours starts.
$(O)/uefi/probe$(1).efi $(O)/uefi/probe-returns$(1).efi: tests/firmware/uefi-probe.c port/uefi/sbat.c \
		src/mem.c $(UEFI_HEADERS)
	$$(call say,LD,$$@)$(UEFI_CC) $$(UEFI_TARGET_$(1)) $$(UEFI_CFLAGS) $$(UEFI_LDFLAGS) \
		-DQCOW2_VERSION='"$(VERSION)"' $$(if $$(findstring returns,$$@),-DPROBE_RETURNS) -Wl,-subsystem:efi_application \
		$$(filter %.c,$$^) -o $$@
endef
$(foreach arch,$(UEFI_ARCHS),$(eval $(call uefi_arch,$(arch))))

.PHONY: uefi uefi-tests uefi-images
