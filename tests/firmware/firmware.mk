# SPDX-License-Identifier: MIT
# Programs for machines without an operating system, run in QEMU: tests/firmware/run-*.sh.

include port/baremetal/baremetal.mk

FIRMWARE_PROGRAMS += $(BARE_PROGRAMS) $(BARE)/unaligned-microbit.elf

#: check-firmware  firmware programs in QEMU (needs cross compilers and emulators: tests/install.sh)
check-firmware: $(FIRMWARE_PROGRAMS)
	$(Q)bash tests/firmware/check.sh $(O)

.PHONY: check-firmware
