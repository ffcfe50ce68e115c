# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors

#: edk2-package  write Qcow2Pkg, a package for EDK2, into build/edk2, or DIR=
edk2-package:
	$(Q)sh port/uefi/edk2/package.sh "$(or $(DIR),$(O)/edk2)" $(VERSION)

.PHONY: edk2-package
