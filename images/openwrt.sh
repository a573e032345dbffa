#!/bin/sh
# Makes flashable OpenWrt images with MycoFlow in them, by OpenWrt's ImageBuilder.
#
#   images/openwrt.sh IMAGEBUILDER_FOLDER DEVICE [PACKAGE]...
#
# DEVICE is x86-64, rpi-4 or ax3000t. IMAGEBUILDER_FOLDER is an unpacked ImageBuilder of a 24.10
# release for that device's target. `npm run build:ipk` comes first. On the image's first boot the
# line's device and rates are found, and its steering is switched on.

set -eu

usage() {
	echo "usage: $0 IMAGEBUILDER_FOLDER x86-64|rpi-4|ax3000t [PACKAGE]..." >&2
	exit 2
}

[ "$#" -ge 2 ] || usage
builder="$1"
device="$2"
shift 2

# The target the ImageBuilder has to be of, its profile, and the root's size where it can be chosen.
case "$device" in
	x86-64) target=x86/64 profile=generic rootfs_mib=512 ;;
	rpi-4) target=bcm27xx/bcm2711 profile=rpi-4 rootfs_mib=512 ;;
	# Node takes 12 to 26 MB of its 128 MB of NAND; the root is what the flash leaves.
	ax3000t) target=mediatek/filogic profile=xiaomi_mi-router-ax3000t rootfs_mib= ;;
	*) usage ;;
esac

root="$(cd "$(dirname "$0")/.." && pwd)"
[ -f "$builder/Makefile" ] || {
	echo "$0: $builder is no ImageBuilder: there is no Makefile in it" >&2
	exit 1
}
is_for_target() {
	grep -q "CONFIG_TARGET_BOARD=\"${target%/*}\"" "$builder/.config" &&
		grep -q "CONFIG_TARGET_SUBTARGET=\"${target#*/}\"" "$builder/.config"
}
is_for_target || {
	echo "$0: $builder is not for $target, which $device needs" >&2
	exit 1
}

for name in mycoflow luci-app-mycoflow; do
	set -- "$@" "$name"
	rm -f "$builder/packages/$name"_*.ipk
	cp "$root/dist/$name"_*_all.ipk "$builder/packages/" || {
		echo "$0: run npm run build:ipk first" >&2
		exit 1
	}
done

files="$(mktemp -d)"
trap 'rm -rf "$files"' EXIT
mkdir -p "$files/etc/uci-defaults"
# After 80-mycoflow has found the line. Who turns it off later keeps it off: this runs once.
cat >"$files/etc/uci-defaults/81-mycoflow-enable" <<'END'
uci set mycoflow.flow.enabled=1
uci commit mycoflow
END

make -C "$builder" image PROFILE="$profile" PACKAGES="luci $*" FILES="$files" \
	${rootfs_mib:+ROOTFS_PARTSIZE="$rootfs_mib"}
echo "the images are in $builder/bin/targets/$target"
