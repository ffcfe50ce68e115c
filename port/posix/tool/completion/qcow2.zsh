#compdef qcow2
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Completion of the qcow2 command for zsh. What there is to complete comes from the command itself:
# `qcow2 help --table` lists command, long name, letter, argument and help of each option, and a
# line without a name has the operands of a command.

# Sets reply to what _arguments needs for an argument or operands that are described as in --help.
_qcow2_value()
{
	case $1 in
	('[COMMAND]') reply=(":command:(${(j: :)${(@)commands%%:*}})") ;;
	(*FILE*|*IMAGE*) reply=(":file:_files") ;;
	('[='*) reply=("::value:(${${1#\[=}%\]})") ;;
	('') reply=() ;;
	(*[A-Z]*) reply=(":$1: ") ;;
	(*) reply=(":value:(${1//|/ })") ;;
	esac
}

_qcow2()
{
	local row help long short
	local -a rows fields commands specs reply

	rows=("${(@f)$(_call_program options $words[1] help --table)}")
	for row in $rows; do
		fields=("${(@ps:\t:)row}")
		[[ -z $fields[2] ]] && commands+=("$fields[1]:${fields[5]//:/\\:}")
	done
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	for row in $rows; do
		fields=("${(@ps:\t:)row}")
		[[ $fields[1] == $words[2] ]] || continue
		_qcow2_value $fields[4]
		if [[ -z $fields[2] ]]; then
			[[ -n $reply ]] && specs+=("*$reply")
			continue
		fi
		help=${${fields[5]//\[/\\[}//\]/\\]}
		long= short=
		[[ -n $fields[4] ]] && long='=' short='+'
		[[ $fields[4] == '[='* ]] && long='=-' short='-'
		specs+=("*--$fields[2]$long""[$help]$reply")
		[[ -n $fields[3] ]] && specs+=("*-$fields[3]$short""[$help]$reply")
	done
	shift words
	(( CURRENT-- ))
	_arguments -s -S $specs
}

_qcow2 "$@"
