# As much of nixpkgs as the flakes of `myco init` use, built with nothing but the machine's shell.
# Each function refuses arguments that the real one does not have.
{
  outputs =
    { self }:
    let
      genAttrs =
        names: make:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = make name;
          }) names
        );
      packagesFor =
        system:
        let
          program = name: { inherit name system; outPath = "/usr"; };
          make =
            { name, script, src ? null }:
            derivation {
              inherit name system src;
              builder = "/bin/sh";
              PATH = "/usr/bin:/bin";
              args = [ "-euc" script ];
            };
          mkDerivation =
            { pname, version, src, buildInputs ? [ ], installPhase }:
            assert builtins.all (input: input ? outPath) buildInputs;
            make {
              name = "${pname}-${version}";
              inherit src;
              script = "cd $src; ${installPhase}";
            };
        in
        {
          inherit system;
          stdenvNoCC = { inherit mkDerivation; };
          buildGoModule =
            { pname, version, src, vendorHash }:
            mkDerivation {
              inherit pname version src;
              installPhase = "test -e go.mod; install -D -m 755 main.go $out/bin/${pname}";
            };
          runCommand =
            name: { nativeBuildInputs ? [ ] }: script:
            assert builtins.all (input: input ? outPath) nativeBuildInputs;
            make { inherit name script; };
          python3 = program "python3";
          nodejs = program "nodejs";
          curl = program "curl";
        };
    in
    {
      lib = { inherit genAttrs; };
      legacyPackages = genAttrs [ "x86_64-linux" "aarch64-linux" ] packagesFor;
    };
}
