# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
BOARD_ARCH = riscv
BOARD_CC = riscv64-unknown-elf-gcc -march=rv64imac -mabi=lp64 -mcmodel=medany -mstrict-align
