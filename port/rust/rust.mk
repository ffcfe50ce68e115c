# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

RUST_CRATE = $(O)/rust/qcow2-core-sys

#: rust-crate   write the Rust crate of the core into build/rust/qcow2-core-sys (needs bindgen)
rust-crate:
	+$(Q)$(MAKE) -s amalgamation O=$(O)/rust
	$(call say,GEN,$(RUST_CRATE))sh port/rust/crate.sh $(RUST_CRATE) $(O)/rust/amalgamation $(VERSION)

.PHONY: rust-crate
