# What a script of FreeBSD's rc.d finds in rc.subr(8), as far as ours use it: rcvar, required_files, NAME_precmd, the pid
# file, and the usual words. Flags come from the variable FLAGS, and NAME_enable is YES.
load_rc_config() {
	eval "${1}_enable=YES"
	rc_flags=$FLAGS
}
load_kld() { :; }
warn() { echo "$name: WARNING: $*" >&2; }
is_running() {
	[ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null
}
wait_until_ended() {
	_left=300
	while kill -0 "$1" 2>/dev/null; do
		_left=$((_left - 1))
		[ "$_left" -gt 0 ] || return 1
		sleep 0.1
	done
}
run_rc_command() {
	for _file in $required_files; do
		[ -r "$_file" ] || { echo "$_file is not readable." >&2; return 1; }
	done
	# A script that starts no daemon of its own has a function for it.
	if [ "$1" = start ] && [ -n "$start_cmd" ]; then eval "$start_cmd"; return; fi
	case $1 in
	start)
		if is_running; then echo "$name already running? (pid=$(cat "$pidfile"))."; return 1; fi
		if [ -n "$start_precmd" ]; then $start_precmd || return 1; fi
		eval "$command $rc_flags $command_args"
		;;
	stop)
		is_running || { echo "$name not running?"; return 1; }
		_pid=$(cat "$pidfile")
		kill -TERM "$_pid" && wait_until_ended "$_pid"
		;;
	reload)
		is_running || { echo "$name not running?"; return 1; }
		if [ -n "$reload_precmd" ]; then $reload_precmd || return 1; fi
		kill -HUP "$(cat "$pidfile")"
		;;
	status)
		if is_running; then echo "$name is running as pid $(cat "$pidfile")."; else echo "$name is not running."; return 1; fi
		;;
	configtest) eval "$configtest_cmd" ;;
	*) echo "unknown directive '$1'" >&2; return 1 ;;
	esac
}
