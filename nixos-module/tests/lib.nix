# Stands in for nixpkgs' `lib` where there is no nixpkgs: the part of its module system and of its
# option types that the module of RAT uses. What evaluates here, evaluates there; the tests take the
# real one where RAT_TEST_NIXPKGS names it.
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    removeAttrs
    substring
    tail
    ;

  typeOf = value: if isAttrs value then value._type or null else null;
  last = list: builtins.elemAt list (length list - 1);
  shown = concatStringsSep ".";
  print =
    value: if isAttrs value || isList value then builtins.typeOf value else builtins.toJSON value;
  unique = foldl' (seen: name: if elem name seen then seen else seen ++ [ name ]) [ ];
  namesOf = sets: unique (concatMap attrNames sets);
  setAt = path: value: if path == [ ] then value else { ${head path} = setAt (tail path) value; };
  recursiveUpdate =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) && !(isDerivation value) then
        recursiveUpdate left.${name} value
      else
        value
    ) right;
  isDerivation = value: isAttrs value && (value.type or null) == "derivation";

  priorities = {
    option = 1500;
    default = 1000;
    plain = 100;
    force = 50;
  };
  override = priority: content: {
    _type = "override";
    inherit priority content;
  };

  # A definition in front of its properties: what mkIf, mkMerge and mkDefault say of a set, they
  # say of each of its attributes, and no condition is looked at before a value is wanted.
  push =
    definition:
    let
      kind = typeOf definition;
      into = wrap: map (mapAttrs (_: wrap)) (push definition.content);
    in
    if kind == "merge" then
      concatMap push definition.contents
    else if kind == "if" then
      into (lib.mkIf definition.condition)
    else if kind == "override" then
      into (override definition.priority)
    else
      [ definition ];

  # The values that are left when conditions hold, with their priorities.
  discharge =
    definition:
    let
      kind = typeOf definition;
    in
    if kind == "merge" then
      concatMap discharge definition.contents
    else if kind == "if" then
      if definition.condition then discharge definition.content else [ ]
    else if kind == "override" then
      map (found: found // { inherit (definition) priority; }) (discharge definition.content)
    else
      [
        {
          priority = priorities.plain;
          value = definition;
        }
      ];

  # The definitions that count.
  strongest =
    definitions:
    let
      found = concatMap discharge definitions;
      best = foldl' (
        least: one: if one.priority < least then one.priority else least
      ) priorities.option found;
    in
    map (one: one.value) (filter (one: one.priority == best) found);

  mergeDefinitions =
    path: type: definitions:
    let
      values = strongest definitions;
      wrong = filter (value: !(type.check value)) values;
    in
    if values == [ ] then
      throw "The option `${shown path}' was accessed but has no value defined. Try setting the option."
    else if wrong != [ ] then
      throw "A definition for option `${shown path}' is not of type `${type.description}'. Definition value: ${print (head wrong)}"
    else
      type.merge path values;

  mergeEqual =
    path: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${shown path}' has conflicting definition values: ${concatStringsSep ", " (map print values)}";

  scalar = description: check: {
    inherit description check;
    merge = mergeEqual;
  };

  types = rec {
    bool = scalar "boolean" isBool;
    int = scalar "signed integer" isInt;
    float = scalar "floating point number" builtins.isFloat;
    str = scalar "string" isString;
    lines = {
      description = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: concatStringsSep "\n";
    };
    path = scalar "absolute path" (
      value: isPath value || isDerivation value || (isString value && match "/.*" value != null)
    );
    externalPath = scalar "absolute path not in the Nix store" (
      value: isString value && match "/.*" value != null && match "/nix/store/.*" value == null
    );
    package = scalar "package" isDerivation;
    port = scalar "16 bit unsigned integer" (value: isInt value && value >= 0 && value < 65536);
    ints.positive = scalar "positive integer, meaning >0" (value: isInt value && value > 0);
    addCheck = of: also: of // { check = value: of.check value && also value; };
    anything = {
      description = "anything";
      check = _: true;
      merge =
        path: values:
        if all isAttrs values then foldl' recursiveUpdate { } values else mergeEqual path values;
    };
    enum =
      words:
      scalar "one of ${concatStringsSep ", " (map builtins.toJSON words)}" (value: elem value words);
    strMatching =
      pattern:
      scalar "string matching the pattern ${pattern}" (
        value: isString value && match pattern value != null
      );
    nullOr = of: {
      description = "null or ${of.description}";
      check = value: value == null || of.check value;
      merge =
        path: values: if all (value: value == null) values then null else mergeDefinitions path of values;
    };
    either = one: other: {
      description = "${one.description} or ${other.description}";
      check = value: one.check value || other.check value;
      merge =
        path: values:
        if all one.check values then one.merge path values else mergeDefinitions path other values;
    };
    oneOf = options: foldl' either (head options) (tail options);
    listOf = of: {
      description = "list of ${of.description}";
      check = isList;
      merge =
        path: values: map (value: mergeDefinitions (path ++ [ "*" ]) of [ value ]) (concatLists values);
    };
    attrsOf = of: {
      description = "attribute set of ${of.description}";
      check = isAttrs;
      merge =
        path: values:
        let
          sets = concatMap push values;
          defined = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
          names = filter (name: strongest (defined name) != [ ]) (namesOf sets);
        in
        listToAttrs (
          map (name: {
            inherit name;
            value = mergeDefinitions (path ++ [ name ]) of (defined name);
          }) names
        );
    };
    submodule = module: {
      description = "submodule";
      check = value: isAttrs value || isFunction value;
      merge =
        path: values:
        (lib.evalModules {
          prefix = path;
          modules = [ module ] ++ map (value: if isFunction value then value else { config = value; }) values;
          specialArgs.name = last path;
        }).config;
    };
  };

  isOption = value: typeOf value == "option";

  # Declarations of several modules in one tree.
  mergeOptions = foldl' (
    left: right:
    left
    // mapAttrs (
      name: value:
      if left ? ${name} && !(isOption value) then
        mergeOptions [
          left.${name}
          value
        ]
      else
        value
    ) right
  ) { };

  # The values of a tree of options, and the definitions that no option takes.
  mergeTree =
    path: options: definitions:
    let
      sets = concatMap push definitions;
      defined = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
      below =
        name:
        let
          option = options.${name};
          own = defined name;
        in
        if isOption option then
          {
            value = mergeDefinitions (path ++ [ name ]) option.type (
              own ++ (if option ? default then [ (override priorities.option option.default) ] else [ ])
            );
            strange = [ ];
          }
        else
          mergeTree (path ++ [ name ]) option own;
      merged = mapAttrs (name: _: below name) options;
      unknown = filter (name: !(options ? ${name}) && name != "_module") (namesOf sets);
    in
    {
      value = mapAttrs (_: found: found.value) merged;
      strange =
        concatMap (
          name:
          map (value: {
            path = path ++ [ name ];
            inherit value;
          }) (defined name)
        ) unknown
        ++ concatLists (
          map (name: merged.${name}.strange) (filter (name: !(isOption options.${name})) (attrNames options))
        );
    };

  lib = rec {
    inherit types recursiveUpdate;
    setAttrByPath = setAt;
    inherit (builtins)
      attrNames
      concatLists
      concatMap
      concatStringsSep
      elem
      filter
      isAttrs
      isList
      isString
      mapAttrs
      ;

    mkOption = declaration: declaration // { _type = "option"; };
    mkEnableOption =
      what:
      mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkDefault = override priorities.default;
    mkForce = override priorities.force;
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };

    filterAttrs = keep: set: removeAttrs set (filter (name: !(keep name set.${name})) (attrNames set));
    optionalString = condition: text: if condition then text else "";
    genAttrs =
      names: make:
      listToAttrs (
        map (name: {
          inherit name;
          value = make name;
        }) names
      );
    optional = condition: value: if condition then [ value ] else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
    inherit isDerivation;
    splitString = separator: text: filter isString (builtins.split separator text);
    hasPrefix = prefix: text: substring 0 (builtins.stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        size = builtins.stringLength text - builtins.stringLength suffix;
      in
      size >= 0 && substring size (-1) text == suffix;
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then substring (builtins.stringLength prefix) (-1) text else text;
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if set ? ${head path} then
        lib.attrByPath (tail path) default set.${head path}
      else
        default;
    imap0 = make: list: builtins.genList (index: make index (builtins.elemAt list index)) (length list);
    take = count: list: builtins.genList (builtins.elemAt list) count;
    getName = package: package.pname or (builtins.parseDrvName package.name).name;
    getVersion = package: package.version or (builtins.parseDrvName package.name).version;
    getExe = package: "${package}/bin/${package.meta.mainProgram or (getName package)}";

    evalModules =
      {
        modules,
        specialArgs ? { },
        prefix ? [ ],
      }:
      let
        arguments = specialArgs // {
          inherit lib config;
          inherit (tree) options;
        };
        call =
          module:
          if isFunction module then
            module (
              if functionArgs module == { } then arguments else intersectAttrs (functionArgs module) arguments
            )
          else
            module;
        collect =
          module:
          let
            found = call (if isPath module || isString module then import module else module);
            isPlain = !(found ? options || found ? config);
          in
          [
            {
              options = found.options or { };
              freeform = found.freeformType or null;
              config =
                if isPlain then
                  removeAttrs found [
                    "imports"
                    "freeformType"
                  ]
                else
                  found.config or { };
            }
          ]
          ++ concatMap collect (found.imports or [ ]);
        all = concatMap collect modules;
        tree.options = mergeOptions (map (module: module.options) all);
        merged = mergeTree prefix tree.options (map (module: module.config) all);
        freeform = filter (type: type != null) (map (module: module.freeform) all);
        strange = map (found: setAt (relative found.path) found.value) merged.strange;
        relative =
          path:
          if prefix == [ ] then
            path
          else
            builtins.genList (index: builtins.elemAt path (index + length prefix)) (
              length path - length prefix
            );
        config =
          if freeform != [ ] then
            recursiveUpdate (
              if strange == [ ] then { } else mergeDefinitions prefix (head freeform) strange
            ) merged.value
          else if merged.strange != [ ] then
            throw "The option `${shown (head merged.strange).path}' does not exist."
          else
            merged.value;
      in
      {
        inherit config;
        inherit (tree) options;
      };
  };
in
lib
