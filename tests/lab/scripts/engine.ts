// The engine on three machines: a flake from a git repository becomes a confined service that has a
// name, outlives the machine it ran on, moves on, rolls back, and leaves nothing when it is withdrawn.

import assert from "node:assert/strict";
import type { ServiceAnswer } from "../../../src/api/contract.ts";
import { ClusterNode, FlakeRepository, serverManifest, serverProgram } from "../engine-guest.ts";
import { labScript } from "../script.ts";

/** docs/engine.md, "Promises": how long a service may run twice while it moves. */
const TWICE_SECONDS_MAX = 30;
/** The lowest user id that systemd gives to dynamic users (systemd.exec(5)). */
const DYNAMIC_UID_MIN = 61184;
const MIB = 1024 * 1024;

export default labScript({
  title: "three machines: build, confine, name, fail over, roll back, drain, withdraw",
  machines: {
    alpha: { vlans: [1], cpus: 1, memoryMiB: 1024 },
    beta: { vlans: [1], cpus: 1, memoryMiB: 1024 },
    gamma: { vlans: [1], cpus: 1, memoryMiB: 1024 },
  },
  myco: true,
  limitSeconds: 2400,
  async test({ machines, subtest, note }) {
    const alpha = new ClusterNode(machines.alpha);
    const beta = new ClusterNode(machines.beta);
    const gamma = new ClusterNode(machines.gamma);
    const nodes = [alpha, beta, gamma];
    const repository = new FlakeRepository(alpha, "hello");
    const worker = { more: "labels: { role: worker }" };
    const manifest = serverManifest(repository.uri, { labels: { role: "worker" } });
    const byHostname = (name: string): ClusterNode => {
      const node = nodes.find(({ machine }) => machine.name === name);
      assert(node !== undefined, `${name} is one of the machines`);
      return node;
    };
    /** The only healthy instance's machine. */
    const ownerOf = (service: ServiceAnswer): ClusterNode =>
      byHostname(service.instances[0]!.hostname);
    const isHealthy = (service: ServiceAnswer): boolean =>
      service.healthy === 1 && service.instances.length === 1;

    await subtest("three machines with real systemd and real nix form a cluster", async () => {
      await Promise.all([alpha.setUp(), beta.setUp(worker), gamma.setUp(worker)]);
      await alpha.found();
      await Promise.all([beta.join(alpha), gamma.join(alpha)]);
      for (const node of nodes) {
        const { machine } = node;
        await node.waitForMembers(3);
        assert.equal(await machine.unitProperty("myco.service", "Type"), "notify");
        assert.equal(await machine.unitProperty("myco.service", "MemoryMax"), String(64 * MIB));
      }
    });

    await subtest(
      "a flake is locked, built and run, by its commit, for a user of its own",
      async () => {
        await repository.serve();
        const commit = await repository.commit("1", serverProgram("1"));
        const [status, output] = await alpha.deploy(manifest);
        assert.equal(status, 0, output);
        assert.ok(output.includes(commit.slice(0, 7)), `deploy shows the commit:\n${output}`);
        const service = await alpha.waitForService("hello", "is healthy", isHealthy);
        assert.equal(service.spec.lock, commit);
        const said = await alpha.ask("hello");
        assert.equal(said.version, "1");
        assert.equal(said.root, "read-only");
        assert.ok(said.uid >= DYNAMIC_UID_MIN, `uid ${said.uid} is a dynamic user's`);
        const owner = ownerOf(service).machine;
        const exposure = await owner.succeed(
          "systemd-analyze security --threshold=15 --no-pager myco-hello.service | tail -1",
        );
        note(exposure.trim());
        await owner.succeed("myco audit verify");
        assert.match(await owner.succeed("cat /var/log/myco/audit.log"), new RegExp(commit));
        assert.match(await owner.succeed("myco logs hello"), /version 1 serves/);
        assert.match(await owner.succeed("myco status"), new RegExp(commit.slice(0, 7)));
      },
    );

    await subtest("the machine it ran on loses power: it comes back elsewhere", async () => {
      const first = ownerOf(await alpha.service("hello"));
      const startMs = performance.now();
      await first.machine.crash();
      const service = await alpha.waitForService(
        "hello",
        "is healthy elsewhere",
        (now) => isHealthy(now) && ownerOf(now) !== first,
      );
      note(`it answered again after ${Math.round((performance.now() - startMs) / 1000)} s`);
      assert.equal((await alpha.ask("hello")).version, "1");
      const second = ownerOf(service);

      await first.machine.connect();
      await alpha.waitForMembers(3);
      let twiceSeconds = 0;
      const endMs = performance.now() + 90_000;
      while (performance.now() < endMs) {
        const lookMs = performance.now();
        const [a, b] = await Promise.all([first.runs("hello"), second.runs("hello")]);
        await new Promise((resolve) => setTimeout(resolve, 500));
        if (a && b) twiceSeconds += (performance.now() - lookMs) / 1000;
        const now = await alpha.service("hello").catch(() => null);
        const settled =
          now !== null && isHealthy(now) && now.instances[0]!.hostname === first.machine.name;
        if (settled && !b) break;
      }
      note(`when the machine had returned, it ran twice for ${twiceSeconds.toFixed(1)} s`);
      assert.ok(twiceSeconds <= TWICE_SECONDS_MAX, `twice for ${twiceSeconds} s`);
      const running = [await first.runs("hello"), await second.runs("hello")];
      assert.equal(running.filter(Boolean).length, 1, "it runs once");
    });

    await subtest("a version that is not well rolls back, and the cluster says so", async () => {
      const good = await alpha.waitForService("hello", "is healthy", isHealthy);
      await repository.commit("2", serverProgram("2", false));
      const [status, output] = await alpha.deploy(manifest, "--timeout 150s");
      assert.notEqual(status, 0, output);
      const service = await alpha.waitForService("hello", "is rolled back", ({ instances }) =>
        instances.some(({ state }) => state === "rolled-back"),
      );
      assert.equal(service.instances[0]?.generation, good.generation);
      assert.equal((await alpha.ask("hello")).version, "1");
      assert.match(await alpha.machine.succeed("myco services hello"), /rolled back/i);
    });

    await subtest("the next good version takes its place", async () => {
      await repository.commit("3", serverProgram("3"));
      const [status, output] = await alpha.deploy(manifest);
      assert.equal(status, 0, output);
      assert.equal((await alpha.ask("hello")).version, "3");
    });

    await subtest(
      "a drained machine hands over before it stops, and takes work again",
      async () => {
        const before = ownerOf(await alpha.waitForService("hello", "is healthy", isHealthy));
        const name = before.machine.name;
        await alpha.machine.succeed(`myco drain ${name} --wait --timeout 180s`);
        const service = await alpha.waitForService(
          "hello",
          "is healthy elsewhere",
          (now) => isHealthy(now) && ownerOf(now) !== before,
        );
        assert.equal((await alpha.ask("hello")).version, "3");
        assert.equal(await before.runs("hello"), false);
        assert.notEqual(ownerOf(service), before);
        await alpha.machine.succeed(`myco drain ${name} --undo`);
      },
    );

    await subtest("withdrawn, it leaves its state and nothing else", async () => {
      const owner = ownerOf(await alpha.waitForService("hello", "is healthy", isHealthy));
      await alpha.machine.succeed("myco undeploy hello");
      for (const { machine } of [beta, gamma]) {
        await machine.waitUntilFails("systemctl cat myco-hello.service >/dev/null 2>&1", 120);
        await machine.fail("ls /etc/systemd/system /run/systemd/system | grep -F myco-hello");
        // The paths are let go of after the unit.
        await machine.waitUntilFails(
          "nix-store --gc --print-roots | grep -vE '^/proc|^\\{' | grep -F server-",
          120,
        );
      }
      assert.match(await owner.machine.succeed("cat /var/lib/private/myco-hello/kept"), /3/);
    });

    await subtest("the daemons stayed inside 64 MB", async () => {
      for (const node of nodes) {
        const { peakBytes, limitMet, killed } = await node.memory();
        note(
          `${node.machine.name}: peak ${(peakBytes / MIB).toFixed(1)} MiB, the limit was met ${limitMet} times`,
        );
        assert.equal(killed, 0);
        assert.ok(peakBytes <= 64 * MIB);
      }
    });
  },
});
