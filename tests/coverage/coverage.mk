# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Test coverage; coverage.sh says which tests count for which directory.

#: coverage     require 100 % of src/ with MC/DC, 95 % of port/posix (needs clang-19, llvm-19)

coverage:
	$(Q)bash tests/coverage/coverage.sh $(O)/coverage $(QCOW2_CORE_SRCS) $(QCOW2_MEM_SRCS)

core-tests: $(CORE_TESTS)
posix-tests: $(POSIX_TESTS)
command-tests: $(O)/qcow2 $(COMMAND_FAULTS) $(COMMAND_NBD) $(CORE_CAT) $(O)/tests/image/mkimage

.PHONY: coverage core-tests posix-tests command-tests
