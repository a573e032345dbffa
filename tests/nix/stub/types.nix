# The types of options: what a value must be, and how several definitions become one.
lib:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    elem
    filter
    head
    isAttrs
    isBool
    isInt
    isList
    isString
    ;
  modules = import ./modules.nix lib;
  inherit (modules) mergeDefinitions showOption;

  # One value, or several that are equal.
  mergeEqual =
    loc: definitions:
    let
      first = (head definitions).value;
      others = filter (definition: definition.value != first) definitions;
    in
    if others == [ ] then
      first
    else
      throw "The option `${showOption loc}' has conflicting definitions, in `${(head definitions).file}' and `${(head others).file}'.";

  mkType =
    {
      description,
      check,
      merge ? mergeEqual,
      item ? null,
    }:
    {
      _type = "option-type";
      inherit
        description
        check
        merge
        item
        ;
    };

  intBetween =
    min: max:
    mkType {
      description = "integer between ${toString min} and ${toString max} (both inclusive)";
      check = value: isInt value && value >= min && value <= max;
    };

  isStringLike = value: isString value || (isAttrs value && value ? outPath);

  types = {
    inherit mkType;

    unspecified = mkType {
      description = "unspecified value";
      check = _: true;
    };
    anything = types.unspecified // {
      description = "anything";
    };
    raw = types.unspecified // {
      description = "raw value";
    };
    bool = mkType {
      description = "boolean";
      check = isBool;
    };
    int = mkType {
      description = "signed integer";
      check = isInt;
    };
    float = mkType {
      description = "floating point number";
      check = builtins.isFloat;
    };
    str = mkType {
      description = "string";
      check = isString;
    };
    singleLineStr = mkType {
      description = "(optionally newline-terminated) single-line string";
      check = value: isString value && builtins.match "[^\n\r]*\n?" value != null;
    };
    lines = mkType {
      description = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: definitions: lib.concatMapStringsSep "\n" (definition: definition.value) definitions;
    };
    path = mkType {
      description = "absolute path";
      check = value: builtins.isPath value || (isStringLike value && lib.hasPrefix "/" (toString value));
    };
    package = mkType {
      description = "package";
      check = lib.isDerivation;
    };
    attrs = mkType {
      description = "attribute set";
      check = isAttrs;
      merge = _: builtins.foldl' (all: definition: all // definition.value) { };
    };
    port = intBetween 0 65535 // {
      description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)";
    };
    ints = {
      between = intBetween;
      unsigned = mkType {
        description = "unsigned integer, meaning >=0";
        check = value: isInt value && value >= 0;
      };
      positive = mkType {
        description = "positive integer, meaning >0";
        check = value: isInt value && value > 0;
      };
    };
    strMatching =
      pattern:
      mkType {
        description = "string matching the pattern ${pattern}";
        check = value: isString value && builtins.match pattern value != null;
      };
    enum =
      values:
      mkType {
        description = "one of ${lib.concatMapStringsSep ", " builtins.toJSON values}";
        check = value: elem value values;
      };
    nullOr =
      inner:
      mkType {
        description = "null or ${inner.description}";
        check = value: value == null || inner.check value;
        merge =
          loc: definitions:
          if all (definition: definition.value == null) definitions then
            null
          else
            inner.merge loc definitions;
      };
    either =
      a: b:
      mkType {
        description = "${a.description} or ${b.description}";
        check = value: a.check value || b.check value;
        merge =
          loc: definitions:
          let
            fits = type: all (definition: type.check definition.value) definitions;
          in
          if fits a then
            a.merge loc definitions
          else if fits b then
            b.merge loc definitions
          else
            mergeEqual loc definitions;
      };
    oneOf = alternatives: builtins.foldl' types.either (head alternatives) (builtins.tail alternatives);
    addCheck =
      type: check:
      type // { check = value: type.check value && check value; };
    listOf =
      inner:
      mkType {
        description = "list of ${inner.description}";
        check = isList;
        item = inner;
        merge =
          loc: definitions:
          concatMap (
            definition:
            lib.imap1 (
              index: value:
              (mergeDefinitions (loc ++ [ "[${toString index}]" ]) inner [
                {
                  inherit (definition) file;
                  inherit value;
                }
              ]).value
            ) definition.value
          ) definitions;
      };
    attrsOf =
      inner:
      mkType {
        description = "attribute set of ${inner.description}";
        check = isAttrs;
        item = inner;
        merge =
          loc: definitions:
          let
            sets = concatMap (
              definition: map (value: definition // { inherit value; }) (modules.pushDown definition.value)
            ) definitions;
            names = lib.unique (concatMap (set: attrNames set.value) sets);
            merged = lib.genAttrs names (
              name:
              mergeDefinitions (loc ++ [ name ]) inner (
                concatMap (
                  set:
                  lib.optional (set.value ? ${name}) {
                    inherit (set) file;
                    value = set.value.${name};
                  }
                ) sets
              )
            );
          in
          builtins.mapAttrs (_: one: one.value) (lib.filterAttrs (_: one: one.isDefined) merged);
      };
    submodule =
      module:
      mkType {
        description = "submodule";
        check = value: isAttrs value || builtins.isFunction value;
        merge =
          loc: definitions:
          (modules.evalModules {
            prefix = loc;
            specialArgs.name = lib.last loc;
            modules =
              [ module ]
              ++ map (
                definition:
                if isAttrs definition.value then
                  {
                    _file = definition.file;
                    config = definition.value;
                  }
                else
                  definition.value
              ) definitions;
          }).config;
      };
    deferredModule = mkType {
      description = "module";
      check = value: isAttrs value || builtins.isFunction value || builtins.isPath value;
      merge = _: definitions: { imports = map (definition: definition.value) definitions; };
    };
  };
in
types
