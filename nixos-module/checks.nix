# What is refused before anything is built. A message begins with the option and ends with the way
# out. What is wrong within rat.yaml, `ratd check-config` refuses when it is built.
{ config, lib, ... }:
let
  cfg = config.services.rat;
  address = import ./address.nix;
  inherit (cfg.settings.server) listen;
  hasAuthentication =
    (cfg.settings.auth.api_key_file or null) != null || (cfg.plugins.auth.enable or false);
in
{
  config = lib.mkIf cfg.enable {
    assertions = lib.concatMap (about: import about { inherit config lib; }) [
      ./refusals/catalog.nix
      ./refusals/daemons.nix
      ./refusals/database.nix
      ./refusals/folders.nix
      ./refusals/plugins.nix
      ./refusals/secrets.nix
      ./refusals/settings.nix
      ./refusals/sockets.nix
    ];

    warnings =
      lib.optional (!address.isLocal listen && !hasAuthentication)
        "services.rat.settings.server.listen: ${listen} can be reached from other machines, and every caller is an administrator; set services.rat.apiKeyFile or services.rat.plugins.auth";
  };
}
