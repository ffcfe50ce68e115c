# SPDX-License-Identifier: MIT
# Programs for machines without an operating system, run in QEMU: tests/firmware/run-*.sh.

include port/baremetal/baremetal.mk

FIRMWARE_PROGRAMS += $(BARE_PROGRAMS) $(BARE)/unaligned-microbit.elf

#: check-firmware  installs what it needs (Debian, as root), then bare metal and firmware in QEMU
check-firmware:
	$(Q)sh tests/install.sh
	$(Q)$(MAKE) --no-print-directory firmware-runs

firmware-runs: $(FIRMWARE_PROGRAMS)
	$(Q)bash tests/firmware/check.sh $(O)

.PHONY: check-firmware firmware-runs
