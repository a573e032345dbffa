import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClusterView } from "../../src/daemon/cluster-view.ts";
import { ClusterDirectory } from "../../src/daemon/dns-directory.ts";
import { PLACED_HERE_MAX } from "../../src/kernel/limits.ts";
import type { MemberView, ServiceView } from "../../src/node/interface.ts";
import { serviceViewAt } from "../../src/node/views.ts";
import { nodeIdOf } from "../../src/schema/node-id.ts";
import type { Claim } from "../../src/schema/node-info.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { encodeService } from "../../src/schema/service-codec.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";
import { readSlot, SLOT_KIND, serviceKey, writeSlot } from "../../src/schema/slot.ts";
import { STAMPS_PER_MS } from "../../src/sync/hybrid-clock.ts";
import { SlotTable } from "../../src/sync/slot-table.ts";
import { crypto, newRoot } from "./small-node.ts";

function member(id: number, status: MemberView["status"], claims: Claim[] = []): MemberView {
  return {
    nodeId: id.toString(16).padStart(16, "0"),
    self: id === 1,
    status,
    incarnation: 1,
    info: {
      certificate: new Uint8Array(),
      hostname: `host-${id}`,
      endpoints: [`192.0.2.${id}:7946`, `198.51.100.${id}:7946`, `[2001:db8::${id}]:7946`],
      arch: "x86_64",
      memoryMiB: 1_024,
      devices: [],
      labels: [],
      draining: false,
      claims,
      tombstoneAck: null,
    },
    zone: id,
    roles: ["member"],
    notAfterMs: 1e15,
    rttMs: null,
    drainedBy: null,
    hasSession: false,
  };
}

const author = newRoot();
const selfId = (1).toString(16).padStart(16, "0");

/** A replica whose table holds these services, and whose members are what the test says. */
function setUp(specs: Partial<ServiceSpec>[], members: MemberView[]) {
  const table = new SlotTable(2 * PLACED_HERE_MAX, 128 * 1_024);
  const replica = { nodeId: selfId, version: 1, members, reads: 0 };
  let stampMs = 1_000;
  const put = (spec: Partial<ServiceSpec>): void => {
    const full = { ...SERVICE_DEFAULTS, name: "web", exec: "/bin/true", ...spec };
    stampMs += 1;
    const record = writeSlot(
      {
        kind: SLOT_KIND.service,
        tombstone: false,
        key: serviceKey(crypto, full.name),
        stamp: stampMs * STAMPS_PER_MS,
        author: nodeIdOf(crypto, author.publicKey),
        body: encodeService(full),
      },
      author,
    );
    table.apply(readSlot(record)!, crypto.sha256(record));
    replica.version += 1;
  };
  const service = (name: string): ServiceView | null => {
    const slot = table.findKey(SLOT_KIND.service, serviceKey(crypto, name));
    return slot < 0 ? null : serviceViewAt(table, slot);
  };
  for (const spec of specs) put(spec);
  const view = new ClusterView({
    nodeId: selfId,
    table,
    get version() {
      return replica.version;
    },
    members: () => {
      replica.reads += 1;
      return [...replica.members];
    },
    service,
  });
  view.refresh(1_000, true);
  const ownersOf = (name: string): string[] => view.ownersOf(service(name)!);
  return { view, replica, table, put, service, ownersOf };
}

const claimKey = serviceKey(crypto, "web").high;
const healthy: Claim = { service: claimKey, generation: 99, state: "healthy" };
const starting: Claim = { service: claimKey, generation: 99, state: "starting" };

describe("the cluster's view", () => {
  it("places services on members that live", () => {
    const members = [
      member(1, "alive"),
      member(2, "suspect"),
      member(3, "dead"),
      member(4, "left"),
    ];
    const { ownersOf } = setUp([{ replicas: "all" }], members);
    expect(ownersOf("web").sort()).toEqual([members[0]!.nodeId, members[1]!.nodeId]);
  });

  it("places a singleton only while more than half of the roster is surely alive", () => {
    const singleton = [{ singleton: true }];
    const alive = [member(1, "alive"), member(2, "alive"), member(3, "dead")];
    expect(setUp(singleton, alive).ownersOf("web")).toHaveLength(1);
    const doubtful = [member(1, "alive"), member(2, "suspect"), member(3, "dead")];
    expect(setUp(singleton, doubtful).ownersOf("web")).toEqual([]);
    const left = [member(1, "alive"), member(2, "left"), member(3, "left")];
    expect(setUp(singleton, left).ownersOf("web")).toEqual([]);
  });

  it("keeps what is placed here, and nothing else, through every change of table and roster", () => {
    const change = fc.oneof(
      fc.record({ put: fc.nat({ max: 7 }), replicas: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ remove: fc.nat({ max: 7 }) }),
      fc.record({ member: fc.integer({ min: 2, max: 4 }), alive: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const { view, replica, table, put, service } = setUp([], [member(1, "alive")]);
        let nowMs = 1_000;
        for (const step of changes) {
          if ("put" in step) put({ name: `s${step.put}`, replicas: step.replicas });
          else if ("remove" in step) {
            const key = serviceKey(crypto, `s${step.remove}`);
            const slot = table.findKey(SLOT_KIND.service, key);
            if (slot >= 0) table.remove(slot);
          } else {
            const others = replica.members.filter(
              ({ nodeId }) => nodeId !== member(step.member, "alive").nodeId,
            );
            replica.members = [...others, member(step.member, step.alive ? "alive" : "dead")];
          }
          replica.version += 1;
          nowMs += 1_000;
          view.refresh(nowMs);
          const expected = view
            .serviceNames()
            .filter((name) => view.ownersOf(service(name)!).includes(selfId));
          const placed = view.placedHere();
          expect([...placed.keys()].sort()).toEqual(expected);
          for (const name of expected) expect(placed.get(name)).toEqual(view.deployed(name));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("places again a service whose very record comes back", () => {
    const { view, replica, table } = setUp([{}], [member(1, "alive")]);
    const [slot] = [...table.slots()];
    const record = table.record(slot!).slice();
    table.remove(slot!);
    replica.version += 1;
    view.refresh(2_000, true);
    expect(view.placedHere().size).toBe(0);
    table.apply(readSlot(record)!, crypto.sha256(record));
    replica.version += 1;
    view.refresh(3_000, true);
    expect([...view.placedHere().keys()]).toEqual(["web"]);
  });

  it("keeps a bounded number of what is placed here, and knows the rest when asked", () => {
    const specs = Array.from({ length: PLACED_HERE_MAX + 5 }, (_, i) => ({ name: `s${i}` }));
    const { view } = setUp(specs, [member(1, "alive")]);
    expect(view.placedHere().size).toBe(PLACED_HERE_MAX);
    expect(view.deployed(`s${PLACED_HERE_MAX + 4}`)?.owners).toEqual([selfId]);
  });

  it("shows what living members claim to run", () => {
    const members = [member(1, "alive", [healthy]), member(2, "dead", [healthy])];
    const { view, service } = setUp([{}], members);
    const instances = view.instancesOf(service("web")!);
    expect(instances.map((instance) => instance.member.nodeId)).toEqual([members[0]!.nodeId]);
  });

  it("is read again when the table changed, at most twice a second unless somebody asks", () => {
    const { view, replica } = setUp([], [member(1, "alive")]);
    view.refresh(1_100);
    expect(replica.reads).toBe(1);
    replica.version += 1;
    view.refresh(1_200);
    expect(replica.reads).toBe(1);
    view.refresh(1_200, true);
    expect(replica.reads).toBe(2);
    replica.version += 1;
    view.refresh(1_700);
    expect(replica.reads).toBe(3);
    view.refresh(60_000);
    expect(replica.reads).toBe(4);
  });

  it("tells of each member whose status is another now", () => {
    const { view, replica } = setUp([], [member(1, "alive"), member(2, "alive")]);
    const told: string[] = [];
    view.onMemberStatus = (nodeId, status) => told.push(`${nodeId.slice(-1)} ${status}`);
    replica.members = [member(1, "alive"), member(2, "dead"), member(3, "alive")];
    replica.version += 1;
    view.refresh(2_000);
    view.refresh(30_000);
    expect(told).toEqual(["2 dead", "3 alive"]);
  });
});

describe("the DNS directory", () => {
  const members = [
    member(1, "alive", [healthy]),
    member(2, "alive", [starting]),
    member(3, "dead", [healthy]),
  ];
  const directory = new ClusterDirectory(setUp([{}], members).view);

  it("names the nodes whose instance is healthy, by one address of each family", () => {
    expect(directory.service("web")).toEqual({
      ports: [],
      healthy: [{ nodeId: members[0]!.nodeId, addresses: ["192.0.2.1", "2001:db8::1"] }],
    });
    expect(directory.service("nothing")).toBeNull();
  });

  it("finds a living member by its id and by its host name", () => {
    expect(directory.node("host-2")?.nodeId).toBe(members[1]!.nodeId);
    expect(directory.node(members[1]!.nodeId)?.addresses).toEqual(["192.0.2.2", "2001:db8::2"]);
    expect(directory.node("host-3")).toBeNull();
  });
});
