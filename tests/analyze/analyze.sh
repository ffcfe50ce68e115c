#!/bin/sh
# SPDX-License-Identifier: MIT
# Static analysis, no findings: gcc -fanalyzer on each file, clang-tidy and cppcheck on all.
#	analyze.sh BUILD-DIR CORE-SOURCE...
set -u
cd "$(dirname "$0")/../.." || exit 1
out=$1
shift
rm -rf "$out"
mkdir -p "$out"
passed=0
failed=0
flags='-std=c11 -Iinclude -DQCOW2_VERSION="0"'
choices='port/posix/deflate_builtin.c port/posix/deflate_zlib.c port/posix/zstd_none.c'

judge() { # NAME LOG STATUS
	if [ "$3" -eq 0 ] && ! grep -qE 'warning:|error:' "$2"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "== $1"
		cat "$2"
	fi
}

# gcc's analyzer sees most where nothing is optimized. That it gave up on a function is no finding.
# Version 12 loses memory that only a member of a struct points to, and calls it a leak: leaks are
# left to clang-tidy (unix.Malloc), and to the fault tests under AddressSanitizer and valgrind.
for file in src/*.c port/posix/*.c port/posix/tool/*.c; do
	log=$out/gcc.log
	rc=0
	# shellcheck disable=SC2086
	timeout 300 gcc -O0 -fanalyzer -Wno-analyzer-too-complex \
		-Wno-analyzer-malloc-leak $flags -c "$file" -o "$out/gcc.o" \
		>"$log" 2>&1 || rc=$?
	judge "gcc -fanalyzer $file" "$log" $rc
done

# clang's follows calls only within one file, so it gets programs in one: it then knows that
# q2_fail never returns OK. The decompressors that have the same names apart.
for file in "$@"; do
	echo "#include \"$PWD/src/$file\" // NOLINT(bugprone-suspicious-include)"
done >"$out/core.c"
for file in port/posix/*.c; do
	case " $choices " in *" $file "*) ;; *) echo "#include \"$PWD/$file\" // NOLINT(bugprone-suspicious-include)" ;; esac
done >"$out/posix.c"
for file in port/posix/tool/*.c; do
	echo "#include \"$PWD/$file\" // NOLINT(bugprone-suspicious-include)"
done >"$out/tool.c"
cat >"$out/tidy.sh" <<'END'
timeout 500 clang-tidy-19 --quiet --config-file=.clang-tidy --extra-arg=-Xclang \
	--extra-arg=-analyzer-opt-analyze-headers "$1" -- -std=c11 -Iinclude -Isrc -Iport/posix \
	-Iport/posix/tool '-DQCOW2_VERSION="0"' >"$2/tidy-$(basename "$1").log" 2>"$2/tidy.err"
echo $? >"$2/tidy-$(basename "$1").status"
END
# shellcheck disable=SC2086
printf '%s\n' "$out/tool.c" "$out/core.c" "$out/posix.c" src/mem.c $choices |
	xargs -P "$(nproc)" -I FILE sh "$out/tidy.sh" FILE "$out"
for file in "$out/tool.c" "$out/core.c" "$out/posix.c" src/mem.c $choices; do
	name=$(basename "$file")
	judge "clang-tidy $name" "$out/tidy-$name.log" "$(cat "$out/tidy-$name.status")"
done

# knownConditionTrueFalse: 2.10 takes `a < b ? a : b` for b, and what follows for known.
# variableScope: declarations stand at the head of a function here, for old compilers and by style.
rc=0
timeout 300 cppcheck -q --enable=warning,style,performance,portability --inconclusive \
	--inline-suppr --suppress=variableScope \
	--suppress=knownConditionTrueFalse:src/snapshot.c --error-exitcode=1 --std=c11 -Iinclude \
	'-DQCOW2_VERSION="0"' --template='{file}:{line}: warning: {message} [{id}]' \
	src port/posix include >"$out/cppcheck.log" 2>&1 || rc=$?
judge cppcheck "$out/cppcheck.log" $rc
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
