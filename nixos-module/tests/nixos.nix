# Stands in for the options of NixOS that the module of RAT sets, with the types of NixOS.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  list =
    of:
    mkOption {
      type = types.listOf of;
      default = [ ];
    };
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  text = mkOption {
    type = types.str;
    default = "";
  };
  scalar = types.oneOf [
    types.bool
    types.int
    types.str
    types.path
  ];
  anything = mkOption {
    type = types.anything;
    default = { };
  };
  # A key of a unit is written once, or a line for each of a list.
  keys = mkOption {
    type = types.attrsOf (types.either scalar (types.listOf scalar));
    default = { };
  };
  names = suffix: list (types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](${suffix})");
  common = {
    enable = flag true;
    description = text;
    documentation = list types.str;
    requires = names "service|socket|target|slice|mount";
    wants = names "service|socket|target|slice|mount";
    after = names "service|socket|target|slice|mount";
    before = names "service|socket|target|slice|mount";
    partOf = names "service|socket|target|slice|mount";
    wantedBy = names "target|service";
    unitConfig = keys;
  };
  unit =
    options:
    mkOption {
      type = types.attrsOf (types.submodule { options = common // options; });
      default = { };
    };
in
{
  options = {
    assertions = list types.anything;
    warnings = list types.str;

    environment.etc = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            source = mkOption { type = types.path; };
            text = mkOption {
              type = types.nullOr types.str;
              default = null;
            };
            mode = mkOption {
              type = types.str;
              default = "symlink";
            };
          };
        }
      );
      default = { };
    };
    environment.systemPackages = list types.package;

    systemd = {
      services = unit {
        environment = mkOption {
          type = types.attrsOf types.str;
          default = { };
        };
        path = list types.package;
        serviceConfig = keys;
        stopIfChanged = flag true;
        restartIfChanged = flag true;
        restartTriggers = list types.str;
        reloadTriggers = list types.str;
      };
      sockets = unit {
        listenStreams = list types.str;
        socketConfig = keys;
      };
      slices = unit { sliceConfig = keys; };
      tmpfiles.settings = mkOption {
        type = types.attrsOf (
          types.attrsOf (
            types.attrsOf (
              types.submodule {
                options = {
                  mode = text;
                  user = text;
                  group = text;
                };
              }
            )
          )
        );
        default = { };
      };
    };

    users.users = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            isSystemUser = flag false;
            group = text;
            extraGroups = list types.str;
            description = text;
          };
        }
      );
      default = { };
    };
    users.groups = mkOption {
      type = types.attrsOf (types.submodule { options.members = list types.str; });
      default = { };
    };

    networking.firewall.allowedTCPPorts = list types.port;

    # Of others: whatever the examples say.
    services.nginx = anything;
    services.keycloak = anything;
    security.acme = anything;

    services.postgresql = {
      enable = flag false;
      ensureDatabases = list types.str;
      ensureUsers = list (
        types.submodule {
          options = {
            name = mkOption { type = types.str; };
            ensureDBOwnership = flag false;
          };
        }
      );
    };
  };
}
