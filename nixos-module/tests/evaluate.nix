# Evaluates a configuration of NixOS with the module of RAT, as far as it goes without NixOS:
#
#   nix-instantiate --eval --strict --json evaluate.nix -A text --argstr configuration FILE
#
# `lib`: the folder of the real nixpkgs' lib, instead of the stand-in. `rat`: folder of the programs.
{
  configuration,
  lib ? "",
  rat ? "/nix/store/00000000000000000000000000000000-rat-0.1.0",
}:
let
  library = if lib == "" then import ./lib.nix else import (/. + lib);
  pkgs = import ./pkgs.nix {
    lib = library;
    inherit rat;
  };
  evaluated = library.evalModules {
    modules = [
      ./nixos.nix
      ../default.nix
      (if builtins.isString configuration then /. + configuration else configuration)
    ];
    specialArgs = { inherit pkgs; };
  };
  inherit (evaluated) config;
  failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  plain = builtins.mapAttrs (_: unit: unit // { serviceConfig = unit.serviceConfig; });
  units = {
    services = plain config.systemd.services;
    inherit (config.systemd) sockets slices;
    tmpfiles = config.systemd.tmpfiles.settings.rat;
    users = builtins.removeAttrs config.users.users [ "postgres" ];
    groups = builtins.attrNames config.users.groups;
  };

  # Every option of RAT, with what its documentation lacks.
  documented =
    prefix: options:
    builtins.concatLists (
      map (
        name:
        let
          option = options.${name};
          path = "${prefix}.${name}";
          lacks = builtins.filter (key: !(option ? ${key})) [
            "type"
            "description"
            "example"
          ];
        in
        if name == "_module" then
          [ ]
        else if (option._type or null) == "option" then
          map (key: "${path}: ${key}") lacks
        else
          documented path option
      ) (builtins.attrNames options)
    );
  pluginOptions =
    (import ../plugins.nix {
      lib = library;
      inherit pkgs;
      optionTypes = import ../types.nix { lib = library; };
      settingsFormat = pkgs.formats.yaml { };
    })
      {
        name = "slot";
        config = { };
      };
in
{
  # What NixOS would say before it builds.
  result =
    if failed == [ ] then
      {
        inherit units;
        inherit (config) warnings;
        settings = config.services.rat.settings;
        postgresql = config.services.postgresql;
        ports = config.networking.firewall.allowedTCPPorts;
        check = config.environment.etc."rat/rat.yaml".source.script;
      }
    else
      throw "Failed assertions:\n${
        builtins.concatStringsSep "\n" (map (message: "- ${message}") failed)
      }";

  # The unit files, as `rat units` writes them.
  text = import ../text.nix units;

  undocumented =
    documented "services.rat" evaluated.options.services.rat
    ++ documented "services.rat.plugins.<slot>" pluginOptions.options;
}
