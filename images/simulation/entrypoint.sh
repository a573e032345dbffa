#!/bin/sh
# Makes the container a node of the cluster before it starts the daemon. The founder (MYCO_GUESTS
# names who else will come, MYCO_ADDRESS where they reach it) signs an invitation for each guest into
# the shared folder; a guest waits for its own, which bears its host name. The root key lies in that
# folder too: that is for a simulation and for nothing else.

set -eu

data="${MYCO_DATA_DIR:-/var/lib/myco}"
shared="${MYCO_SHARED_DIR:-/cluster}"
name="${MYCO_HOSTNAME:-$(hostname)}"

found() {
	[ -e "$data/node.cert" ] || myco cluster init --data-dir "$data" --root-key "$shared/root.key"
	for guest in $MYCO_GUESTS; do
		[ -s "$shared/$guest.token" ] || invite "$guest"
	done
}

invite() {
	myco cluster invite --root-key "$shared/root.key" \
		--peer "$MYCO_ADDRESS:${MYCO_PORT:-7946}" >"$shared/$1.new"
	mv "$shared/$1.new" "$shared/$1.token"
}

join() {
	[ -e "$data/node.cert" ] && return
	until [ -s "$shared/$name.token" ]; do sleep 1; done
	myco cluster join --data-dir "$data" - <"$shared/$name.token"
}

if [ -n "${MYCO_GUESTS:-}" ]; then found; else join; fi
exec myco daemon --data-dir "$data" --hostname "$name" "$@"
