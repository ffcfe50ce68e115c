# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# Completion of the qcow2 command for fish. What there is to complete comes from the command itself:
# `qcow2 help --table` lists command, long name, letter, argument and help of each option, and a
# line without a name has the operands of a command.

# Prints the options of complete(1) for an argument or operands that are described as in --help.
function __qcow2_value
    switch $argv[1]
        case '[COMMAND]'
            echo -- "--arguments=(qcow2 help --table | string replace -rf '^(\w+)\t\t.*' '\$1')"
        case '[=*'
            echo -- --arguments=(string trim --chars '[=]' -- $argv[1])
        case '*FILE*' '*IMAGE*'
            printf '%s\n' --force-files --require-parameter
        case '*'
            if string match --quiet --regex '[A-Z]' -- $argv[1]
                echo -- --exclusive
            else if test -n "$argv[1]"
                printf '%s\n' --exclusive "--arguments="(string replace --all '|' ' ' -- $argv[1])
            end
    end
end

complete -c qcow2 --no-files
if command -q qcow2
    for row in (qcow2 help --table)
        set -l f (string split \t -- $row)
        set -l value (__qcow2_value $f[4])
        if test -z "$f[2]"
            complete -c qcow2 -n __fish_use_subcommand -a $f[1] -d $f[5]
            string match --quiet '*IMAGE*' -- $f[4]; and set value --force-files
            complete -c qcow2 -n "__fish_seen_subcommand_from $f[1]" $value
            continue
        end
        set -l names --long-option=$f[2]
        test -n "$f[3]"; and set names $names --short-option=$f[3]
        complete -c qcow2 -n "__fish_seen_subcommand_from $f[1]" $names $value -d $f[5]
    end
end
functions -e __qcow2_value
