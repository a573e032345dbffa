import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { ListenError, UdpSockets } from "../../src/io/udp.ts";
import { DATAGRAMS_PER_TICK_MAX, PACKET_BYTES } from "../../src/kernel/limits.ts";

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function openSockets(listen: readonly string[]): Promise<UdpSockets> {
  const sockets = await UdpSockets.open(listen);
  closers.push(() => sockets.close());
  return sockets;
}

async function openStranger(): Promise<Socket> {
  const stranger = createSocket("udp4");
  stranger.bind(0, "127.0.0.1");
  await once(stranger, "listening");
  closers.push(() => stranger.close());
  return stranger;
}

function nextDatagram(sockets: UdpSockets): Promise<{ bytes: Uint8Array; from: string }> {
  return new Promise((resolve) => {
    sockets.onDatagram = (bytes, from) => resolve({ bytes, from });
  });
}

async function settled(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("the mesh's sockets", () => {
  for (const listen of ["127.0.0.1:0", "[::1]:0"]) {
    it(`carry a packet between two nodes at ${listen}`, async () => {
      const sender = await openSockets([listen]);
      const receiver = await openSockets([listen]);
      const arrived = nextDatagram(receiver);
      const packet = new Uint8Array(PACKET_BYTES).fill(7);

      sender.send(packet, receiver.bound[0]!);
      packet.fill(9); // the replica reuses its packet

      const { bytes, from } = await arrived;
      expect(bytes).toEqual(Buffer.alloc(PACKET_BYTES, 7));
      expect(from).toBe(sender.bound[0]);
      await settled(() => sender.statistics.packetsSent === 1);
    });
  }

  it("send each packet through the socket of its family", async () => {
    const both = await openSockets(["127.0.0.1:0", "[::1]:0"]);
    const receiver = await openSockets(["[::1]:0"]);
    const arrived = nextDatagram(receiver);
    both.send(new Uint8Array(PACKET_BYTES), receiver.bound[0]!);
    expect((await arrived).from).toBe(both.bound[1]);
  });

  it("drop what is not exactly one packet long, unread", async () => {
    const sockets = await openSockets(["127.0.0.1:0"]);
    const port = Number(sockets.bound[0]!.split(":")[1]);
    const stranger = await openStranger();
    const seen: number[] = [];
    sockets.onDatagram = (bytes) => seen.push(bytes.length);
    for (const length of [0, 1, PACKET_BYTES - 1, PACKET_BYTES + 1, 9_000, PACKET_BYTES]) {
      stranger.send(new Uint8Array(length), port, "127.0.0.1");
    }
    await settled(() => sockets.statistics.datagramsReceived === 6);
    expect(seen).toEqual([PACKET_BYTES]);
    expect(sockets.statistics.datagramsDropped).toBe(5);
  });

  it("look at a bounded share of a flood until the next tick", async () => {
    const sockets = await openSockets(["127.0.0.1:0"]);
    const port = Number(sockets.bound[0]!.split(":")[1]);
    const stranger = await openStranger();
    let seen = 0;
    sockets.onDatagram = () => {
      seen += 1;
    };
    const packet = new Uint8Array(PACKET_BYTES);
    // In portions that the kernel's buffer holds, each awaited.
    for (let sent = 0; sent < DATAGRAMS_PER_TICK_MAX + 96; sent += 32) {
      for (let i = 0; i < 32; i += 1) stranger.send(packet, port, "127.0.0.1");
      await settled(() => sockets.statistics.datagramsReceived === sent + 32);
    }
    expect(seen).toBe(DATAGRAMS_PER_TICK_MAX);
    expect(sockets.statistics.datagramsDropped).toBe(96);

    sockets.renewShare();
    stranger.send(packet, port, "127.0.0.1");
    await settled(() => seen === DATAGRAMS_PER_TICK_MAX + 1);
  });

  it("survive sends that the kernel refuses, and count them", async () => {
    const sockets = await openSockets(["127.0.0.1:0"]);
    const packet = new Uint8Array(PACKET_BYTES);
    for (const to of ["127.0.0.1:0", "[::1]:7946", "192.0.2.1:7946", "255.255.255.255:7946"]) {
      sockets.send(packet, to);
    }
    const { statistics } = sockets;
    await settled(() => {
      const { packetsSent, sendErrors } = sockets.statistics;
      return packetsSent + sendErrors === 4;
    });
    expect(sockets.statistics.sendErrors).toBeGreaterThanOrEqual(2);
    expect(statistics.datagramsReceived).toBe(0);
  });

  it("say what to do when the port is taken", async () => {
    const first = await openSockets(["127.0.0.1:0"]);
    const second = UdpSockets.open([first.bound[0]!]);
    await expect(second).rejects.toThrow(ListenError);
    await expect(second).rejects.toThrow(/another program does.*--listen/);
  });

  it("say what to do when the address is not this machine's", async () => {
    await expect(UdpSockets.open(["192.0.2.77:0"])).rejects.toThrow(/no such address/);
  });
});
