# Stands in for OpenWrt's /lib/functions/network.sh. $STATE/networks has a line `wan NAME DEVICE` or
# `wan6 NAME DEVICE` for each that is up.

network_flush_cache() { record network_flush_cache; }
network_find_wan() { network_named wan "$1"; }
network_find_wan6() { network_named wan6 "$1"; }

# The caller's variables may be called anything but this.
network_named() {
	local _kind _name _device

	while read -r _kind _name _device; do
		[ "$_kind" = "$1" ] || continue
		eval "$2=\$_name"
		return 0
	done <"$STATE/networks"
	return 1
}

network_get_device() {
	local _kind _name _device

	while read -r _kind _name _device; do
		[ "$_name" = "$2" ] || continue
		eval "$1=\$_device"
		return 0
	done <"$STATE/networks"
	return 1
}
