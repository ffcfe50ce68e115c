# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: check-trees  build the ports for U-Boot, GRUB and TF-A in the source trees of Debian 12 and 13
check-trees:
	$(Q)bash tests/trees/run.sh $(O)

.PHONY: check-trees
