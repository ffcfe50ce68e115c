# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Completion of the qcow2 command for bash. What there is to complete comes from the command itself:
# `qcow2 help --table` lists command, long name, letter, argument and help of each option, and a
# line without a name has the operands of a command.

# Prints the fields of the table that an awk program selects. It has the variables program (which
# is typed) and command, and the option that it gets.
_qcow2_table()
{
	"$program" help --table 2>/dev/null |
		awk -F '\t' -v command="$command" -v option="$2" "$1"
}

# Completes a value that is described as in --help: "FILE", "json|human", "OFFSET", "[COMMAND]".
_qcow2_value()
{
	case $1 in
	'[COMMAND]') COMPREPLY=($(compgen -W "$(_qcow2_table '$2 == "" { print $1 }')" -- "$word")) ;;
	*FILE* | *IMAGE*) compopt -o default 2>/dev/null ;;
	'[='*) COMPREPLY=($(compgen -W "$(tr -d '[=]' <<<"$1")" -- "$word")) ;;
	*[A-Z]*) ;;
	*) COMPREPLY=($(compgen -W "${1//|/ }" -- "$word")) ;;
	esac
}

_qcow2()
{
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
	local option=${COMP_WORDS[COMP_CWORD-1]} argument assigned=

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "$(_qcow2_table '$2 == "" { print $1 }') --help --version" -- "$word"))
		return
	fi
	# bash makes three words of --output=json.
	if [[ $word == = ]]; then
		word= assigned=yes
	elif [[ $option == = ]]; then
		option=${COMP_WORDS[COMP_CWORD-2]} assigned=yes
	fi
	argument=$(_qcow2_table '$1 == command && (option == "--" $2 || option == "-" $3) { print $4 }' \
		"$option")
	if [[ -n $argument && ( -n $assigned || $argument != '[='* ) ]]; then
		_qcow2_value "$argument"
	elif [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "$(_qcow2_table '$1 == command && $2 != "" {
			print "--" $2
			if ($3 != "")
				print "-" $3
		}')" -- "$word"))
	else
		_qcow2_value "$(_qcow2_table '$1 == command && $2 == "" { print $4 }')"
	fi
}

complete -F _qcow2 qcow2
