# SPDX-License-Identifier: MIT
# Coverage of the unit and fault tests over src/, and of the POSIX tests over port/posix.

#: coverage     100 % of src/: functions, lines, regions, branches, MC/DC (needs clang-19, llvm-19)

coverage:
	$(Q)bash tests/coverage/coverage.sh $(O)/coverage $(QCOW2_CORE_SRCS) $(QCOW2_MEM_SRCS)

core-tests: $(CORE_TESTS)
posix-tests: $(POSIX_TESTS)

.PHONY: coverage core-tests posix-tests
