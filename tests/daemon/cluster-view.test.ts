import { describe, expect, it } from "vitest";
import { ClusterView } from "../../src/daemon/cluster-view.ts";
import { ClusterDirectory } from "../../src/daemon/dns-directory.ts";
import type { MemberView, ServiceView } from "../../src/node/interface.ts";
import type { Claim } from "../../src/schema/node-info.ts";
import type { ServiceSpec } from "../../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";

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
    hasSession: false,
  };
}

function service(name: string, spec: Partial<ServiceSpec> = {}): ServiceView {
  return {
    key: "00000007000000aa",
    claimKey: 7,
    spec: { ...SERVICE_DEFAULTS, name, exec: "/bin/true", ...spec },
    stamp: 1,
    author: "0".repeat(16),
    generation: 99,
  };
}

/** A replica whose table is what the test says. */
function setUp(services: ServiceView[], members: MemberView[]) {
  const table = { version: 1, services, members, reads: 0 };
  const view = new ClusterView({
    nodeId: members[0]!.nodeId,
    get version() {
      return table.version;
    },
    members: () => {
      table.reads += 1;
      return [...table.members];
    },
    services: () => [...table.services],
  });
  view.refresh(1_000, true);
  return { view, table };
}

const healthy: Claim = { service: 7, generation: 99, state: "healthy" };
const starting: Claim = { service: 7, generation: 99, state: "starting" };

describe("the cluster's view", () => {
  it("places services on members that live", () => {
    const members = [
      member(1, "alive"),
      member(2, "suspect"),
      member(3, "dead"),
      member(4, "left"),
    ];
    const { view } = setUp([service("web", { replicas: "all" })], members);
    expect([...view.ownersOf("web")].sort()).toEqual([members[0]!.nodeId, members[1]!.nodeId]);
    expect(view.ownersOf("nothing")).toEqual([]);
  });

  it("places a singleton only while more than half of the roster is surely alive", () => {
    const singleton = [service("web", { singleton: true })];
    const alive = [member(1, "alive"), member(2, "alive"), member(3, "dead")];
    expect(setUp(singleton, alive).view.ownersOf("web")).toHaveLength(1);
    const doubtful = [member(1, "alive"), member(2, "suspect"), member(3, "dead")];
    expect(setUp(singleton, doubtful).view.ownersOf("web")).toEqual([]);
    const left = [member(1, "alive"), member(2, "left"), member(3, "left")];
    expect(setUp(singleton, left).view.ownersOf("web")).toEqual([]);
  });

  it("shows what living members claim to run", () => {
    const members = [member(1, "alive", [healthy]), member(2, "dead", [healthy])];
    const { view } = setUp([service("web")], members);
    const instances = view.instancesOf(service("web"));
    expect(instances.map((instance) => instance.member.nodeId)).toEqual([members[0]!.nodeId]);
  });

  it("is read again when the table changed, at most twice a second unless somebody asks", () => {
    const { view, table } = setUp([], [member(1, "alive")]);
    view.refresh(1_100);
    expect(table.reads).toBe(1);
    table.version += 1;
    view.refresh(1_200);
    expect(table.reads).toBe(1);
    view.refresh(1_200, true);
    expect(table.reads).toBe(2);
    table.version += 1;
    view.refresh(1_700);
    expect(table.reads).toBe(3);
    view.refresh(60_000);
    expect(table.reads).toBe(4);
  });

  it("tells of each member whose status is another now", () => {
    const { view, table } = setUp([], [member(1, "alive"), member(2, "alive")]);
    const told: string[] = [];
    view.onMemberStatus = (nodeId, status) => told.push(`${nodeId.slice(-1)} ${status}`);
    table.members = [member(1, "alive"), member(2, "dead"), member(3, "alive")];
    table.version += 1;
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
  const directory = new ClusterDirectory(setUp([service("web")], members).view);

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
