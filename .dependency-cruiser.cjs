// Holds the rooms of docs/architecture.md: a lower room never imports a higher one,
// and only the rooms named below touch the operating system.

/** From the lowest to the highest. A room may import itself and the rooms before it. */
const rooms = [
  "kernel",
  "io",
  "schema",
  "db",
  "sync",
  "net",
  "node",
  "flow",
  "engine",
  "api",
  "daemon",
  "cli",
];

/** Rooms that decide: pure code, whose clock, disk, network and randomness are passed in. */
const pureRooms = ["kernel", "schema", "db", "sync", "net", "node", "flow"];

/** Engine files that decide are pure too; those that run children are named here. */
const engineFilesWithTheSystem = [
  "durable-file.ts",
  "embedded.ts",
  "health-probe.ts",
  "note-folder.ts",
  "service-log.ts",
  "systemctl.ts",
];

const upward = rooms.slice(0, -1).map((room, index) => ({
  name: `${room}-imports-no-higher-room`,
  severity: "error",
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${rooms.slice(index + 1).join("|")}|main)` },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "kernel-imports-nothing",
      severity: "error",
      from: { path: "^src/kernel/" },
      to: { pathNot: "^src/kernel/" },
    },
    {
      name: "deciding-rooms-stay-off-the-system",
      comment: "Only src/io and the outermost rooms import node:*",
      severity: "error",
      from: { path: `^src/(${pureRooms.join("|")})/` },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "deciding-rooms-get-io-as-ports",
      severity: "error",
      from: { path: `^src/(${pureRooms.join("|")})/` },
      to: { path: "^src/io/" },
    },
    {
      name: "engine-decisions-stay-off-the-system",
      severity: "error",
      from: { path: "^src/engine/", pathNot: `/(${engineFilesWithTheSystem.join("|")})$` },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "product-imports-no-simulator-or-test",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(sim|tests|bench)/" },
    },
    {
      name: "simulator-imports-no-test",
      severity: "error",
      from: { path: "^sim/" },
      to: { path: "^(tests|bench)/" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-unresolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, pathNot: "\\.(test|d)\\.ts$|^src/main\\.ts$|^(sim|bench|tests)/" },
      to: {},
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node"],
    },
  },
};
