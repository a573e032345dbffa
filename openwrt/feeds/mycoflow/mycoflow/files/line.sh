# shellcheck shell=dash disable=SC3043
# Which device the line is, and who shapes it. Sourced, after /lib/functions.sh.

# line_device [EGRESS_IFACE]: prints the device, or nothing while no network is up.
line_device() {
	local network device

	if [ -n "$1" ]; then
		echo "$1"
		return 0
	fi
	# shellcheck source=/dev/null
	. "$IPKG_INSTROOT/lib/functions/network.sh"
	network_flush_cache
	network_find_wan network || network_find_wan6 network || return 0
	network_get_device device "$network" && echo "$device"
}

# sqm_shapes DEVICE: whether sqm is on and has a queue for it.
sqm_shapes() (
	found=0
	[ -n "$1" ] && [ -x "$IPKG_INSTROOT/etc/init.d/sqm" ] || return 1
	"$IPKG_INSTROOT/etc/init.d/sqm" enabled || return 1
	config_load sqm
	config_foreach look_at_queue queue "$1"
	[ "$found" = 1 ]
)

look_at_queue() {
	local enabled interface

	config_get_bool enabled "$1" enabled 0
	config_get interface "$1" interface
	# shellcheck disable=SC2034 # read by sqm_shapes
	[ "$enabled" = 1 ] && [ "$interface" = "$2" ] && found=1
	return 0
}
