# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: analyze      run gcc -fanalyzer, clang-tidy and cppcheck on the core, the library and all ports

analyze: $(GLUE_LAYERS:%=$(GLUE)/%.headers)
	$(Q)sh tests/analyze/analyze.sh $(O)/analyze $(GLUE) $(QCOW2_CORE_SRCS)

.PHONY: analyze
