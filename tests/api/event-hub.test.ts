import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { StatusAnswer } from "../../src/api/contract.ts";
import { EventHub, Followers, HEARTBEAT_MS } from "../../src/api/event-hub.ts";
import { API_FOLLOWER_BACKLOG_BYTES_MAX } from "../../src/kernel/limits.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const hello = { version: "test" } as StatusAnswer;

/** A hub behind a server; each connection becomes a reader of its stream. */
async function startHub() {
  const followers = new Followers();
  const hub = new EventHub(followers);
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => {
    responses.push(response);
    hub.add(response, hello);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    followers.close();
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const openReader = async () => {
    const socket = connect(port, "127.0.0.1");
    closers.push(() => socket.destroy());
    socket.on("error", () => {});
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!text.includes("event: hello")) await once(socket, "data");
    return { socket, text: () => text };
  };
  return { hub, followers, responses, openReader };
}

describe("the event hub", () => {
  it("cuts off a reader that does not read, and leaves the others alone", async () => {
    const { hub, followers, openReader } = await startHub();
    const slow = await openReader();
    slow.socket.pause();
    const quick = await openReader();
    const detail = "x".repeat(16 * 1024);
    // Beyond what the kernel buffers for a socket, and beyond the hub's own bound.
    for (let i = 0; i < 2_000 && followers.cutOffCount === 0; i += 1) {
      hub.publish("instance", { service: "web", state: "healthy", detail });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(followers.cutOffCount).toBe(1);
    hub.publish("synced", {});
    while (!quick.text().includes("event: synced")) await once(quick.socket, "data");
    expect(followers.size).toBe(1);
  });

  it("never holds more than the backlog for a reader", async () => {
    const { hub, responses, openReader } = await startHub();
    const slow = await openReader();
    slow.socket.pause();
    const detail = "x".repeat(60 * 1024);
    for (let i = 0; i < 500; i += 1) {
      hub.publish("instance", { service: "web", state: "healthy", detail });
      expect(responses[0]!.writableLength).toBeLessThan(
        API_FOLLOWER_BACKLOG_BYTES_MAX + detail.length + 1_024,
      );
    }
    expect(responses[0]!.destroyed).toBe(true);
  });

  it("shows on a quiet stream that it lives, and beats for nobody", async () => {
    const { hub, openReader } = await startHub();
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    closers.push(() => vi.useRealTimers());
    const { socket, text } = await openReader();
    vi.advanceTimersByTime(HEARTBEAT_MS);
    while (!text().includes(": still here")) await once(socket, "data");
    socket.destroy();
    while (vi.getTimerCount() > 0) await new Promise((resolve) => setImmediate(resolve));
    hub.publish("synced", {});
  });
});
