// The systemd engine with its real surroundings: systemctl, nix, the journal, the audit log.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../engine/audit.ts";
import { deploymentHash, type HashText } from "../engine/audit-line.ts";
import { BackgroundRunner } from "../engine/background.ts";
import { checkArguments } from "../engine/confined-check.ts";
import type { MakeRoom } from "../engine/durable-file.ts";
import type { Engine, OnInstanceState } from "../engine/engine.ts";
import { probe } from "../engine/health-probe.ts";
import { Journal } from "../engine/journal.ts";
import { NixBuilder } from "../engine/nix.ts";
import { FileNotes } from "../engine/note-folder.ts";
import type { BuildProgress, LockedFlake } from "../engine/ports.ts";
import { LIFE_TIMING_DEFAULTS } from "../engine/service-life.ts";
import type { Version } from "../engine/service-note.ts";
import { Systemctl } from "../engine/systemctl.ts";
import { compileUnits, readUnitNote, unitNameOf } from "../engine/systemd.ts";
import { SystemdEngine, type UnitCompiler } from "../engine/systemd-engine.ts";
import { RealAppendFile } from "../io/append-file.ts";
import { SystemChildren } from "../io/children.ts";
import { RealLinkFolder } from "../io/link-folder.ts";
import { RealSystemFiles } from "../io/system-files.ts";
import type { Crypto } from "../kernel/ports.ts";
import type { Children } from "../kernel/system-ports.ts";
import type { Configuration } from "../schema/configuration.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { HealthCheck, ServiceSpec } from "../schema/service.ts";
import type { EventLog } from "./event-log.ts";
import { nixEnvironment } from "./nix-environment.ts";

export interface SystemdSetupOptions {
  readonly settings: Configuration["engine"];
  readonly nodeId: NodeId;
  /** The IP address services are asked to listen on, and are probed at. */
  readonly address: string;
  readonly crypto: Crypto;
  readonly events: EventLog;
  readonly makeRoom: MakeRoom;
  /** Unix time. */
  readonly nowMs: () => number;
  /** Who deployed a service. */
  readonly authorOf: (service: string) => NodeId | null;
  readonly onProgress: (service: string, progress: BuildProgress) => void;
}

export class SystemdSetup {
  readonly engine: Engine;
  readonly #options: SystemdSetupOptions;
  readonly #children: Children;
  readonly #files = new RealSystemFiles();
  readonly #builder: NixBuilder;
  readonly #audit: AuditLog;
  readonly #hashText: HashText;
  readonly #units: UnitCompiler;
  #hasTidied = false;

  /** @throws NoSystemdError where units cannot be written */
  constructor(options: SystemdSetupOptions, onState: OnInstanceState) {
    const { settings, crypto, nowMs } = options;
    this.#options = options;
    this.#children = new SystemChildren({ stateDir: join(settings.workDir, "engine") });
    this.#builder = this.#createBuilder();
    this.#hashText = (text) => Buffer.from(crypto.sha256(Buffer.from(text))).toString("hex");
    this.#audit = new AuditLog({
      file: new RealAppendFile(settings.auditLog),
      hashText: this.#hashText,
      nowMs,
      onProblem: (problem) => this.#auditProblem(problem),
    });
    this.#units = this.#createCompiler();
    this.engine = this.#createEngine(onState);
  }

  /** Resolves the flake of a deployment. */
  lock(flake: string): Promise<LockedFlake | { readonly error: string }> {
    return this.#builder.lock(flake);
  }

  /** Once a tick. @param monotonicMs of the loop */
  tick(monotonicMs: number): void {
    this.#builder.tick(monotonicMs);
    this.#audit.tick(monotonicMs);
    if (this.#hasTidied || !this.engine.ready) return;
    this.#hasTidied = true;
    this.#builder.keepOnlyServices(new Set(this.engine.list().map(({ name }) => name)));
  }

  #createBuilder(): NixBuilder {
    const { workDir, buildTimeoutMs } = this.#options.settings;
    const homeDir = join(workDir, "nix");
    mkdirSync(homeDir, { recursive: true, mode: 0o700 });
    const environment = nixEnvironment(process.env, homeDir);
    return new NixBuilder({
      background: new BackgroundRunner({
        children: this.#children,
        runner: "systemd",
        environment,
      }),
      files: this.#files,
      roots: new RealLinkFolder(join(workDir, "roots")),
      homeDir,
      buildTimeoutMs,
    });
  }

  #createCompiler(): UnitCompiler {
    const { nodeId, address, settings } = this.#options;
    const { secretsDir } = settings;
    return {
      compile: ({ spec, generation, storePath }) =>
        compileUnits(spec, generation, { storePath, nodeId, address, secretsDir }),
      origin: readUnitNote,
    };
  }

  #createEngine(onState: OnInstanceState): SystemdEngine {
    const { settings, makeRoom, onProgress } = this.#options;
    return new SystemdEngine(
      {
        manager: new Systemctl({
          children: this.#children,
          unitFolder: null,
          isOurs: (text) => readUnitNote(text) !== null,
          makeRoom,
        }),
        builder: this.#builder,
        notes: new FileNotes(join(settings.workDir, "units"), makeRoom),
        units: this.#units,
        logs: new Journal(this.#children),
        timing: LIFE_TIMING_DEFAULTS,
        probe: (version, check, onProbed) => this.#probe(version, check, onProbed),
        missingSecret: (spec) => this.#missingSecret(spec),
        onLive: (version, units) => this.#wentLive(version, units),
        onProgress,
      },
      onState,
    );
  }

  #probe(
    version: Version,
    check: HealthCheck,
    onProbed: (problem: string | null) => void,
  ): () => void {
    const { address } = this.#options;
    if (check.kind !== "exec") return probe(check, { address, cwd: "/", env: {} }, onProbed);
    return this.#runCheck(version, check, onProbed);
  }

  #runCheck(
    version: Version,
    { command, timeoutMs }: HealthCheck & { kind: "exec" },
    onProbed: (problem: string | null) => void,
  ): () => void {
    let isWanted = true;
    const unit = this.#units.compile(version).get(unitNameOf(version.spec.name)) ?? "";
    const args = checkArguments(version, unit, command, timeoutMs);
    void this.#children
      .run("systemd-run", args, { timeoutMs: timeoutMs + 5_000 })
      .then((result) => {
        if (!isWanted) return;
        const words = `${result.stderr}${result.stdout}`.trim().slice(-200);
        onProbed(
          result.exitCode === 0 ? null : `the check ended with ${result.exitCode}: ${words}`,
        );
      });
    return () => {
      isWanted = false;
    };
  }

  #missingSecret({ secrets, environmentFiles }: ServiceSpec): string | null {
    const { secretsDir } = this.#options.settings;
    for (const name of [...secrets, ...environmentFiles]) {
      const path = join(secretsDir, name);
      if (this.#files.readText(path, 1) === null) return `create ${path} on this node`;
    }
    return null;
  }

  #wentLive(version: Version, units: ReadonlyMap<string, string>): Promise<void> {
    const { spec, generation, lock, storePath } = version;
    const service = spec.name;
    const entry = { service, generation, commit: lock, storePath };
    const message = `${service} went live`;
    this.#options.events.note("info", "service-live", message, { ...entry });
    return this.#audit.append({
      ...entry,
      author: this.#options.authorOf(service) ?? "",
      flake: spec.flake,
      deployment: deploymentHash(this.#hashText, entry, units),
    });
  }

  #auditProblem(problem: string | null): void {
    const { events } = this.#options;
    if (problem === null) events.note("info", "audit-recovered", "the audit log is written again");
    else events.note("error", "audit-failed", "the audit log cannot be written", { problem });
  }
}
