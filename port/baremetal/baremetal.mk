# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# The bare-metal program for each board: the core, the files of port/baremetal, those of the board and a
# linker script, without libc and libgcc. For each board: architecture, compiler, flags. The boards
# listed here share one directory, semihosting/. BOARD_DIR=DIR adds a board whose directory is DIR.

BARE = $(O)/baremetal
BARE_BOARDS = microbit lm3s6965evb netduinoplus2 riscv32 riscv64 aarch64

BARE_ARCH_microbit = cortexm
BARE_CC_microbit = arm-none-eabi-gcc -mthumb -mcpu=cortex-m0
BARE_ARCH_lm3s6965evb = cortexm
BARE_CC_lm3s6965evb = arm-none-eabi-gcc -mthumb -mcpu=cortex-m3
BARE_ARCH_netduinoplus2 = cortexm
BARE_CC_netduinoplus2 = arm-none-eabi-gcc -mthumb -mcpu=cortex-m4
BARE_ARCH_riscv32 = riscv
BARE_CC_riscv32 = riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -mcmodel=medany -mstrict-align
BARE_ARCH_riscv64 = riscv
BARE_CC_riscv64 = riscv64-unknown-elf-gcc -march=rv64imac -mabi=lp64 -mcmodel=medany -mstrict-align
BARE_ARCH_aarch64 = aarch64
BARE_CC_aarch64 = aarch64-linux-gnu-gcc -mgeneral-regs-only -mstrict-align -fno-pie -no-pie

# A directory outside of this tree. Its board.mk sets BOARD_CC, and BOARD_ARCH unless the directory has
# the entry.
ifdef BOARD_DIR
include $(BOARD_DIR)/board.mk
BARE_BOARD = $(notdir $(BOARD_DIR:%/=%))
BARE_BOARDS += $(BARE_BOARD)
BARE_ARCH_$(BARE_BOARD) = $(BOARD_ARCH)
BARE_CC_$(BARE_BOARD) = $(BOARD_CC)
BARE_DIR_$(BARE_BOARD) = $(BOARD_DIR:%/=%)
endif
bare_dir = $(or $(BARE_DIR_$(1)),port/baremetal/semihosting)
bare_files = $(wildcard $(bare_dir)/*.[cS]) $(BARE_ARCH_$(1):%=port/baremetal/%.S)
bare_script = $(or $(wildcard $(bare_dir)/*.ld),port/baremetal/$(BARE_ARCH_$(1)).ld)

BARE_CFLAGS = -std=$(STD) -Os -g $(WARNINGS) -Werror -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -Iinclude -Iport/baremetal
BARE_LDFLAGS = -nostdlib -nostartfiles -static -Wl,--gc-sections -Wl,--build-id=none \
	-Wl,--fatal-warnings
BARE_START = $(addprefix port/baremetal/,start.c stack.c print.c) \
	$(addprefix src/,$(QCOW2_MEM_SRCS))
BARE_BOTH = $(addprefix port/baremetal/,main.c layer.c) \
	$(addprefix src/,$(QCOW2_CORE_READ) $(QCOW2_CORE_UNPACK) $(QCOW2_CORE_DEFLATE_SMALL) \
		block.c status.c)
BARE_SRCS = $(BARE_BOTH) port/baremetal/buffer.c
# With zstd: the longest cluster, and the RAM that it needs.
BARE_ZSTD_SRCS = $(BARE_BOTH) port/baremetal/buffer_zstd.c \
	$(addprefix src/,$(QCOW2_CORE_ZSTD_SMALL))
BARE_ZSTD_microbit = -DCLUSTER_BITS=12
BARE_ZSTD_netduinoplus2 = -DCLUSTER_BITS=16 -Wl,--defsym=RAM_LEN=128K
BARE_ZSTD = $(BARE)/zstd-microbit.elf $(BARE)/zstd-netduinoplus2.elf
BARE_PROGRAMS = $(BARE_BOARDS:%=$(BARE)/%.elf) $(BARE_ZSTD)
BARE_DEPS = $(wildcard $(addprefix port/baremetal/,*.h *.S *.ld *.mk semihosting/*) \
	$(BOARD_DIR:%=%/*) include/qcow2/*.h src/*.h) $(O)/flags

# BOARD, output, sources
bare_link = $(BARE_CC_$(1)) $(BARE_CFLAGS) -I$(bare_dir) $(BARE_LDFLAGS) -Lport/baremetal \
	-T $(bare_script) $(bare_files) $(BARE_START) $(3) -o $(2)

$(BARE_BOARDS:%=$(BARE)/%.elf): $(BARE)/%.elf: $(BARE_SRCS) $(BARE_START) $(BARE_DEPS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(call bare_link,$*,$@,$(BARE_SRCS))

$(BARE_ZSTD): $(BARE)/zstd-%.elf: $(BARE_ZSTD_SRCS) $(BARE_START) $(BARE_DEPS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(call bare_link,$*,$@,$(BARE_ZSTD_SRCS)) $(BARE_ZSTD_$*)

# The tests use this to show that a board faults at an unaligned address.
$(BARE)/unaligned-%.elf: tests/firmware/unaligned.c $(BARE_START) $(BARE_DEPS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(call bare_link,$*,$@,$<)

#: baremetal    build port/baremetal for Cortex-M0, M3, M4, RV32, RV64, AArch64, or for BOARD_DIR
baremetal: $(if $(BOARD_DIR),$(BARE)/$(BARE_BOARD).elf,$(BARE_PROGRAMS))

.PHONY: baremetal
