# The module system: the options and definitions of many modules become one configuration. An option
# that nobody declared, a value of the wrong type and a value that is missing are refused.
lib:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    foldl'
    head
    isAttrs
    isFunction
    length
    mapAttrs
    ;

  defaultPriority = 100;
  optionDefaultPriority = 1500;
  defaultOrder = 1000;

  hasType = type: value: isAttrs value && (value._type or null) == type;
  isOption = hasType "option";

  optionAttributes = [
    "type"
    "default"
    "defaultText"
    "example"
    "description"
    "internal"
    "visible"
    "readOnly"
    "apply"
  ];

  mkOption =
    attributes:
    let
      unknown = filter (name: !(elem name optionAttributes)) (attrNames attributes);
    in
    if unknown == [ ] then
      attributes // { _type = "option"; }
    else
      throw "mkOption: there is no attribute `${head unknown}'";

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOptionDefault = mkOverride optionDefaultPriority;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };

  showOption = builtins.concatStringsSep ".";

  # A set below properties as sets whose values have the properties instead.
  pushDown =
    value:
    if hasType "merge" value then
      concatMap pushDown value.contents
    else if hasType "if" value then
      map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
    else if hasType "override" value then
      map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
    else
      [ value ];

  # A definition's values without properties, each with its priority and order.
  discharge =
    loc: definition:
    let
      inherit (definition) value;
      again = content: discharge loc (definition // { value = content; });
    in
    if hasType "merge" value then
      concatMap again value.contents
    else if hasType "if" value then
      if builtins.isBool value.condition then
        lib.optionals value.condition (again value.content)
      else
        throw "The condition of mkIf at `${showOption loc}' is no bool, in `${definition.file}'."
    else if hasType "override" value then
      map (found: found // { inherit (value) priority; }) (again value.content)
    else if hasType "order" value then
      map (found: found // { order = value.priority; }) (again value.content)
    else
      [ definition ];

  priorityOf = definition: definition.priority or defaultPriority;
  orderOf = definition: definition.order or defaultOrder;

  # Those of the highest priority, in their order.
  strongest =
    definitions:
    let
      best = foldl' (least: one: if priorityOf one < least then priorityOf one else least) 9999 definitions;
    in
    builtins.sort (a: b: orderOf a < orderOf b) (
      filter (definition: priorityOf definition == best) definitions
    );

  show =
    value:
    let
      text =
        if isFunction value then
          "a function"
        else if lib.isDerivation value then
          "the derivation ${value.name or "?"}"
        else if isAttrs value then
          "a set of ${builtins.concatStringsSep ", " (attrNames value)}"
        else
          builtins.toJSON value;
    in
    if builtins.stringLength text > 120 then builtins.substring 0 120 text + "..." else text;

  # The value of an option, or of an item of one, from all that is said of it.
  mergeDefinitions =
    loc: type: definitions:
    let
      found = strongest (concatMap (discharge loc) definitions);
      wrong = filter (definition: !(type.check definition.value)) found;
      first = head wrong;
    in
    if wrong != [ ] then
      throw "A definition for option `${showOption loc}' is not of type `${type.description}': in `${first.file}': ${show first.value}"
    else
      {
        isDefined = found != [ ];
        value =
          if found != [ ] then
            type.merge loc found
          else
            throw "The option `${showOption loc}' has no value: it was accessed and nothing defines it.";
      };

  moduleKeys = [
    "imports"
    "options"
    "config"
    "freeformType"
    "_file"
  ];

  # A module of any form as { file, imports, options, config, freeformType }.
  loadModule =
    arguments: parent: module:
    let
      isPath = builtins.isPath module || builtins.isString module;
      file = if isPath then toString module else parent;
      content = if isPath then import module else module;
      called = if isFunction content then content (callArguments arguments file content) else content;
      isStructured = called ? config || called ? options;
      strange = filter (name: !(elem name moduleKeys)) (attrNames called);
    in
    if !(isAttrs called) then
      throw "A module in `${file}' is neither a set nor a function that gives one."
    else if isStructured && strange != [ ] then
      throw "The module `${file}' has an unsupported attribute `${head strange}'; definitions belong below `config'."
    else
      {
        file = called._file or file;
        key = if isPath then file else null;
        imports = called.imports or [ ];
        options = called.options or { };
        config =
          if isStructured then called.config or { } else removeAttrs called moduleKeys;
        freeformType = called.freeformType or null;
      };

  callArguments =
    arguments: file: function:
    let
      wanted = builtins.functionArgs function;
      missing = filter (name: !wanted.${name} && !(arguments ? ${name})) (attrNames wanted);
    in
    if missing != [ ] then
      throw "The module `${file}' asks for the argument `${head missing}', which it does not get."
    else
      arguments;

  # All modules with those they import, each file once.
  loadAll =
    arguments: parent: modules:
    let
      load =
        parent: seen: module:
        let
          loaded = loadModule arguments parent module;
          isKnown = loaded.key != null && elem loaded.key seen.keys;
          own = {
            keys = seen.keys ++ lib.optional (loaded.key != null) loaded.key;
            modules = seen.modules ++ [ loaded ];
          };
        in
        if isKnown then seen else foldl' (load loaded.file) own loaded.imports;
    in
    (foldl' (load parent) {
      keys = [ ];
      modules = [ ];
    } modules).modules;

  # One tree of options from those of two modules.
  joinOptions =
    loc: a: b:
    a
    // mapAttrs (
      name: option:
      if !(a ? ${name}) then
        option
      else if isOption option || isOption a.${name} then
        throw "The option `${showOption (loc ++ [ name ])}' is declared twice."
      else
        joinOptions (loc ++ [ name ]) a.${name} option
    ) b;

  # The configuration below `loc`. @param options a tree of declarations @param definitions of sets
  evalTree =
    loc: options: freeformType: definitions:
    let
      sets = concatMap (
        definition:
        map (
          value:
          if isAttrs value then
            { inherit (definition) file; inherit value; }
          else
            throw "The option `${showOption loc}' holds options; in `${definition.file}' it is ${show value}."
        ) (pushDown definition.value)
      ) definitions;
      definitionsOf =
        name:
        concatMap (
          set:
          lib.optional (set.value ? ${name}) {
            inherit (set) file;
            value = set.value.${name};
          }
        ) sets;
      strange = concatMap (
        set:
        map (name: { inherit name; inherit (set) file; }) (
          filter (name: !(options ? ${name})) (attrNames set.value)
        )
      ) sets;
      first = head strange;
      declared = mapAttrs (
        name: option:
        if isOption option then
          evalOption (loc ++ [ name ]) option (definitionsOf name)
        else
          evalTree (loc ++ [ name ]) option null (definitionsOf name)
      ) options;
      free = lib.genAttrs (lib.unique (map (one: one.name) strange)) (
        name: (mergeDefinitions (loc ++ [ name ]) freeformType.item (definitionsOf name)).value
      );
    in
    if strange == [ ] then
      declared
    else if freeformType != null then
      declared // free
    else
      throw "The option `${showOption (loc ++ [ first.name ])}' does not exist; it is defined in `${first.file}'.";

  evalOption =
    loc: option: definitions:
    let
      type = option.type or lib.types.unspecified;
      default = lib.optional (option ? default) {
        file = "the default";
        value = mkOptionDefault option.default;
      };
      merged = (mergeDefinitions loc type (definitions ++ default)).value;
      isSetAgain = (option.readOnly or false) && length definitions + length default > 1;
    in
    if isSetAgain then
      throw "The option `${showOption loc}' is read-only, and set in `${(head definitions).file}'."
    else
      (option.apply or lib.id) merged;

  # @param specialArgs what every module may ask for besides config, options and lib
  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      arguments = {
        inherit lib;
        inherit (result) config options;
      }
      // specialArgs;
      loaded = loadAll arguments "the configuration" modules;
      result = {
        options = foldl' (joinOptions prefix) { } (map (module: module.options) loaded);
        config = evalTree prefix result.options freeformType (
          map (module: {
            inherit (module) file;
            value = module.config;
          }) loaded
        );
      };
      freeformTypes = filter (type: type != null) (map (module: module.freeformType) loaded);
      freeformType = if freeformTypes == [ ] then null else head freeformTypes;
    in
    result;
in
{
  inherit
    evalModules
    isOption
    mergeDefinitions
    mkDefault
    mkForce
    mkIf
    mkMerge
    mkOption
    mkOptionDefault
    mkOrder
    mkOverride
    pushDown
    show
    showOption
    ;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
}
