// Builds on a machine with systemd and its own nix: outside the daemon's limits, at the lowest
// priority, ended with all they started, and never outliving the daemon that wanted them for long.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NIX_CONF } from "../engine-guest.ts";
import type { Machine } from "../machine.ts";
import { labScript } from "../script.ts";

/** Lab scripts are bundled into a folder two below the project's root. */
const ROOT = join(import.meta.dirname, "../..");

const REPOSITORY = "/srv/flake";
const FLAKE = `git+file://${REPOSITORY}`;
const UNIT = "myco-build@slow.service";

const derivation = (name: string, script: string): string =>
  `packages.x86_64-linux.${name} = derivation { name = "${name}"; system = "x86_64-linux";
     builder = "/bin/sh"; args = [ "-c" ''${script}'' ]; };`;

const FLAKE_NIX = `{ outputs = { self }: {
  ${derivation("default", "echo one > $out")}
  ${derivation("fails", "echo because of this; exit 3")}
  ${derivation("slow", "/bin/sleep 4321; echo > $out")}
}; }
`;

interface Line {
  readonly lock?: string;
  readonly end?: { ok: boolean; storePath?: string; message?: string; retry?: boolean };
  readonly closed?: boolean;
}

async function putDriver(machine: Machine): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "lab-nix-driver-"));
  const outfile = join(folder, "nix-driver.mjs");
  const { build } = createRequire(join(ROOT, "package.json"))("esbuild");
  await build({
    entryPoints: [join(ROOT, "tests/lab/nix-driver.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
  });
  await machine.copyFromHost(outfile, "/srv/nix-driver.mjs");
  rmSync(folder, { recursive: true });
}

export default labScript({
  title: "builds by systemd-run: locked, confined, cancelled, left over",
  machines: { alice: {} },
  reuse: true,
  async test({ machines: { alice }, subtest, note }) {
    const drive = async (command: string): Promise<Line> => {
      const startMs = performance.now();
      const said = await alice.succeed(`node /srv/nix-driver.mjs ${command}`);
      note(`${command.split(" ")[0]}: ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
      return JSON.parse(said.trim().split("\n").at(-1)!) as Line;
    };
    let lock = "";

    await subtest("a repository that belongs to another user is locked to its commit", async () => {
      await putDriver(alice);
      const write = async (path: string, text: string): Promise<void> => {
        await alice.run(`mkdir -p $(dirname ${path}); cat >${path}`, { input: Buffer.from(text) });
      };
      await write("/etc/nix/nix.conf", NIX_CONF);
      await alice.succeed(`rm -rf ${REPOSITORY} /var/lib/myco-build-test`);
      await write(`${REPOSITORY}/flake.nix`, FLAKE_NIX);
      const git = `git -c user.name=a -c user.email=a@example.org -C ${REPOSITORY}`;
      await alice.succeed(`${git} init -q && ${git} add . && ${git} commit -q -m one`);
      const head = (await alice.succeed(`${git} rev-parse HEAD`)).trim();
      await alice.succeed(`chown -R daemon: ${REPOSITORY}`);
      const locked = await drive(`lock ${FLAKE}`);
      assert.equal(locked.lock, head, JSON.stringify(locked));
      lock = head;
    });

    await subtest("a build ends with a store path that its root keeps", async () => {
      const { end } = await drive(`build web ${FLAKE} ${lock}`);
      assert.equal(end?.ok, true, JSON.stringify(end));
      assert.equal(await alice.succeed(`cat ${end?.storePath}`), "one\n");
      await alice.succeed("nix store gc");
      await alice.succeed(`test -e ${end?.storePath}`);
    });

    await subtest("a failing build says why, with the builder's last words", async () => {
      const { end } = await drive(`build fails '${FLAKE}#fails' ${lock}`);
      assert.match(end?.message ?? "", /failed with exit code 3.*because of this/);
      assert.equal(end?.retry, true);
    });

    await subtest("a build runs in its own unit, idle, and ends with all it started", async () => {
      const cancelled = drive(`cancel slow '${FLAKE}#slow' ${lock}`);
      assert.deepEqual(await cancelled, { closed: true });
      await alice.fail("pgrep -f '[s]leep 4321'");
      await alice.fail(`systemctl is-active ${UNIT}`);
    });

    await subtest("what a killed daemon left is ended by the next one", async () => {
      await alice.succeed(
        `systemd-run --quiet --unit=first node /srv/nix-driver.mjs build slow '${FLAKE}#slow' ${lock}`,
      );
      await alice.waitUntilSucceeds("pgrep -f '[s]leep 4321'", 60);
      const names = ["Nice", "IOSchedulingClass", "CPUWeight", "MemoryMax", "OOMScoreAdjust"];
      note((await alice.succeed(`systemctl show ${UNIT} -P ${names.join(",")} | xargs`)).trim());
      const builder = (await alice.succeed("pgrep -f '[s]leep 4321' | head -1")).trim();
      assert.match(await alice.succeed(`cat /proc/${builder}/cgroup`), /myco-build@slow\.service/);
      assert.equal((await alice.succeed(`ps -o ni= -p ${builder}`)).trim(), "19");
      await alice.succeed("systemctl kill --signal=KILL --kill-whom=main first");
      await alice.waitUntilFails("systemctl is-active first", 30);
      const { end } = await drive(`build other ${FLAKE} ${lock}`);
      assert.equal(end?.ok, true);
      await alice.fail("pgrep -f '[s]leep 4321'");
      await alice.fail(`systemctl is-active ${UNIT}`);
    });
  },
});
