#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Checks the symbols of the core: it needs nothing but four memory functions, and defines nothing
# outside its name space, none of the four POSIX names, and no writable variable.
#	check-symbols.sh ARCHIVE      NM: the nm to use; PREFIX: the prefix of C names, such as _
#	                              MORE: a function that it may need as well
#	                              OWN_MEM=yes: it defines the four itself, so that others replace them
set -u
archive=${1:?usage: check-symbols.sh ARCHIVE}
nm=${NM:-nm}
rc=0

symbols=$($nm -g "$archive" 2>/dev/null) || { echo "$archive: nm fails"; exit 1; }
all=$($nm "$archive" 2>/dev/null)
symbols=$(echo "$symbols" | sed "s/ ${PREFIX-}\([^ ]*\)\$/ \1/")
defined=$(echo "$symbols" | awk 'NF == 3 { print $3 }' | sort -u)
# What one object needs and another defines is not needed from outside.
needed=$(echo "$symbols" | awk 'NF == 3 { defined[$3] } NF == 2 && $1 == "U" { needed[$2] }
	END { for (name in needed) if (!(name in defined)) print name }' | sort)

complain() # text, names
{
	[ -z "$2" ] && return
	echo "$archive: $1:" $2
	rc=1
}

[ -n "$defined" ] || { echo "$archive: defines nothing"; exit 1; }
for name in qcow2_image_open qcow2_reader_read qcow2_deflate_small qcow2_deflate_fast \
	qcow2_zstd_small qcow2_zstd_fast; do
	echo "$defined" | grep -qx "$name" || complain "does not define" "$name"
done

# The linker makes _GLOBAL_OFFSET_TABLE_ (position-independent code on i386). _restgpr_N_x restore
# registers: gcc -Os for PowerPC always calls them, the ABI defines them, and every tool chain has
# them.
from_outside='-e memcpy -e memset -e memmove -e memcmp'
if [ "${OWN_MEM-}" = yes ]; then
	from_outside=
	for name in memcpy memset memmove memcmp; do
		echo "$symbols" | grep -q " [WV] $name\$" || complain "does not define as weak" "$name"
		# In objects for Windows, each has a second name as well.
		defined=$(echo "$defined" | grep -v -e "^$name\$" -e "^\.weak\..*$name\.")
	done
fi
complain "needs" "$(echo "$needed" | grep -vx $from_outside -e "${MORE-}" -e _GLOBAL_OFFSET_TABLE_ \
	-e '_restgpr_[0-9]*_x' -e '')"
# gcc puts __x86.get_pc_thunk.* into each object for position-independent code. In objects for
# Windows, constants have names: ??_C@* strings, __xmm@* and __real@* numbers.
complain "defines" "$(echo "$defined" | grep -v -e '^qcow2_' -e '^q2_' -e '^__x86\.get_pc_thunk\.' \
	-e '^??_C@' -e '^__xmm@' -e '^__real@')"
complain "defines a POSIX name" "$(echo "$defined" | grep -x -e qcow2_open -e qcow2_close \
	-e qcow2_get_size -e qcow2_read)"
complain "has variables" "$(echo "$all" | awk 'NF == 3 && $2 ~ /^[bBcCsSgG]$/ { print $3 }')"
exit $rc
