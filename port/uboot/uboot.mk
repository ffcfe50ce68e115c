# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: uboot-patch  write patches that add the port to a U-Boot tree, SRC=TREE, into build/uboot-patch
uboot-patch:
	$(Q)sh port/uboot/patch.sh "$(or $(SRC),$(error uboot-patch needs SRC=TREE))" $(O)/uboot-patch

.PHONY: uboot-patch
