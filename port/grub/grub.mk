# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: grub-patch   write a patch that adds the module to a GRUB tree, SRC=TREE, into build/grub-patch
grub-patch:
	$(Q)sh port/grub/patch.sh "$(or $(SRC),$(error grub-patch needs SRC=TREE))" $(O)/grub-patch

.PHONY: grub-patch
