#!/bin/sh
# start FOLDER COMMAND [WORD]...
# Becomes COMMAND. One that keeps ending within five minutes of its start waits for its next one
# 5, 10, 20 … 300 s: procd itself knows only one pause. FOLDER/start holds when the last start was,
# in seconds of uptime, and how long it had waited.

LIFE_THAT_COUNTS=300
FIRST_PAUSE=5
LONGEST_PAUSE=300

folder="$1"
shift

mkdir -p "$folder" || exit 1
read -r uptime _ </proc/uptime
now="${uptime%%.*}"

pause=0
if [ -r "$folder/start" ]; then
	read -r last pause <"$folder/start"
	case "$last.$pause" in
		.* | *. | *[!0-9.]*) last=0 pause=0 ;;
	esac
	if [ "$((now - last))" -ge "$LIFE_THAT_COUNTS" ]; then
		pause=0
	elif [ "$pause" -eq 0 ]; then
		pause="$FIRST_PAUSE"
	else
		pause="$((pause * 2 > LONGEST_PAUSE ? LONGEST_PAUSE : pause * 2))"
	fi
fi
echo "$((now + pause)) $pause" >"$folder/start"

if [ "$pause" -gt 0 ]; then
	echo "the daemon ended soon after its start; it starts again in $pause s" >&2
	sleep "$pause" &
	trap 'kill "$!"; exit 143' TERM INT
	wait "$!"
	trap - TERM INT
fi
exec "$@"
