# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: check-trees  build the ports for U-Boot, GRUB and TF-A in the source trees of Debian 12 and 13
check-trees:
	$(Q)bash tests/trees/run.sh $(O)

#: check-trees-run  build all of U-Boot of Debian 12 and 13, or UBOOT=TREE, and run it and GRUB; 10 minutes
check-trees-run: uefi-tests
	$(Q)bash tests/trees/run-more.sh $(O) $(UBOOT)

.PHONY: check-trees check-trees-run
