// What flows are for decides their tin, in both directions and both families, in the kernel's own
// counters; and the marks it takes leave everybody else's bits alone.

import assert from "node:assert/strict";
import { markOfDscp } from "../../../src/flow/act/ours.ts";
import { type Direction, TINS, type Tin } from "../../../src/flow/interface.ts";
import { FLOW_MACHINES, FlowRouter, IFB } from "../flow-guest.ts";
import { labScript } from "../script.ts";
import { inNamespace, ROUTER, SERVER } from "../topology.ts";

const LINE = { downloadKbit: 30_000, uploadKbit: 10_000 };
const SETTINGS = `download: { min: 2000, base: 20000, max: 40000 }
upload: { min: 1000, base: 8000, max: 12000 }`;

/** Each way, for so long: 200 bytes at 200 kbit/s are 125 packets a second. */
const TALK_SECONDS = 8;
const TALK_PACKETS_MIN = 300;
/** While a flow is not recognised yet it is Best Effort. */
const TIN_SHARE_MIN = 0.6;

const SERVERS = { IPv4: SERVER.address4, IPv6: SERVER.address6 } as const;

/** A port of the topology's iperf3 servers that carries no load. */
const TALK_PORT = 5203;

/** The last one's rule stays. */
const TINS_OF_PERSONAS = [
  ["torrent", "bulk"],
  ["streaming", "video"],
  ["voip", "voice"],
] as const;

/** What the other table of this test puts in, and expedited forwarding. */
const VOICE_MARK = (markOfDscp(46) | 0x301) >>> 0;

/** It is stopped by name: an idle guest's clock runs hours ahead while the host makes it wait. */
const OLDER_SECONDS = 86_400;

function talkCommand(server: string, seconds: number): string {
  return `iperf3 -u --bidir -b 200k -l 200 -t ${seconds} -c ${server} -p ${TALK_PORT}`;
}

type TinPackets = Readonly<Record<Tin, number>>;

export default labScript({
  title: "personas become tins, both ways, in IPv4 and IPv6",
  machines: FLOW_MACHINES,
  myco: true,
  reuse: true,
  limitSeconds: 2400,
  async test({ machines: { guest }, trial, note }) {
    const router = new FlowRouter(guest);
    const tinPackets = async (direction: Direction): Promise<TinPackets> => {
      const root = await router.rootQdisc(direction === "upload" ? ROUTER.wan : IFB);
      const counts = root?.tins?.map(({ sent_packets }) => sent_packets) ?? [];
      return Object.fromEntries(TINS.map((tin, index) => [tin, counts[index] ?? 0])) as TinPackets;
    };
    /** Talks over UDP both ways. @returns the packets each tin got meanwhile */
    const talk = async (server: string): Promise<Record<Direction, TinPackets>> => {
      const before = { upload: await tinPackets("upload"), download: await tinPackets("download") };
      await guest.succeed(inNamespace("client", talkCommand(server, TALK_SECONDS)));
      const gained = async (direction: Direction): Promise<TinPackets> => {
        const after = await tinPackets(direction);
        const entries = TINS.map((tin) => [tin, after[tin] - before[direction][tin]]);
        return Object.fromEntries(entries) as TinPackets;
      };
      return { upload: await gained("upload"), download: await gained("download") };
    };
    const assertMostIn = (tin: Tin, packets: Record<Direction, TinPackets>): void => {
      for (const direction of ["upload", "download"] as const) {
        const counts = packets[direction];
        const all = TINS.reduce((sum, each) => sum + counts[each], 0);
        note(`${direction}: ${JSON.stringify(counts)}`);
        assert.ok(all >= TALK_PACKETS_MIN, `${direction}: ${all} packets`);
        assert.ok(counts[tin] >= TIN_SHARE_MIN * all, `${direction}: ${JSON.stringify(counts)}`);
      }
    };

    await router.build(LINE);
    await router.succeed(
      "nft 'table inet others { chain foreign { type filter hook forward priority -100; ct mark set ct mark | 0x00000301; }; }'",
    );

    const olderCall = inNamespace("client", talkCommand(SERVER.address4, OLDER_SECONDS));
    await guest.succeed(`systemd-run --quiet --collect --unit=older-call ${olderCall}`);
    await router.start({ flow: SETTINGS });
    await trial("a call from before the daemon is recognised and gets its tin", async () => {
      const rule = await router.myco(`persona add voip --port udp/${TALK_PORT}`);
      const voicePackets = async () => (await tinPackets("upload")).voice;
      await guest.waitUntilSucceeds(
        inNamespace("router", `conntrack -L -p udp --dport ${TALK_PORT} | grep mark=${VOICE_MARK}`),
      );
      const before = await voicePackets();
      await guest.succeed("sleep 4");
      const gained = (await voicePackets()) - before;
      note(`upload: ${gained} packets of Voice in 4 s`);
      assert.ok(gained >= TALK_PACKETS_MIN, `${gained} packets of Voice`);
      await router.myco(`persona delete ${/^rule (\d+)/.exec(rule)?.[1]}`);
      await guest.succeed("systemctl stop older-call");
    });

    for (const [persona, tin] of TINS_OF_PERSONAS) {
      const rule = await router.myco(`persona add ${persona} --port udp/${TALK_PORT}`);
      for (const [family, server] of Object.entries(SERVERS)) {
        await trial(`${persona} is in the ${tin} tin both ways, ${family}`, async () => {
          assertMostIn(tin, await talk(server));
        });
      }
      const number = /^rule (\d+)/.exec(rule)?.[1];
      if (persona !== "voip") await router.myco(`persona delete ${number}`);
    }

    await trial("the marks of others are as they were", async () => {
      for (const family of ["ipv4", "ipv6"]) {
        const rows = await router.succeed(`conntrack -L -f ${family} -p udp --dport ${TALK_PORT}`);
        const marks = [...rows.matchAll(/mark=(\d+)/g)].map(([, mark]) => Number(mark));
        assert.ok(marks.length > 0);
        for (const mark of marks) assert.equal(mark & 0x01ff_ffff, 0x301);
        const ours = marks.map((mark) => mark >>> 26);
        assert.ok(ours.includes(46), `expedited forwarding is among ${ours}`);
      }
    });

    await trial("a policy throttles a persona at once", async () => {
      await router.myco("flow policy set voip throttle");
      assertMostIn("bulk", await talk(SERVER.address6));
    });

    await trial("the daemon tells the flows it marks", async () => {
      const { flows } = await router.get<{ flows: { persona: string; hostname: string | null }[] }>(
        "/flow/flows?limit=50",
      );
      assert.ok(flows.some(({ persona }) => persona === "voip"));
    });

    await trial("at its end the rules of others are all that is left", async () => {
      await router.stop();
      const ruleset = await router.succeed("nft list tables");
      assert.doesNotMatch(ruleset, /mycoflow/);
      assert.match(ruleset, /inet others/);
    });

    await router.remove();
  },
});
