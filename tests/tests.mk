# SPDX-License-Identifier: MIT
# The test programs. Each directory lists its own; all are linked with cmocka.
-include tests/unit/unit.mk
-include tests/posix/tests.mk

TEST_CPPFLAGS = -Itests -D_GNU_SOURCE
TEST_OBJS = $(foreach p,$(TEST_PROGRAMS),$($(notdir $p)_OBJS))
