// What the guest is made of: a Debian root with what the planes need, and the lab's own files.
// An image is known by the hash of all this, so that a changed recipe is a new image.

import { createHash } from "node:crypto";

export const SUITE = "trixie";
export const DEFAULT_MIRROR = "http://deb.debian.org/debian";

/** The root file system's size, most of it holes on the host's disk. */
export const DISK_MIB = 4096;

/** How many shells the driver has into a guest. */
export const SHELLS = 4;

export const PACKAGES: readonly string[] = [
  "linux-image-cloud-amd64",
  // The system itself.
  "systemd",
  "systemd-sysv",
  "udev",
  "dbus",
  "kmod",
  "procps",
  "ca-certificates",
  // The flow plane's tools, and traffic to try them with.
  "iproute2",
  "nftables",
  "conntrack",
  "ethtool",
  "iputils-ping",
  "fping",
  "tcpdump",
  "iperf3",
  "netcat-openbsd",
  "curl",
  "jq",
  // Machines within the guest, each with a systemd of its own.
  "systemd-container",
  // The mesh plane's.
  "git",
  "nix-bin",
  "nodejs",
  "python3-minimal",
];

/** Kernel modules without which the flow plane cannot be tried. */
export const MODULES: readonly string[] = [
  "sch_cake",
  "sch_netem",
  "sch_htb",
  "sch_ingress",
  "ifb",
  "veth",
  "act_mirred",
  "act_ctinfo",
  "cls_matchall",
  "cls_flower",
  "nfnetlink_log",
  "nf_conntrack",
  "nft_log",
  "nft_ct",
  "nft_masq",
  "virtio_net",
];

/** Paths dpkg leaves out. */
const EXCLUDED = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/i18n/*",
];

/** A login prompt on the serial console hangs up whoever writes there; the rest only delays the boot. */
const MASKED_UNITS = [
  "serial-getty@ttyS0.service",
  "getty@tty1.service",
  "getty@hvc0.service",
  "serial-getty@hvc0.service",
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "fstrim.timer",
  "e2scrub_all.timer",
  "ldconfig.service",
  "systemd-firstboot.service",
  "systemd-hwdb-update.service",
  "systemd-journal-catalog-update.service",
  "systemd-update-done.service",
  "modprobe@drm.service",
  "modprobe@efi_pstore.service",
];

/** A file under tests/lab/guest, which lies at the same path in the guest. */
export interface GuestFile {
  readonly path: string;
  readonly content: string;
}

/** The shell script that runs on the finished root, `$1`, just before it becomes an image at `$2`. */
export function customizeScript(): string {
  const shells = Array.from({ length: SHELLS }, (_, index) => `lab-shell@${index + 1}.service`);
  return `#!/bin/sh
set -eu
root=$1 image=$2 files=$3
units=$root/etc/systemd/system
cp -R --no-preserve=ownership "$files/." "$root/"
chmod 755 "$root"/usr/local/lib/lab/*
mkdir -p "$units/sysinit.target.wants" "$units/basic.target.wants" "$units/multi-user.target.wants"
ln -s ../lab-cpus.service "$units/sysinit.target.wants/"
for shell in ${shells.join(" ")}; do
  ln -s ../lab-shell@.service "$units/basic.target.wants/$shell"
done
ln -s ../lab-network.service "$units/basic.target.wants/"
ln -s ../lab-console.service "$units/multi-user.target.wants/"
for unit in ${MASKED_UNITS.join(" ")}; do ln -sf /dev/null "$units/$unit"; done
ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
for module in ${MODULES.join(" ")}; do
  chroot "$root" modprobe --set-version "$(ls "$root/usr/lib/modules")" --dry-run "$module" \\
    || { echo "the guest's kernel lacks $module" >&2; exit 1; }
done
chroot "$root" passwd --quiet --delete root
rm -rf "$root"/boot/initrd* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
rm -f "$root/etc/resolv.conf" "$root/etc/machine-id"
touch "$root/etc/machine-id"
cp "$root"/boot/vmlinuz-* "$(dirname "$image")/vmlinuz"
# /proc and the like are mounted in the root by now; a bind mount of it is without them.
tree=$image.tree
mkdir "$tree"
mount --bind "$root" "$tree"
mke2fs -q -t ext4 -m 0 -J size=16 -d "$tree" "$image" ${DISK_MIB}M
umount "$tree"
rmdir "$tree"
`;
}

/** mmdebstrap's arguments. It makes no archive: the hook writes the image. */
export function mmdebstrapArguments(
  mirror: string,
  hook: string,
  image: string,
  files: string,
): string[] {
  return [
    "--variant=minbase",
    "--format=null",
    `--include=${PACKAGES.join(",")}`,
    '--aptopt=Apt::Install-Recommends "false"',
    ...EXCLUDED.map((path) => `--dpkgopt=path-exclude=${path}`),
    `--customize-hook=${quoteForShell(hook)} "$1" ${quoteForShell(image)} ${quoteForShell(files)}`,
    SUITE,
    "/dev/null",
    mirror,
  ];
}

/** One word of a POSIX shell command, whatever `word` holds. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** 16 hexadecimal digits that change with anything the image is made from. */
export function recipeHash(files: readonly GuestFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const recipe = [
    mmdebstrapArguments("mirror", "hook", "image", "files"),
    customizeScript(),
    sorted,
  ];
  return createHash("sha256").update(JSON.stringify(recipe)).digest("hex").slice(0, 16);
}
