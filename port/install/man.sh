#!/bin/sh
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Writes the manual pages of the library's calls into a directory, from the comments of qcow2.h. A page
# also shows the types that the header declares for its call, which are those right before it. The calls
# that qcow2.3 explains get a page that refers to it.
#	man.sh DIRECTORY
set -eu
out=$1
cd "$(dirname "$0")/../.."
date=$(sed -n 's/^\.Dd //p' port/posix/qcow2.3)
mkdir -p "$out"

awk -v out="$out" -v date="$date" '
	# Text that mdoc must not take for a request or an escape.
	function plain(line) {
		gsub(/\\/, "\\e", line)
		sub(/^[.\047]/, "\\\\\\&&", line)
		return line
	}
	function literal(text,   n, line, i) {
		printf ".Bd -literal\n" >page
		n = split(text, line, "\n")
		for (i = 1; i < n; i++) print plain(line[i]) >page
		printf ".Ed\n" >page
	}
	# Each sentence begins a line of its own, as mdoc wants it.
	function sentences(line) {
		while (match(line, /[^ ][.] [A-Z*]/)) {
			print plain(substr(line, 1, RSTART + 1)) >page
			line = substr(line, RSTART + 3)
		}
		print plain(line) >page
	}
	# Comment lines lose their stars; an empty line begins a paragraph.
	function prose(text,   n, line, i) {
		n = split(text, line, "\n")
		for (i = 1; i < n; i++) {
			sub(/^\/\* ?/, "", line[i]); sub(/ *\*\/$/, "", line[i]); sub(/^ \* ?/, "", line[i])
			if (line[i] != "") sentences(line[i])
			else if (i > 1 && i < n - 1) print ".Pp" >page
		}
	}
	function write_page(name, comment, prototype, types) {
		page = out "/" name ".3"
		printf ".\\\" SPDX-License-Identifier: MIT\n.Dd %s\n.Dt %s 3\n.Os\n", date, toupper(name) >page
		printf ".Sh NAME\n.Nm %s\n.Nd %s\n", name, purpose[name] >page
		printf ".Sh SYNOPSIS\n.In qcow2.h\n" >page
		literal(prototype)
		printf ".Sh DESCRIPTION\n" >page
		prose(comment)
		sub(/\n+$/, "\n", types)
		if (types != "") {
			printf ".Ss Types and constants\n" >page
			literal(types)
		}
		printf ".Sh SEE ALSO\n.Xr qcow2 1 ,\n.Xr qcow2 3\n" >page
		close(page)
	}
	FILENAME != header {
		if (split($0, cell, "\t") == 2) purpose[cell[1]] = cell[2]
		next
	}
	/^#/ || /^extern "C"/ || /^}$/ { text = comment = ""; next }
	/^$/ { types = types text; if (text != "") types = types "\n"; text = comment = ""; next }
	/^(\/\*| \*)/ && text == comment { comment = comment $0 "\n" }
	{ text = text $0 "\n" }
	# A call: nothing but a prototype follows the comment.
	/\);$/ {
		prototype = substr(text, length(comment) + 1)
		if (prototype !~ /^[a-z][a-z0-9_ ]* \*?qcow2_[a-z0-9_]+\(/) next
		name = prototype
		sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
		if (name in purpose) write_page(name, comment, prototype, types)
		else printf ".so man3/qcow2.3\n" >(out "/" name ".3")
		types = text = comment = ""
	}' header=include/qcow2.h port/install/calls include/qcow2.h
cp port/posix/qcow2.3 "$out"
