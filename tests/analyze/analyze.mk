# SPDX-License-Identifier: MIT

#: analyze      gcc -fanalyzer, clang-tidy, cppcheck on the core, the library and the command

analyze:
	$(Q)sh tests/analyze/analyze.sh $(O)/analyze $(QCOW2_CORE_SRCS)

.PHONY: analyze
