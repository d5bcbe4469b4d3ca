# A scenario for machines without NixOS: what lies where on each of them, as data for the driver.
#
# The machine's configuration goes through the module itself, over the stand-in for NixOS with which
# the module is tested, and its units become files. What NixOS brings besides (PostgreSQL, tools) the
# guest has from Debian.
{
  # The scenario's file.
  scenario,
  # Name of a mutation, or "" for the scenario itself.
  mutation ? "",
}:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    filter
    foldl'
    head
    isAttrs
    listToAttrs
    mapAttrs
    match
    removeAttrs
    tail
    toJSON
    ;

  lib = import ../../nixos-module/tests/lib.nix;
  text = import ../../nixos-module/text.nix;

  # Where the driver puts the programs. A later release is the same programs elsewhere: as on NixOS,
  # it is the path that tells one from the other.
  pkgs = packagesIn "/opt/rat" // {
    nextRelease = packagesIn "/opt/rat-next";
  };
  packagesIn =
    folder:
    let
      found = import ../../nixos-module/tests/pkgs.nix {
        inherit lib;
        rat = folder;
      };
    in
    found
    // {
      rat-plugin-auth-static = found.rat-plugin-auth-keycloak // {
        name = "rat-plugin-auth-static";
        pname = "rat-plugin-auth-static";
        meta.mainProgram = "rat-plugin-auth-static";
      };
    };

  test = import scenario;
  mutations = test.mutations or { };
  change = if mutation == "" then { } else mutations.${mutation};

  # What another configuration of the machine does not have, cannot be taken out of it.
  without =
    isLenient: path: set:
    if isLenient && !(set ? ${head path}) then
      set
    else if !(set ? ${head path}) then
      throw "mutation ${mutation}: there is no ${head path} to take out"
    else if tail path == [ ] then
      removeAttrs set [ (head path) ]
    else
      set // { ${head path} = without isLenient (tail path) set.${head path}; };
  merge =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) then merge left.${name} value else value
    ) right;
  mutate =
    isLenient: units:
    merge (foldl' (set: path: without isLenient path set) units (change.drop or [ ])) (
      change.put or { }
    );

  evaluate =
    modules:
    let
      inherit
        (lib.evalModules {
          modules = modules ++ [
            ../../nixos-module/tests/nixos.nix
            ../../nixos-module
            {
              options.specialisation = lib.mkOption {
                type = lib.types.anything;
                default = { };
              };
            }
          ];
          specialArgs = { inherit pkgs; };
        })
        config
        ;
      failed = filter (one: !one.assertion) config.assertions;
    in
    if failed == [ ] then config else throw (head failed).message;

  # The files and links of a configuration, by their places.
  systemOf =
    isLenient: config:
    let
      units = mutate isLenient {
        inherit (config.systemd) services sockets slices;
        tmpfiles = config.systemd.tmpfiles.settings.rat or { };
        users = removeAttrs config.users.users [ "postgres" ];
        groups = attrNames config.users.groups;
      };
      texts = text units;
      # What NixOS looks at when it switches: systemd ignores these keys.
      triggers =
        name:
        let
          service = match "system/(.*)[.]service" name;
          unit = units.services.${head service};
          line = key: found: "${key}=${concatStringsSep " " (map toString found)}\n";
        in
        if service == null then
          ""
        else
          "\n[Unit]\n"
          + line "X-Restart-Triggers" (unit.restartTriggers or [ ])
          + line "X-Reload-Triggers" (unit.reloadTriggers or [ ]);
      place = name: if match "system/.*" name == null then "/etc/${name}" else "/etc/systemd/${name}";
      unitFiles = map (name: {
        name = place name;
        value.text = texts.${name} + triggers name;
      }) (filter (name: texts.${name} != "\n") (attrNames texts));
      etcFiles = map (
        name:
        let
          file = config.environment.etc.${name};
          mode = if file.mode == "symlink" then { } else { inherit (file) mode; };
        in
        {
          name = "/etc/${name}";
          value =
            mode
            // (
              if name == "rat/rat.yaml" then
                { text = toJSON config.services.rat.settings; }
              else if file.text != null then
                { inherit (file) text; }
              else
                { source = toString file.source; }
            );
        }
      ) (attrNames config.environment.etc);
      wanted =
        suffix: found:
        concatMap (
          name:
          map (target: {
            name = "/etc/systemd/system/${target}.wants/${name}.${suffix}";
            value = "/etc/systemd/system/${name}.${suffix}";
          }) (found.${name}.wantedBy or [ ])
        ) (attrNames found);
    in
    {
      files = listToAttrs (unitFiles ++ etcFiles);
      links = listToAttrs (wanted "service" units.services ++ wanted "socket" units.sockets);
    };

  machine =
    module:
    let
      modules = [
        module
        (change.module or { })
      ];
      config = evaluate modules;
      special = mapAttrs (
        _: found: systemOf true (evaluate (modules ++ [ found.configuration ]))
      ) config.specialisation;
    in
    systemOf false config
    // {
      specialisation = special;
      database = config.services.postgresql.enable;
    };
in
{
  machine = test.machine or "container";
  nodes = mapAttrs (_: machine) test.nodes;
  mutations = mapAttrs (_: found: found.fails) mutations;
}
