import { describe, expect, it } from "vitest";
import type { ClaimedInstance } from "../../src/daemon/cluster-view.ts";
import { MeshDeclarations } from "../../src/daemon/declared-services.ts";
import type { MemberView, ServiceView } from "../../src/node/interface.ts";
import type { Persona, ServicePort } from "../../src/schema/service.ts";
import { SERVICE_DEFAULTS } from "../../src/schema/service-defaults.ts";

const TCP = 6;
const UDP = 17;

function service(name: string, persona: Persona, ports: readonly ServicePort[]): ServiceView {
  const spec = { ...SERVICE_DEFAULTS, name, exec: "/bin/true", persona, ports };
  return { spec } as unknown as ServiceView;
}

function instance(endpoints: readonly string[]): ClaimedInstance {
  return { member: { info: { endpoints } } as unknown as MemberView } as ClaimedInstance;
}

/** A cluster of one kind of instances. */
class SmallView {
  version = 1;
  read: ServiceView[];
  readonly #instances: readonly ClaimedInstance[];

  constructor(services: ServiceView[], instances: readonly ClaimedInstance[]) {
    this.read = services;
    this.#instances = instances;
  }

  *services(): Generator<ServiceView> {
    yield* this.read;
  }

  instancesOf(): ClaimedInstance[] {
    return [...this.#instances];
  }
}

describe("what the mesh declares to the router", () => {
  const voice = service("voice", "voip", [
    { port: 5060, protocol: "udp", name: "sip" },
    { port: 8443, protocol: "tcp", name: "" },
  ]);
  const silent = service("web", "unknown", [{ port: 80, protocol: "tcp", name: "" }]);
  const nodes = [instance(["192.0.2.1:7946", "[2001:db8::1]:7946"]), instance(["192.0.2.2:7946"])];

  it("is the persona of each service that has one, at each address it runs on", () => {
    const declared = new MeshDeclarations(new SmallView([voice, silent], nodes));
    declared.refresh(0);
    expect(declared.personaAt(UDP, "192.0.2.1", 5060)).toBe("voip");
    expect(declared.personaAt(UDP, "2001:db8::1", 5060)).toBe("voip");
    expect(declared.personaAt(TCP, "192.0.2.2", 8443)).toBe("voip");
    expect(declared.personaAt(TCP, "192.0.2.2", 5060)).toBeNull();
    expect(declared.personaAt(TCP, "192.0.2.1", 80)).toBeNull();
    expect(declared.personaAt(UDP, "192.0.2.9", 5060)).toBeNull();
  });

  it("follows the cluster's news, at a pace of its own", () => {
    const view = new SmallView([voice], nodes);
    const declared = new MeshDeclarations(view);
    declared.refresh(0);
    view.read = [];
    view.version = 2;
    declared.refresh(5_000);
    expect(declared.personaAt(UDP, "192.0.2.1", 5060)).toBe("voip");
    declared.refresh(10_000);
    expect(declared.personaAt(UDP, "192.0.2.1", 5060)).toBeNull();
  });

  it("is bounded, whatever is deployed", () => {
    const ports = Array.from({ length: 16 }, (_, index) => {
      return { port: 1_000 + index, protocol: "tcp", name: "" } as const;
    });
    const many = Array.from({ length: 1_000 }, (_, index) =>
      service(
        `s${index}`,
        "bulk",
        ports.map((each) => ({ ...each, port: each.port + index * 16 })),
      ),
    );
    const declared = new MeshDeclarations(new SmallView(many, nodes));
    declared.refresh(0);
    expect(declared.personaAt(TCP, "192.0.2.1", 1_000)).toBe("bulk");
    expect(declared.personaAt(TCP, "192.0.2.1", 1_000 + 15_999)).toBeNull();
  });
});
