# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: check-trees  build the ports for U-Boot, GRUB, TF-A and EDK2 in the source trees of Debian 12 and 13
check-trees:
	$(Q)bash tests/trees/run.sh $(O)

#: check-trees-run  build the ports in Debian 12 and 13, or in UBOOT=TREE, EDK2=TREE, and run them; 15 minutes
check-trees-run: uefi-tests
	$(Q)bash tests/trees/run-more.sh $(O) $(UBOOT) $(EDK2)

.PHONY: check-trees check-trees-run
