// A cluster of real daemons for one suite, each on a loopback address of its own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formCluster, isConnected, LocalNode, until } from "../../demo/local-node.ts";

export const BUNDLE = fileURLToPath(new URL("../../dist/myco.mjs", import.meta.url));
export const WEB_SERVER = fileURLToPath(new URL("../../demo/web/server.mjs", import.meta.url));

/** How long a cluster may take for anything on a busy machine. */
export const PATIENCE_MS = 60_000;

export class LocalCluster {
  readonly base: string;
  readonly nodes: LocalNode[] = [];
  rootKey = "";

  constructor() {
    this.base = mkdtempSync(join(tmpdir(), "myco-test-"));
  }

  /** Forms a cluster of `count` nodes, starts them, and waits until they agree. */
  static async start(count: number): Promise<LocalCluster> {
    const cluster = new LocalCluster();
    try {
      for (let index = 0; index < count; index += 1) await cluster.addNode(`node-${index}`);
      cluster.rootKey = await formCluster(BUNDLE, cluster.base, cluster.nodes);
      await Promise.all(cluster.nodes.map((node) => node.start()));
      await cluster.agree();
      return cluster;
    } catch (error) {
      const logs = cluster.nodes.map((node) => `--- ${node.hostname}\n${node.log()}`).join("\n");
      await cluster.close();
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${logs}`);
    }
  }

  /** A further machine, in no cluster yet. */
  async addNode(hostname: string): Promise<LocalNode> {
    const address = `127.0.0.${this.nodes.length + 1}`;
    const node = await LocalNode.create({ bundle: BUNDLE, base: this.base, hostname, address });
    this.nodes.push(node);
    return node;
  }

  /** Waits until all of `nodes` see each other alive, and nobody else, and hold the same table. */
  async agree(nodes: readonly LocalNode[] = this.nodes): Promise<void> {
    await until(`${nodes.length} nodes agree`, PATIENCE_MS, () => isConnected(nodes, nodes.length));
  }

  /** Writes a manifest. @returns its folder */
  manifest(content: object): string {
    const folder = mkdtempSync(join(this.base, "manifest-"));
    writeFileSync(join(folder, "myco.json"), JSON.stringify(content));
    return folder;
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.retire()));
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** A service that is known everywhere and runs nowhere: no node is in its zone. */
export function unplaced(name: string): object {
  return { name, exec: "/bin/true", zone: 255 };
}
