// What `myco init` writes for every language: the manifest, the flake around a language's package,
// and its lock.

export interface Project {
  readonly name: string;
  readonly port: number;
}

/** What a language adds. */
export interface Template {
  /** A Nix expression in the scope of `pkgs` and `name`. */
  readonly package: string;
  /** What the manifest says beside name, flake, program, port and health check. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** The program, by file name. */
  program(project: Project): Readonly<Record<string, string>>;
}

/** Where programs come from: the same pin as the project's own flake.lock. */
const NIXPKGS = {
  ref: "nixos-26.05",
  rev: "b18a4b905f8d028dc4476412e6d6891728695379",
  narHash: "sha256-gwrPcFf/rDjHPaVflbDZ040ZDmBTRj/7+s8ZmE2SaIM=",
  lastModified: 1787101114,
};

/** All files of a new project, by name. */
export function projectFiles(template: Template, project: Project): ReadonlyMap<string, string> {
  return new Map([
    ["flake.nix", flakeText(template, project)],
    ["flake.lock", lockText()],
    ["myco.json", manifestText(template, project)],
    ...Object.entries(template.program(project)),
  ]);
}

function manifestText({ manifest }: Template, { name, port }: Project): string {
  const service = {
    name,
    flake: ".",
    exec: `bin/${name}`,
    ports: [{ port, name: "http" }],
    health: { http: "/health" },
    ...manifest,
  };
  return `${JSON.stringify(service, null, 2)}\n`;
}

/** The check starts what was built, as a node would, and asks what the health check asks. */
function flakeText(template: Template, { name, port }: Project): string {
  return `{
  description = "${name}";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/${NIXPKGS.ref}";

  outputs =
    { self, nixpkgs }:
    let
      name = "${name}";
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.\${system});
    in
    {
      packages = forEach (pkgs: {
        default = ${indent(template.package, 8)};
      });

      checks = forEach (pkgs: {
        health =
          pkgs.runCommand "\${name}-health"
            {
              nativeBuildInputs = [ pkgs.curl ];
            }
            ''
              PORT=${port} \${self.packages.\${pkgs.system}.default}/bin/\${name} &
              curl --fail --retry 30 --retry-connrefused --retry-delay 1 http://127.0.0.1:${port}/health
              touch $out
            '';
      });
    };
}
`;
}

function lockText(): string {
  const { ref, rev, narHash, lastModified } = NIXPKGS;
  const repository = { owner: "NixOS", repo: "nixpkgs" };
  const locked = { lastModified, narHash, ...repository, rev, type: "github" };
  const original = { owner: repository.owner, ref, repo: repository.repo, type: "github" };
  const nodes = { nixpkgs: { locked, original }, root: { inputs: { nixpkgs: "nixpkgs" } } };
  return `${JSON.stringify({ nodes, root: "root", version: 7 }, null, 2)}\n`;
}

function indent(text: string, columns: number): string {
  return text.trim().replaceAll("\n", `\n${" ".repeat(columns)}`);
}
