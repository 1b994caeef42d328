# What a script of OpenBSD's rc.d finds in rc.subr(8), as far as ours use it: actions, rc_exec, pexp and the defaults of
# rc_start, rc_check, rc_reload and rc_stop. Flags come from the variable FLAGS instead of rc.conf.local.
daemon_flags=$FLAGS
rc_exec() { sh -c "$*"; }
rc_pre() { :; }
rc_start() { rc_exec "${daemon} ${daemon_flags}"; }
rc_check() { pgrep -q -xf "${pexp}" 2>/dev/null || pgrep -xf "${pexp}" >/dev/null; }
rc_reload() { pkill -HUP -xf "${pexp}"; }
rc_stop() { pkill -TERM -xf "${pexp}"; }
rc_configtest() { return 0; }
rc_cmd() {
	case $1 in
	check) rc_check ;;
	configtest) rc_configtest ;;
	start)
		rc_check && return 0
		rc_configtest >/dev/null || return 1
		rc_pre || return 1
		rc_start || return 1
		_left=300
		until rc_check; do
			_left=$((_left - 1))
			[ "$_left" -gt 0 ] || return 1
			sleep 0.1
		done
		;;
	reload) rc_check && rc_configtest >/dev/null && rc_reload ;;
	stop)
		rc_check || return 0
		rc_stop || return 1
		_left=300
		while rc_check; do
			_left=$((_left - 1))
			[ "$_left" -gt 0 ] || return 1
			sleep 0.1
		done
		;;
	esac
}
