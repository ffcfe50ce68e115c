# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Tests of port/uboot, port/grub, port/tfa and port/zephyr over models of what is around them. For each
# of these, one header, tests/glue/NAME.h, takes the place of all its headers. The test of port/uefi has
# a model of the firmware: efi_*.c. That of port/crypto has the real libraries.

GLUE_LAYERS = uboot grub tfa zephyr
GLUE_HEADERS_uboot = blk.h command.h dm.h ext4fs.h ext_common.h malloc.h memalign.h part.h vsprintf.h \
	dm/device-internal.h dm/lists.h dm/root.h linux/kernel.h linux/string.h

# In U-Boot, these two headers are in include/qcow2/.
GLUE_HEADERS_OWN_uboot = fat.h:port/uefi heap_reader.h:port/common
GLUE_FLAGS_uboot = -Iport/uboot/include -Iport/uefi -Iport/common

GLUE_HEADERS_grub = $(addprefix grub/,command.h disk.h dl.h err.h file.h i18n.h misc.h mm.h)
GLUE_FLAGS_grub = -Iport/common
GLUE_HEADERS_tfa = drivers/io/io_driver.h drivers/io/io_storage.h common/debug.h plat/common/platform.h
GLUE_HEADERS_zephyr = $(addprefix zephyr/,drivers/disk.h fs/fs.h kernel.h logging/log.h sys/util.h)
GLUE_PORT_uboot = $(addprefix port/uboot/,cmd/qcow2 $(addprefix drivers/block/qcow2_,blk file place))
GLUE_PORT_grub = port/grub/qcow2disk
GLUE_PORT_tfa = port/tfa/io_qcow2
GLUE_PORT_zephyr = port/zephyr/qcow2_disk port/zephyr/qcow2_file

GLUE = $(O)/tests/glue
GLUE_TESTS = $(GLUE_LAYERS:%=$(GLUE)/test_%) $(GLUE)/test_crypto $(GLUE)/test_uefi
GLUE_UEFI = $(patsubst %.c,$(O)/%.o,port/uefi/main_app.c port/uefi/main_driver.c $(UEFI_SRCS))
GLUE_PORTS = $(foreach layer,$(GLUE_LAYERS),$(GLUE_PORT_$(layer):%=$(O)/%.o)) $(GLUE_UEFI) $(GLUE_CRYPTO) \
	$(O)/port/common/heap_reader.o
GLUE_FIRMWARE = $(GLUE)/efi_messages.o $(GLUE)/efi_model.o $(GLUE)/efi_volume.o
GLUE_SUPPORT = $(GLUE)/glue.o $(GLUE_FIRMWARE)

$(GLUE)/%.headers: tests/glue/%.h tests/glue/glue.mk
	$(call say,GEN,$@)for header in $(GLUE_HEADERS_$*); do \
		mkdir -p $(GLUE)/$*/$$(dirname $$header) && \
		echo '#include "glue/$*.h"' > $(GLUE)/$*/$$header || exit 1; \
	done && for header in $(GLUE_HEADERS_OWN_$*); do \
		mkdir -p $(GLUE)/$*/qcow2 && \
		echo "#include \"$(CURDIR)/$${header#*:}/$${header%:*}\"" > $(GLUE)/$*/qcow2/$${header%:*} || exit 1; \
	done && touch $@

define glue_rules
$(GLUE_PORT_$(1):%=$(O)/%.o): EXTRA_CPPFLAGS = -Itests -I$(GLUE)/$(1) $(GLUE_FLAGS_$(1))
$(GLUE_PORT_$(1):%=$(O)/%.o) $(GLUE)/test_$(1).o: | $(GLUE)/$(1).headers
$(GLUE)/test_$(1).o: EXTRA_CPPFLAGS = $(TEST_CPPFLAGS) -I$(GLUE)/$(1) -Iport/$(1) $(GLUE_FLAGS_$(1))
$(GLUE)/test_$(1): $(GLUE_PORT_$(1):%=$(O)/%.o)
endef
$(foreach layer,$(GLUE_LAYERS),$(eval $(call glue_rules,$(layer))))

$(GLUE)/test_grub: $(O)/port/common/heap_reader.o
$(GLUE)/test_uboot: $(GLUE)/efi_volume.o $(addprefix $(O)/port/,uefi/fat.o uefi/path.o common/utf8.o common/heap_reader.o)

# The test links both programs, so their entry points get different names.
$(O)/port/uefi/main_app.o: EXTRA_CPPFLAGS = -Defi_main=efi_main_app
$(O)/port/uefi/main_driver.o: EXTRA_CPPFLAGS = -Defi_main=efi_main_driver
$(GLUE_FIRMWARE) $(GLUE)/test_uefi.o: EXTRA_CPPFLAGS = $(TEST_CPPFLAGS) -Iport/uefi \
	-DGLUE_MESSAGES='"$(abspath tests/glue/uefi-messages.txt)"'
$(GLUE)/test_uefi: $(GLUE_UEFI) $(GLUE_FIRMWARE)

# The adapters of port/crypto, over the real libraries.
GLUE_CRYPTO = $(addprefix $(O)/port/crypto/,handles.o libgcrypt.o libcrypto.o mbedtls.o)
$(GLUE)/test_crypto.o: EXTRA_CPPFLAGS = $(TEST_CPPFLAGS) -Iport/crypto
$(GLUE)/test_crypto: $(GLUE_CRYPTO) $(CRYPT_WRITER)
$(GLUE)/test_crypto: GLUE_LIBS = $(GCRYPT_LIBS) -lcrypto -lmbedcrypto

$(GLUE_TESTS): $(O)/%: $(O)/%.o $(GLUE)/glue.o $(TEST_SUPPORT) $(IMAGE_WRITER) $(O)/libqcow2-core.a
	$(call say,LD,$@)$(CC) -pthread $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -lcmocka -lz $(GLUE_LIBS) -o $@

.SECONDARY: $(GLUE_LAYERS:%=$(GLUE)/%.headers)
