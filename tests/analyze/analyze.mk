# SPDX-License-Identifier: MIT

#: analyze      gcc -fanalyzer, clang-tidy, cppcheck on the core, the library, the command and all ports

analyze: $(GLUE_LAYERS:%=$(GLUE)/%.headers)
	$(Q)sh tests/analyze/analyze.sh $(O)/analyze $(GLUE) $(QCOW2_CORE_SRCS)

.PHONY: analyze
