# SPDX-License-Identifier: MIT
# Coverage of the unit and fault tests over src/, of the POSIX tests over port/posix, and of the
# conformance tests over the command.

#: coverage     require 100 % of src/ with MC/DC, 95 % of port/posix (needs clang-19, llvm-19)

coverage:
	$(Q)bash tests/coverage/coverage.sh $(O)/coverage $(QCOW2_CORE_SRCS) $(QCOW2_MEM_SRCS)

core-tests: $(CORE_TESTS)
posix-tests: $(POSIX_TESTS)
command-tests: $(O)/qcow2 $(COMMAND_FAULTS) $(O)/tests/image/mkimage

.PHONY: coverage core-tests posix-tests command-tests
