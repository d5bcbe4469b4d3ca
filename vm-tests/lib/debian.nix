# A scenario for machines without NixOS: what lies where on each of them, as data for the driver.
#
# The units are those of the module, from the same function. What the module reads off its options
# is read here off the scenario's plain `services.rat`, with as few words as that takes; the
# options' own types, defaults and assertions are tested where the module is.
{
  # The scenario's file.
  scenario,
  # Where the programs lie on the machine, and where those of a later release do.
  current ? "/opt/rat",
  next ? "/opt/rat-next",
  # Name of a mutation, or "" for the scenario itself.
  mutation ? "",
}:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    head
    listToAttrs
    mapAttrs
    removeAttrs
    tail
    toJSON
    ;

  render = {
    units = import ../../nixos-module/units.nix;
    text = import ../../nixos-module/text.nix;
  };

  packagesIn =
    folder:
    mapAttrs
      (_: program: {
        outPath = folder;
        meta.mainProgram = program;
      })
      {
        rat = "rat";
        ratd = "ratd";
        rat-runner = "rat-runner";
        ratq = "ratq";
        auth-keycloak = "rat-plugin-auth-keycloak";
        auth-static = "rat-plugin-auth-static";
      };
  programOf = package: "${package}/bin/${package.meta.mainProgram}";

  test = import scenario {
    packages = packagesIn current;
    nextPackages = packagesIn next;
  };
  mutations = test.mutations or { };
  change = if mutation == "" then { } else mutations.${mutation};

  without =
    path: set:
    if !(set ? ${head path}) then
      throw "mutation ${mutation}: there is no ${head path} to take out"
    else if tail path == [ ] then
      removeAttrs set [ (head path) ]
    else
      set // { ${head path} = without (tail path) set.${head path}; };
  merge =
    left: right:
    left
    // mapAttrs (
      name: value:
      if builtins.isAttrs value && builtins.isAttrs (left.${name} or null) then
        merge left.${name} value
      else
        value
    ) right;
  mutate = units: merge (foldl' (set: path: without path set) units (change.drop or [ ])) (change.put or { });

  enabled = found: filter (name: found.${name}.enable or true) (attrNames found);

  node =
    config:
    let
      rat = config.services.rat;
      plugins = listToAttrs (
        map (slot: {
          name = slot;
          value = rat.plugins.${slot};
        }) (enabled (rat.plugins or { }))
      );
      isLocalDatabase = rat.database.createLocally or false;
      settings = merge (
        (
          if isLocalDatabase then { database.url = "postgres://ratd@%2Frun%2Fpostgresql/ratd"; } else { }
        )
        // (
          if plugins == { } then
            { }
          else
            {
              plugins = mapAttrs (
                slot: plugin:
                {
                  image = plugin.image or "local/${plugin.package.meta.mainProgram}";
                  address = plugin.address or "unix:/run/rat/plugins/${slot}.sock";
                  config = plugin.config or { };
                }
                // (if plugin ? onDown then { on_down = plugin.onDown; } else { })
              ) plugins;
            }
        )
      ) (rat.settings or { });
      packages = packagesIn (if rat ? package then toString rat.package else current);
      units = mutate (
        render.units {
          inherit settings;
          programs = {
            ratd = programOf packages.ratd;
            runner = programOf packages.rat-runner;
            ratq = programOf packages.ratq;
          };
          plugins = mapAttrs (
            _: plugin:
            {
              program = programOf plugin.package;
            }
            // builtins.intersectAttrs {
              arguments = null;
              credentials = null;
              idleStop = null;
              limits = null;
              network = null;
            } plugin
          ) plugins;
          credentials = rat.credentials or { };
          databaseUnit = if isLocalDatabase then "postgresql.target" else null;
        }
      );
      unitFiles = listToAttrs (
        map (
          name:
          let
            isUnit = builtins.match "system/.*" name != null;
          in
          {
            name = if isUnit then "/etc/systemd/${name}" else "/etc/${name}";
            value.text = texts.${name};
          }
        ) (attrNames texts)
      );
      texts = render.text units;
      wantedBy =
        suffix: found:
        concatMap (
          name:
          map (target: {
            name = "/etc/systemd/system/${target}.wants/${name}.${suffix}";
            value = "/etc/systemd/system/${name}.${suffix}";
          }) (found.${name}.wantedBy or [ ])
        ) (attrNames found);
      etc = listToAttrs (
        map (name: {
          name = "/etc/${name}";
          value =
            let
              file = config.environment.etc.${name};
            in
            (if file ? source then { source = toString file.source; } else { inherit (file) text; })
            // (if file ? mode then { inherit (file) mode; } else { });
        }) (attrNames (config.environment.etc or { }))
      );
    in
    {
      files = unitFiles // etc // { "/etc/rat/rat.yaml".text = toJSON settings; };
      links = listToAttrs (
        wantedBy "service" units.services ++ wantedBy "socket" units.sockets
      );
      services = map (name: "${name}.service") (attrNames units.services);
      database = isLocalDatabase;
    };
in
{
  machine = test.machine or "container";
  nodes = mapAttrs (_: node) (if test ? nodesOf then test.nodesOf change else test.nodes);
  mutations = mapAttrs (_: found: found.fails) mutations;
}
