# The part of nixpkgs' lib that the project uses, under the same names and with the same meaning.
let
  modules = import ./modules.nix lib;
  types = import ./types.nix lib;

  lib = builtins // {
    inherit types;
    inherit (modules)
      evalModules
      mergeDefinitions
      mkAfter
      mkBefore
      mkDefault
      mkForce
      mkIf
      mkMerge
      mkOption
      mkOptionDefault
      mkOrder
      mkOverride
      showOption
      ;

    id = value: value;
    flip =
      f: a: b:
      f b a;
    fix =
      f:
      let
        x = f x;
      in
      x;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: attrs: if condition then attrs else { };
    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    nameValuePair = name: value: { inherit name value; };
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (builtins.attrNames attrs);
    mapAttrs' = f: attrs: builtins.listToAttrs (lib.mapAttrsToList f attrs);
    filterAttrs =
      keep: attrs:
      builtins.listToAttrs (
        map (name: lib.nameValuePair name attrs.${name}) (
          builtins.filter (name: keep name attrs.${name}) (builtins.attrNames attrs)
        )
      );
    filterAttrsRecursive =
      keep: attrs:
      builtins.mapAttrs (_: value: if lib.isPlainAttrs value then lib.filterAttrsRecursive keep value else value) (
        lib.filterAttrs keep attrs
      );
    isPlainAttrs = value: builtins.isAttrs value && !(lib.isDerivation value);
    isDerivation = value: builtins.isAttrs value && (value.type or null) == "derivation";
    imap1 = f: list: builtins.genList (n: f (n + 1) (builtins.elemAt list n)) (builtins.length list);
    last = list: builtins.elemAt list (builtins.length list - 1);
    unique = builtins.foldl' (list: item: if builtins.elem item list then list else list ++ [ item ]) [ ];
    concatStrings = builtins.concatStringsSep "";
    concatMapStringsSep =
      separator: f: list:
      builtins.concatStringsSep separator (map f list);
    concatLines = lib.concatMapStringsSep "" (line: "${line}\n");
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        start = builtins.stringLength text - builtins.stringLength suffix;
      in
      start >= 0 && builtins.substring start (-1) text == suffix;
    removePrefix =
      prefix: text:
      if lib.hasPrefix prefix text then
        builtins.substring (builtins.stringLength prefix) (-1) text
      else
        text;
    splitString = separator: text: builtins.filter builtins.isString (builtins.split (lib.escapeRegex separator) text);
    escapeRegex = builtins.replaceStrings [ "[" "]" "." "*" "+" "?" "(" ")" "{" "}" "|" "^" "$" "\\" ] [
      "\\["
      "\\]"
      "\\."
      "\\*"
      "\\+"
      "\\?"
      "\\("
      "\\)"
      "\\{"
      "\\}"
      "\\|"
      "\\^"
      "\\$"
      "\\\\"
    ];
    toInt =
      text:
      if builtins.match "-?(0|[1-9][0-9]*)" text == null then
        throw "toInt: ${builtins.toJSON text} is no whole number"
      else
        builtins.fromJSON text;
    escapeShellArg = value: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";
    escapeShellArgs = lib.concatMapStringsSep " " lib.escapeShellArg;
    importJSON = path: builtins.fromJSON (builtins.readFile path);

    makeBinPath = lib.concatMapStringsSep ":" (package: "${package}/bin");
    getExe = package: lib.getExe' package (package.meta.mainProgram or package.pname or package.name);
    getExe' = package: program: "${package}/bin/${program}";

    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    mkEnableOption =
      what:
      lib.mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };

    licenses.asl20.spdxId = "Apache-2.0";
    platforms.linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];

    fileset = {
      unions = sets: {
        _type = "fileset";
        paths = builtins.concatMap (
          set: if builtins.isAttrs set && (set._type or null) == "fileset" then set.paths else [ set ]
        ) sets;
      };
      toSource =
        { root, fileset }:
        let
          missing = builtins.filter (path: !(builtins.pathExists path)) fileset.paths;
        in
        if missing != [ ] then
          throw "lib.fileset: the path ${toString (builtins.head missing)} does not exist"
        else
          { outPath = toString root; };
    };
  };
in
lib
