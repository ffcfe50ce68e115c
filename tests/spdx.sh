#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Checks that each file that can have comments says in its first lines which licence it has and whose it is.
#	spdx.sh            fails, with a list, if one does not
#	spdx.sh write      first adds the line of the authors after that of the licence
# The file LICENSE covers the others: data, recipes of tests, golden output, words, and what is added to
# U-Boot's Kconfig files.
set -eu
cd "$(dirname "$0")/.."
licence='SPDX-License-Identifier: MIT'
# In two pieces, so that this line does not count.
owner=SPDX-FileCopyrightText
owner="$owner: The qcow2 reader authors"
without='\.md$|\.json$|(^|/)[a-z0-9-]*\.txt$|\.svg$|\.dict$|\.map$|\.abi$|\.recipe$|\.qcow2$|\.sha256$|^LICENSE$|^\.gitignore$|(^|/)\.clang-format$'
without="$without|^port/uboot/.*/Kconfig$|^fuzz/findings/|^port/install/calls$|^port/debian/.*\.(install|symbols|lintian-overrides)$"
without="$without|^port/debian/(changelog|control|copyright|source/format|tests/control)$"

files() { git ls-files -co --exclude-standard | grep -vE "$without"; }

missing() { # the files that lack one of the lines
	files | xargs awk -v licence="$licence" -v owner="$owner" '
		function verdict() { if (name != "" && (!licensed || !owned)) print name }
		FNR == 1 { verdict(); name = FILENAME; licensed = owned = 0 }
		FNR <= 5 && index($0, licence) { licensed = 1 }
		FNR <= 5 && index($0, owner) { owned = 1 }
		FNR > 5 { nextfile }
		END { verdict() }'
}

# The same comment, with the other tag.
if [ "${1-}" = write ]; then
	missing | xargs -r sed -i -s "1,5 { /$licence/ { p; s/$licence/$owner/ } }"
fi
bad=$(missing)
[ -z "$bad" ] || { echo 'FAILED: no SPDX line of licence or authors in:'; echo "$bad"; exit 1; }
echo "1 passed, 0 failed"
