# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The plugin for nbdkit. It contains the library, and shows only plugin_init.

#: nbdkit       build the plugin for nbdkit: build/nbdkit/nbdkit-qcow2-plugin.so (needs nbdkit-plugin-dev)

NBDKIT_OBJS = $(addprefix $(O)/port/nbdkit/,exports.o parameters.o passwords.o qcow2_plugin.o)
NBDKIT_PLUGIN = $(O)/nbdkit/nbdkit-qcow2-plugin.so
NBDKIT_PLUGINDIR = $(shell $(PKG_CONFIG) --variable=plugindir nbdkit)

# Says what is missing, before the compiler does.
nbdkit-found:
	@$(PKG_CONFIG) --exists nbdkit || { echo "pkg-config does not find nbdkit; in Debian, the package" \
		"nbdkit-plugin-dev has what the plugin needs" >&2; exit 1; }

nbdkit: $(NBDKIT_PLUGIN)

$(NBDKIT_OBJS): | nbdkit-found
$(O)/port/nbdkit/%.o: EXTRA_CPPFLAGS = -DQCOW2_VERSION='"$(VERSION)"' $(shell $(PKG_CONFIG) --cflags nbdkit)

$(NBDKIT_PLUGIN): $(NBDKIT_OBJS) $(O)/libqcow2.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared -pthread -Wl,--exclude-libs,ALL $(CFLAGS) \
		$(filter-out -pie,$(HARDENING_LINK)) $(LDFLAGS) $^ $(POSIX_LIBS) -o $@

.PHONY: nbdkit nbdkit-found
