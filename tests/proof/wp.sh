#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Runs Frama-C's WP on the contracts in tests/proof/contracts, one file of src/ after the other.
# Every goal must be proved, no contract may contradict itself (smoke tests), and there must be
# exactly as many goals as this script lists, so that none gets lost. Arguments: the files to prove,
# or FILE:FUNCTION for one function. Without arguments it proves everything, and then checks that no
# contract was left out.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=build/proof
only=" $* "
passed=0
failed=0
goals=0
turns=$build/wp-functions.txt
mkdir -p "$build"
: >"$turns"
# WP keeps the prover's answer to each goal here, under a hash of the goal's text. Every proof from
# the beginning starts with an empty directory; sensitivity.py goes on with it, so that only goals
# that change with the code are proved again. An answer "timeout" counts only for a limit that is
# not longer.
WP_CACHE=${WP_CACHE-$PWD/$build/wp-cache}
if [ $# -eq 0 ]; then
	rm -rf "$WP_CACHE"
fi
mkdir -p "$WP_CACHE"
# Why3 lists the provers that it finds in this file. The default would be in the home directory.
WHY3CONFIG=$PWD/$build/why3.conf
export WHY3CONFIG
why3 config detect >"$build/why3.log" 2>&1

# Each smoke test takes the second that it has. Only a changed contract can make one fail, so
# check-all leaves them to `make proof`.
smoke='-wp-smoke-tests -wp-no-smoke-dead-code -wp-smoke-timeout 1'
[ "${WP_SMOKE-}" != no ] || smoke=-wp-no-smoke-tests

fail() { # WHAT
	failed=$((failed + 1))
	echo "NOT PROVED $1"
}

# The provers to use. CVC4 alone proves most goals, and adding Z3 makes all of them take longer.
provers=cvc4
# Set to hide what a good cell of a table is: contracts/zstd_fast.h says why.
opaque=
prove() { # FILE NUMBER-OF-GOALS SMOKE-TESTS-AMONG-THEM FUNCTION...
	file=$1 wanted=$2
	[ "${WP_SMOKE-}" != no ] || wanted=$((wanted - $3))
	shift 3
	case $only in
	"  " | *" $file "*) ;;
	*" $file:"*)
		one=${only##* "$file":}
		case " $* " in *" $one"*) ;; *) return ;; esac
		wanted=any
		set -- "${one% }"
		;;
	*) return ;;
	esac
	printf '%s\n' "$@" >>"$turns"
	log=$build/wp-$(basename "$file")-$1.log
	# shellcheck disable=SC2086
	frama-c -c11 -machdep gcc_x86_64 \
		-cpp-extra-args="-Iinclude -include tests/proof/acsl.h -DFOR_$(basename "$file" .c) $opaque" \
		-wp -wp-fct "$(echo "$@" | tr ' ' ,)" -wp-model Typed+Cast -wp-rte -rte-no-pointer-call \
		$smoke \
		-wp-prover "$provers" -wp-timeout "${WP_TIMEOUT:-1800}" -wp-par 2 \
		-wp-cache update -wp-cache-dir "$WP_CACHE" "tests/proof/contracts/$(basename "$file")" >"$log" 2>&1
	proved=$(sed -nE 's|^\[wp\] Proved goals: +([0-9]+) / .*|\1|p' "$log")
	total=$(sed -nE 's|^\[wp\] Proved goals: +[0-9]+ / ([0-9]+).*|\1|p' "$log")
	[ "$wanted" != any ] || wanted=${total:-1}
	if [ "${proved:-0}" -eq "$wanted" ] && [ "${total:-0}" -eq "$wanted" ] &&
	   ! grep -q 'Doomed\|\[Failed\]\|User Error\|annot-error' "$log"; then
		passed=$((passed + 1))
		goals=$((goals + proved))
		echo "proved $file: $proved goals"
	else
		fail "$file: ${proved:-0} of ${total:-0} goals, and it was $wanted:"
		grep -A3 'Failed\]\|: Timeout\|: Unknown\|Doomed\|Error\|annot-error' "$log" | head -40
	fi
}

# Prints the names of the functions that have a contract: those declared after an annotation that
# begins in the first column.
contracts() {
	awk '/^\/\*@ (requires|assigns)/ { due = 1; inside = 1 }
	     !inside && due && match($0, /[a-z0-9_]+\(/) {
		print substr($0, RSTART, RLENGTH - 1)
		due = 0
	     }
	     /\*\// { inside = 0 }' tests/proof/contracts/*.[ch] | sort -u
}

prove src/io.c 130 19 q2_note q2_io_read q2_be16 q2_be32 q2_be64 q2_shr64 \
	q2_has_extended_l2 q2_is_inside q2_image_read q2_table_check
prove src/check.c 105 14 report_overflow compare window_check
prove src/check.c 50 6 window_refcounts
prove src/check_count.c 136 20 q2_counter_get q2_counter_set q2_check_note_next q2_check_is_first \
	q2_check_report_first refer_to_cluster q2_check_refer q2_check_refer_cluster
prove src/check_map.c 55 7 entry_leads
prove src/check_walk.c 42 5 refer_to_block
prove src/wide.c 8 1 q2_left q2_extent_clip
provers=z3,cvc4 prove src/cache.c 124 9 cache_grow first_of_set key_find q2_table_entry
prove src/map.c 205 24 in_cluster host_cluster standard_clusters q2_data_check l2_extent
provers=z3,cvc4 prove src/map.c 94 7 compressed_extent subclusters
prove src/reader.c 52 5 qcow2_reader_read
prove src/block.c 125 14 block_is_aligned block_straight block_bounce block_read
prove src/zstd_small_bits.c 87 9 q2_unzstd_fail q2_unzstd_check unzstd_byte q2_unzstd_next
prove src/zstd_small_bits.c 47 3 q2_unzstd_back
prove src/zstd_small_bits.c 124 10 q2_unzstd_take q2_unzstd_enter q2_unzstd_open q2_unzstd_close
prove src/zstd_small_fse.c 324 41 unzstd_spread unzstd_number unzstd_build_one unzstd_build_default \
	unzstd_take_often q2_unzstd_build_described q2_unzstd_prepare q2_unzstd_cell q2_unzstd_advance
provers=z3,cvc4 prove src/zstd_small_fse.c 24 3 unzstd_build
prove src/zstd_fast_fse.c 274 29 zfast_ahead zfast_read_zeros zfast_read_value q2_zfast_read_counts \
	zfast_pack zfast_meaning zfast_form zfast_spread zfast_cell
opaque=-DOPAQUE prove src/zstd_fast_fse.c 154 17 zfast_make_cells zfast_read_one q2_zfast_build \
	q2_zfast_read_table
prove src/zstd_fast_literals.c 288 34 zfast_fill zfast_literal zfast_turn zfast_stream_end zfast_one_stream \
	zfast_turns zfast_four_streams
prove src/zstd_fast_literals.c 502 41 zfast_fse_weights zfast_read_weights zfast_complete zfast_read_tree \
	zfast_coded_literals zfast_place_literals zfast_plain_literals zfast_packed_literals q2_zfast_literals
prove src/zstd_fast.c 326 29 zfast_skip zfast_limits zfast_header zfast_check zfast_compressed zfast_block \
	zfast_data_frame zfast_frame
prove src/zstd_fast_sequences.c 409 54 q2_zfast_table zfast_copy q2_zfast_move_literals zfast_repeat \
	zfast_value zfast_next zfast_reaches zfast_execute zfast_sequence zfast_wild zfast_wild_match \
	zfast_word_take zfast_word_value zfast_word_next zfast_run
provers=z3 prove src/zstd_fast_sequences.c 3 1 zfast_sum
opaque=-DOPAQUE prove src/zstd_fast_sequences.c 211 17 zfast_first zfast_read_count zfast_begin_sequences \
	q2_zfast_sequences
prove src/zstd_small_literals.c 27 3 q2_unzstd_out unzstd_place
prove src/zstd_small_sequences.c 94 10 unzstd_copy_literals unzstd_copy_match
prove src/zstd_fast_bits.c 131 17 q2_zfast_le q2_zfast_open q2_zfast_bits_at q2_zfast_take \
	q2_zfast_peek_word q2_word_load q2_word_store q2_copy_16
prove src/inflate_small.c 113 5 inflate_pull inflate_copy
provers=z3,cvc4 prove src/inflate_small.c 33 3 inflate_take
if [ $# -eq 0 ]; then
	# Assumed contracts: see README.md.
	printf '%s\n' q2_check_refcounts q2_check_report q2_check_walk q2_map q2_extent_read q2_xxh64 >>"$turns"
	contracts >"$build/wp-contracts.txt"
	sort "$turns" | diff "$build/wp-contracts.txt" - || fail 'contracts: these are not the same functions'
fi
echo "WP: $goals goals"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
