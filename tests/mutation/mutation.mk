# SPDX-License-Identifier: MIT

#: mutation     the tests notice changes of the core: a sample of MUTANTS=n, SEED=s; 0: all (hours)
MUTANTS ?= 60
SEED ?= 1

mutation:
	$(Q)/usr/bin/python3 tests/mutation/mutate.py --build $(O)/mutation --max $(MUTANTS) \
		--seed $(SEED) $(if $(FILES),$(FILES),$(addprefix src/,$(QCOW2_CORE_SRCS)))

.PHONY: mutation
