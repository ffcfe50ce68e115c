# SPDX-License-Identifier: MIT

#: mutation     the tests notice changes of the core: a sample of MUTANTS=n, SEED=s; 0: all (hours)
MUTANTS ?= 60
SEED ?= 1
# Percent that must be killed. What no test can notice is in the list and counts against it: other
# samples may need less.
LEAST ?= 94

mutation:
	$(Q)/usr/bin/python3 tests/mutation/mutate.py --build $(O)/mutation --max $(MUTANTS) \
		--seed $(SEED) --least $(LEAST) $(if $(FILES),$(FILES),$(addprefix src/,$(QCOW2_CORE_SRCS) $(QCOW2_MEM_SRCS) internal.h deflate.h))

.PHONY: mutation
