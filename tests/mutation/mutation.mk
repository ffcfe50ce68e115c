# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: mutation     change the core, see that the tests notice: MUTANTS=n, SEED=s (MUTANTS=0: all, hours)
MUTANTS ?= 60
SEED ?= 1
# Percent that must be killed. Listed survivors count as not killed, so another sample may need less.
LEAST ?= 94

mutation:
	$(Q)/usr/bin/python3 tests/mutation/mutate.py --build $(O)/mutation --jobs $$(nproc) --max $(MUTANTS) \
		--seed $(SEED) --least $(LEAST) $(if $(FILES),$(FILES),$(addprefix src/,$(QCOW2_CORE_SRCS) $(QCOW2_MEM_SRCS) internal.h deflate.h walk.h))

.PHONY: mutation
