// The guest's kernel and root image, made once for each recipe and kept outside the repository.

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join, relative } from "node:path";
import { execa } from "execa";
import { LabError } from "./errors.ts";
import {
  customizeScript,
  DEFAULT_MIRROR,
  type GuestFile,
  mmdebstrapArguments,
  recipeHash,
} from "./guest-recipe.ts";
import { hostPath } from "./host-tools.ts";

export interface GuestImage {
  readonly hash: string;
  readonly kernel: string;
  /** A raw ext4 root, never written to: each guest has an overlay of its own. */
  readonly root: string;
}

/** Images of older recipes that are kept, for going back and forth between branches. */
const OLD_IMAGES_KEPT = 2;

/** `$XDG_CACHE_HOME/myco-lab` or `~/.cache/myco-lab`. */
export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const folder = join(base, "myco-lab");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Every file under `folder`, with its path from there. */
function readGuestFiles(folder: string): GuestFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(folder, path), content: readFileSync(path, "utf8") }));
}

/**
 * The image of today's recipe, built if it is not in the cache.
 * @param guestFolder tests/lab/guest
 * @throws LabError with the end of mmdebstrap's output
 */
export async function ensureGuestImage(
  guestFolder: string,
  say: (line: string) => void,
): Promise<GuestImage> {
  const hash = recipeHash(readGuestFiles(guestFolder));
  const images = join(cacheFolder(), "images");
  mkdirSync(images, { recursive: true });
  const folder = join(images, hash);
  if (!isImage(folder)) {
    await buildImage(guestFolder, images, folder, say);
    removeOldImages(images, hash);
  }
  const now = new Date();
  utimesSync(folder, now, now);
  return { hash, kernel: join(folder, "vmlinuz"), root: join(folder, "root.raw") };
}

function isImage(folder: string): boolean {
  return statSync(join(folder, "root.raw"), { throwIfNoEntry: false }) !== undefined;
}

async function buildImage(
  guestFolder: string,
  images: string,
  folder: string,
  say: (line: string) => void,
): Promise<void> {
  const startMs = performance.now();
  say("building the guest image from Debian packages; this takes a minute or two, once");
  const unfinished = join(images, `unfinished-${process.pid}`);
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  const hook = join(unfinished, "customize.sh");
  writeFileSync(hook, customizeScript(), { mode: 0o755 });
  const mirror = process.env.MYCO_LAB_MIRROR || DEFAULT_MIRROR;
  const image = join(unfinished, "root.raw");
  try {
    const result = await execa(
      "mmdebstrap",
      mmdebstrapArguments(mirror, hook, image, guestFolder),
      {
        reject: false,
        all: true,
        env: { PATH: hostPath() },
      },
    );
    if (result.failed || !isImage(unfinished)) {
      const tail = (result.all ?? "").split("\n").slice(-15).join("\n");
      throw new LabError(
        "image",
        `mmdebstrap could not make the guest image from ${mirror}:\n${tail}`,
      );
    }
    rmSync(hook);
    if (!isImage(folder)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  say(`built in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
}

/** Keeps the newest few; a build that was cut short leaves a folder that is old by now, too. */
function removeOldImages(images: string, hash: string): void {
  const old = readdirSync(images)
    .filter((name) => name !== hash && !isLiveBuild(name))
    .map((name) => ({ name, usedMs: statSync(join(images, name)).mtimeMs }))
    .sort((a, b) => b.usedMs - a.usedMs)
    .slice(OLD_IMAGES_KEPT);
  for (const { name } of old) rmSync(join(images, name), { recursive: true, force: true });
}

function isLiveBuild(name: string): boolean {
  const pid = /^unfinished-(\d+)$/.exec(name)?.[1];
  return pid !== undefined && statSync(`/proc/${pid}`, { throwIfNoEntry: false }) !== undefined;
}
