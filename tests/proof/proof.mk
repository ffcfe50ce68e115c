# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: proof        run Frama-C's Eva and WP on the core (needs frama-c-base, why3, z3, cvc4)
#: proof-sensitivity  take one check after the other out of the core; the proof must fail each time

proof: proof-eva proof-wp

proof-eva:
	$(Q)bash tests/proof/eva.sh

proof-wp:
	$(Q)python3 tests/proof/bits.py
	$(Q)sh tests/proof/wp.sh
	$(Q)python3 tests/proof/sensitivity.py --short

proof-sensitivity:
	$(Q)python3 tests/proof/sensitivity.py

.PHONY: proof proof-eva proof-wp proof-sensitivity
