# SPDX-License-Identifier: MIT
# bash completion of cohook(1).

# Those that run under it.
_cohook_pids()
{
	grep -ls libcohook.so /proc/[0-9]*/maps 2>/dev/null | cut -d / -f 3
}

_cohook()
{
	local cur=$2 prev=$3 i word command=
	local options='--workers --stack --exclude --now --native --convert
		--off --log --stats --dump --tcb --guard --quiet --help'

	COMPREPLY=()
	case $prev in
	-l | --log)
		COMPREPLY=($(compgen -W 'off error warn info trace' -- "$cur"))
		return
		;;
	--tcb)
		COMPREPLY=($(compgen -W 'sud patch donor native' -- "$cur"))
		return
		;;
	--dump)
		COMPREPLY=($(compgen -W 'SIGUSR1 SIGUSR2 SIGQUIT SIGWINCH' \
			-- "$cur"))
		return
		;;
	--guard)
		COMPREPLY=($(compgen -W 'madvise mprotect none' -- "$cur"))
		return
		;;
	-o | --output)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	-e | --calls | -f | --fds | -c | --coroutines)
		return
		;;
	-w | --workers | -s | --stack | -x | --exclude | -d | -n)
		[ "$prev" = -n ] && [ "${COMP_WORDS[1]}" != top ] || return
		;;
	esac
	# The program and what follows is completed as if it stood alone.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-w | --workers | -s | --stack | -x | --exclude | -l | --log | \
			--dump | --tcb | --guard | -o | --output | -e | --calls | \
			-f | --fds | -c | --coroutines)
			((i++))
			;;
		-*) ;;
		run | stat | trace | check | ps | dump | top)
			if [ "$i" = 1 ]; then
				command=$word
				continue
			fi
			break
			;;
		*) break ;;
		esac
	done
	case $command in
	ps | dump | top)
		case $cur in
		-*)
			case $command in
			ps) options='--json --help' ;;
			dump) options='--json --all --help' ;;
			top) options='-d -n --help' ;;
			esac
			COMPREPLY=($(compgen -W "$options" -- "$cur"))
			;;
		*)
			COMPREPLY=($(compgen -W "$(_cohook_pids)" -- "$cur"))
			;;
		esac
		return
		;;
	check)
		case $cur in
		-*) COMPREPLY=($(compgen -W '--verbose --json --help' \
			-- "$cur")) ;;
		*) COMPREPLY=($(compgen -c -- "$cur") \
			$(compgen -f -- "$cur")) ;;
		esac
		return
		;;
	esac
	if [ "$i" -lt "$COMP_CWORD" ]; then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$i"
		else
			COMPREPLY=($(compgen -f -- "$cur"))
		fi
		return
	fi
	case $cur in
	-*)
		case $command in
		'') options="$options --version" ;;
		stat) options="$options --output --json" ;;
		trace) options="$options --calls --fds --coroutines --output
			--json" ;;
		esac
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		;;
	*)
		COMPREPLY=($(compgen -c -- "$cur"))
		[ "$command" != trace ] ||
			COMPREPLY+=($(compgen -W "$(_cohook_pids)" -- "$cur"))
		[ "$COMP_CWORD" != 1 ] || COMPREPLY+=($(compgen -W \
			'run check stat trace ps dump top' -- "$cur"))
		;;
	esac
}

complete -o filenames -F _cohook cohook
