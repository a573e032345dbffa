# Stands in for OpenWrt's /lib/functions.sh: the part that our scripts call, over $STATE/uci, which
# has a line `package.section=type` or `package.section.option=value` for each thing that is set.

config_load() {
	CONFIG_PACKAGE="$1"
	record config_load "$@"
}

config_get() {
	local _value

	_value="$(stored "$CONFIG_PACKAGE.$2.$3")"
	[ -n "$_value" ] || _value="$4"
	eval "$1=\$_value"
}

config_get_bool() {
	local word

	config_get word "$2" "$3" "$4"
	case "$word" in
		1 | on | true | yes | enabled) eval "$1=1" ;;
		*) eval "$1=0" ;;
	esac
}

config_foreach() {
	local _callback="$1" _type="$2" _line _section

	shift 2
	for _line in $(grep -E "^$CONFIG_PACKAGE\.[A-Za-z0-9_]+=$_type\$" "$STATE/uci"); do
		_section="${_line%%=*}"
		"$_callback" "${_section#*.}" "$@"
	done
}

stored() {
	local line

	line="$(grep -F -m 1 "$1=" "$STATE/uci")"
	case "$line" in "$1="*) echo "${line#*=}" ;; esac
}

# One call a line, its words between bars.
record() {
	local line="" word

	for word in "$@"; do line="$line${line:+|}$word"; done
	echo "$line" >>"$STATE/calls"
}
