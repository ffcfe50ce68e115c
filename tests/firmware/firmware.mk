# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs programs for machines without an operating system in QEMU: tests/firmware/run-*.sh.

include port/baremetal/baremetal.mk

FIRMWARE_PROGRAMS += $(BARE_PROGRAMS) $(BARE)/unaligned-microbit.elf $(O)/qcow2

#: check-firmware  installs its needs (Debian, as root), then runs the firmware tests in QEMU; 10 minutes
check-firmware:
	$(Q)end=$$(($$(date +%s) + 600)) && sh tests/install.sh && \
		$(MAKE) --no-print-directory FIRMWARE_END=$$end firmware-runs

firmware-runs: $(FIRMWARE_PROGRAMS)
	$(Q)bash tests/firmware/check.sh $(O)

#: check-systemd  boots a whole Debian from an image, up to a login prompt; needs root and mmdebstrap
check-systemd: qcow2-attach
	$(Q)bash tests/firmware/systemd.sh $(O)

.PHONY: check-firmware check-systemd firmware-runs
