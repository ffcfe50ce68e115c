# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The program that shows an image as a block device in early boot. It is static, and reads no encrypted
# images. It has libdeflate or zlib, and libzstd, as the command does; without them, the core's decoders.

#: qcow2-attach  build the static program for early boot: build/initramfs/qcow2-attach
#: install-initramfs  install it with its scripts for initramfs-tools and dracut, into $(DESTDIR)/usr

ATTACH = $(O)/initramfs/qcow2-attach
ATTACH_OBJS = $(addprefix $(O)/,port/initramfs/main.o port/posix/key/crypto_none.o) \
	$(filter-out $(O)/port/posix/tool/main.o,$(TOOL_OBJS)) \
	$(filter-out $(O)/port/posix/key/crypto_% $(O)/port/crypto/%,$(LIB_OBJS))
ATTACH_LIBS = $(POSIX_LIBS_$(POSIX_DEFLATE)) $(POSIX_LIBS_$(POSIX_ZSTD))

qcow2-attach: $(ATTACH)

$(O)/port/initramfs/%.o: EXTRA_CPPFLAGS = -DQCOW2_VERSION='"$(VERSION)"'
$(ATTACH): $(ATTACH_OBJS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -static -pthread -Wl,--gc-sections,-s $(CFLAGS) $(LDFLAGS) $^ $(ATTACH_LIBS) -o $@

# initramfs-tools and dracut look for their parts in /usr alone, whatever PREFIX is.
INITRAMFS = port/initramfs
install-initramfs: $(ATTACH)
	install -d $(addprefix $(DESTDIR)/usr/,lib/qcow2 lib/dracut/modules.d/95qcow2 share/man/man7 \
		$(addprefix share/initramfs-tools/,hooks scripts/local-top scripts/local-bottom))
	install $(ATTACH) $(DESTDIR)/usr/lib/qcow2
	install -m 644 $(INITRAMFS)/boot.sh $(DESTDIR)/usr/lib/qcow2
	install $(INITRAMFS)/hooks/qcow2 $(DESTDIR)/usr/share/initramfs-tools/hooks
	install $(INITRAMFS)/scripts/local-top/qcow2 $(DESTDIR)/usr/share/initramfs-tools/scripts/local-top
	install $(INITRAMFS)/scripts/local-bottom/qcow2 $(DESTDIR)/usr/share/initramfs-tools/scripts/local-bottom
	install $(wildcard $(INITRAMFS)/dracut/*.sh) $(DESTDIR)/usr/lib/dracut/modules.d/95qcow2
	install -m 644 $(INITRAMFS)/qcow2-initramfs.7 $(DESTDIR)/usr/share/man/man7

.PHONY: qcow2-attach install-initramfs
