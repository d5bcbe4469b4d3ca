# From options to units: the settings are written and checked, and `units.nix` does the rest.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.rat;
  address = import ./address.nix;
  inherit (lib)
    filterAttrs
    getExe
    mapAttrs
    mkDefault
    mkIf
    mkMerge
    optionalAttrs
    setAttrByPath
    ;
  settingsFormat = pkgs.formats.yaml { };

  enabled = filterAttrs (_: plugin: plugin.enable) cfg.plugins;
  here = filterAttrs (_: plugin: plugin.package != null) enabled;
  given = filterAttrs (_: value: value != null);
  said = import ./settings.nix { inherit cfg lib; };

  # Values that everybody who wants another one can set in `systemd.services`. Lists that such a
  # person would add to are merged with theirs.
  merged = [
    "LoadCredential"
    "ReadWritePaths"
    "RequiresMountsFor"
    "Sockets"
    "SupplementaryGroups"
  ];
  overridable = mapAttrs (name: value: if builtins.elem name merged then value else mkDefault value);
  overridableUnit = mapAttrs (
    name: value:
    if
      builtins.elem name [
        "environment"
        "serviceConfig"
        "sliceConfig"
        "socketConfig"
        "unitConfig"
      ]
    then
      overridable value
    else if name == "description" then
      mkDefault value
    else
      value
  );

  text = settingsFormat.generate "rat.yaml" cfg.settings;
  # On a machine that cannot execute what it builds for, ratd checks the file when it starts.
  checked =
    pkgs.runCommand "rat.yaml" { }
      "${cfg.package.ratd}/bin/ratd check-config ${text} && cp ${text} $out";
  canExecute = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
  file = if canExecute then checked else text;

  units = import ./units.nix {
    inherit (cfg) settings credentials;
    programs = {
      ratd = "${cfg.package.ratd}/bin/ratd";
    }
    // optionalAttrs cfg.runner.enable { runner = "${cfg.package.runner}/bin/rat-runner"; }
    // optionalAttrs cfg.ratq.enable { ratq = "${cfg.package.ratq}/bin/ratq"; };
    plugins = mapAttrs (_: plugin: {
      program = getExe plugin.package;
      inherit (plugin)
        arguments
        sdk
        network
        credentials
        limits
        ;
    }) here;
    limits = {
      ratd = cfg.limits;
      runner = cfg.runner.limits;
      ratq = cfg.ratq.limits;
      runs = cfg.executor.limits;
    };
    databaseUnit = if cfg.database.createLocally then "postgresql.target" else null;
  };
  services = units.services // {
    rat-sockets = import ./sockets.nix units.sockets;
  };
in
{
  config = mkIf cfg.enable {
    services.rat = {
      credentials = given {
        api-key = cfg.apiKeyFile;
        database-url = cfg.database.urlFile;
        catalog-token = cfg.catalog.tokenFile;
        catalog-client-secret = cfg.catalog.clientSecretFile;
      };
      # Who says something else past the options is told so by `refusals/settings.nix`.
      settings = mkMerge (map (one: setAttrByPath one.path (mkDefault one.value)) said);
    };

    environment.etc."rat/rat.yaml".source = file;
    environment.systemPackages = [ cfg.package ];

    systemd.services = mapAttrs (_: overridableUnit) services;
    systemd.sockets = mapAttrs (_: overridableUnit) units.sockets;
    systemd.slices = mapAttrs (_: overridableUnit) units.slices;
    systemd.tmpfiles.settings.rat = units.tmpfiles;

    users.users = mapAttrs (_: user: user // { isSystemUser = true; }) units.users;
    users.groups = lib.genAttrs units.groups (_: { });

    services.postgresql = mkIf cfg.database.createLocally {
      enable = true;
      ensureDatabases = [ "ratd" ];
      ensureUsers = [
        {
          name = "ratd";
          ensureDBOwnership = true;
        }
      ];
    };

    networking.firewall.allowedTCPPorts =
      let
        port = address.portOf cfg.settings.server.listen;
      in
      mkIf (cfg.openFirewall && port != null) [ port ];
  };
}
