#!/bin/sh
# Gives an SDK of OpenWrt 25.12 the Node that its feeds no longer have, and builds the packages.
#
#   openwrt/runtime/add-node.sh SDK_FOLDER
#
# The feed `packages` of 25.12 builds Node for the build host alone; that of 24.10 for routers too.
# Its folder lang/node is put in the place of the newer one's, in the SDK and nowhere else.

set -eu

BRANCH=openwrt-24.10
FEED=https://github.com/openwrt/packages.git

if [ "$#" -ne 1 ] || [ ! -x "$1/scripts/feeds" ]; then
	echo "usage: $0 SDK_FOLDER, an unpacked SDK of OpenWrt 25.12" >&2
	exit 2
fi
sdk="$(cd "$1" && pwd)"
root="$(cd "$(dirname "$0")/../.." && pwd)"
[ -f "$root/dist/myco.mjs" ] || {
	echo "$0: run npm run build in $root first" >&2
	exit 1
}

cd "$sdk"
grep -q "^src-link mycoflow " feeds.conf 2>/dev/null || {
	[ -f feeds.conf ] || cp feeds.conf.default feeds.conf
	echo "src-link mycoflow $root/openwrt/feeds/mycoflow" >>feeds.conf
}
./scripts/feeds update -a

older="$(mktemp -d)"
trap 'rm -rf "$older"' EXIT
git clone --quiet --depth 1 --branch "$BRANCH" --filter=blob:none --sparse "$FEED" "$older"
git -C "$older" sparse-checkout set lang/node
rm -rf feeds/packages/lang/node
cp -R "$older/lang/node" feeds/packages/lang/node

./scripts/feeds update -i
./scripts/feeds install node mycoflow luci-app-mycoflow
make defconfig
make package/node/compile package/mycoflow/compile package/luci-app-mycoflow/compile
echo "the packages are below $sdk/bin/packages"
