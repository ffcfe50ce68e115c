# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: components   write the core as a PlatformIO library and as an ESP-IDF component, into build/components
components:
	+$(Q)$(MAKE) -s amalgamation O=$(O)/components
	$(call say,GEN,$(O)/components)sh port/components/components.sh $(O)/components \
		$(O)/components/amalgamation $(VERSION)

.PHONY: components
