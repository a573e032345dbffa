# Myco as a package: the bundle, and the programs the flow plane calls, without node_modules.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  makeWrapper,
  nodejs,
  conntrack-tools,
  fping,
  iproute2,
  nftables,
  tcpdump,
}:
let
  inherit (lib.importJSON ./package.json) version;

  # As in the bundle's first line: what keeps the daemon within 64 MB.
  environment = {
    MALLOC_ARENA_MAX = "1";
    UV_THREADPOOL_SIZE = "1";
  };
  nodeFlags = [
    "--max-old-space-size=24"
    "--max-semi-space-size=1"
    "--single-threaded"
    "--v8-pool-size=0"
  ];
in
buildNpmPackage {
  pname = "myco";
  inherit version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./LICENSE
      ./demo
      ./package.json
      ./package-lock.json
      ./scripts
      ./src
    ];
  };

  npmDeps = importNpmLock { npmRoot = ./.; };
  npmConfigHook = importNpmLock.npmConfigHook;
  nativeBuildInputs = [ makeWrapper ];

  # The build looks here whether the dependencies are those of the lock file; they are.
  preBuild = ''
    printf %s "$(sha256sum <package-lock.json | cut --delimiter=' ' --fields=1)" >node_modules/.myco-lock-hash
  '';

  postBuild = ''
    node --input-type=module --eval '
      import { build } from "esbuild";
      import { bundleOptions } from "./scripts/build.mjs";
      await build({ ...bundleOptions, entryPoints: ["demo/main.ts"], outfile: "dist/demo.mjs" });
    '
  '';

  # The bundle's first line names no interpreter of the store: the wrapper does.
  dontPatchShebangs = true;
  installPhase = ''
    runHook preInstall
    install -D --mode=644 --target-directory=$out/lib/myco/dist dist/myco.mjs dist/demo.mjs
    install -D --mode=644 --target-directory=$out/lib/myco/demo demo/run.mjs
    install -D --mode=644 --target-directory=$out/lib/myco/demo/web demo/web/*
    install -D --mode=644 --target-directory=$out/share/doc/myco LICENSE
    makeWrapper ${lib.getExe nodejs} $out/bin/myco-demo --add-flags $out/lib/myco/demo/run.mjs
    makeWrapper ${lib.getExe nodejs} $out/bin/myco \
      --add-flags "${lib.concatStringsSep " " nodeFlags} $out/lib/myco/dist/myco.mjs" \
      ${lib.concatStringsSep " " (lib.mapAttrsToList (name: value: "--set ${name} ${value}") environment)} \
      --prefix PATH : ${
        lib.makeBinPath [
          conntrack-tools
          fping
          iproute2
          nftables
          tcpdump
        ]
      }
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    $out/bin/myco version
    $out/bin/myco config check >/dev/null
    runHook postInstallCheck
  '';

  meta = {
    description = "One daemon for a router that keeps its line fast and a handful of machines that act as one";
    license = lib.licenses.asl20;
    mainProgram = "myco";
    platforms = lib.platforms.linux;
  };
}
