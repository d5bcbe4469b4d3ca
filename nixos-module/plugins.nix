# The options of one plugin, `services.rat.plugins.<slot>`.
{
  lib,
  pkgs,
  optionTypes,
  settingsFormat,
}:
let
  address = import ./address.nix;
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;
  inherit (optionTypes)
    duration
    limits
    reachable
    secretFile
    ;
in
{ name, config, ... }:
{
  options = {
    enable = mkEnableOption "this plugin" // {
      default = true;
      example = false;
    };

    package = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = literalExpression "pkgs.rat-plugin-auth-keycloak";
      description = ''
        Package whose main program is the plugin. `null`: it runs elsewhere, and there is no unit
        for it here.
      '';
    };

    arguments = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--log-level"
        "debug"
      ];
      description = "More arguments for the plugin's program.";
    };

    sdk = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether the plugin is built on rat-plugin-sdk: it tells systemd when it is ready and that it
        lives, and takes its configuration from ratd. One that does neither still has to take the
        socket that systemd hands to it.
      '';
    };

    image = mkOption {
      type = types.strMatching "[^[:space:]]+";
      default =
        if config.package == null then
          name
        else
          "nix/${lib.removePrefix "rat-plugin-" (lib.getName config.package)}:${lib.getVersion config.package}";
      defaultText = literalExpression ''"nix/''${name}:''${version}" of the package'';
      example = "ghcr.io/squat-collective/auth-keycloak:latest";
      description = ''
        Where the plugin comes from. It is recorded and shown; RAT starts no container. Its last part
        is the plugin's name, unless {option}`name` says otherwise.
      '';
    };

    name = mkOption {
      type = types.nullOr (types.strMatching "[a-z0-9_-]+");
      default = null;
      example = "auth-keycloak";
      description = "Name under which the plugin appears. `null`: the last part of {option}`image`.";
    };

    address = mkOption {
      type = types.str;
      default = address.defaults.plugin name;
      defaultText = literalExpression ''"unix:/run/rat/plugins/''${slot}.sock"'';
      example = "https://auth.example.org:50060";
      description = ''
        Where the plugin is reached. With a package systemd listens there; the Unix socket of the
        default can be opened by ratd alone.
      '';
    };

    protocol = mkOption {
      type = types.enum [
        "grpc"
        "connect"
      ];
      default = "grpc";
      example = "connect";
      description = "`connect` is the Connect protocol over HTTP/1.1, for a plugin without HTTP/2.";
    };

    onDown = mkOption {
      type = types.nullOr (
        types.enum [
          "deny"
          "builtin"
          "hold"
        ]
      );
      default = null;
      example = "deny";
      description = ''
        What happens while the plugin is down. `deny`: calls that need it fail. `builtin`: the slot's
        built-in takes over, which for auth and enforcement opens the door. `hold` (executor only):
        runs wait. `null` is `deny` for auth and enforcement, else `builtin`.
      '';
    };

    config = mkOption {
      type = types.submodule { freeformType = settingsFormat.type; };
      default = { };
      example = {
        realm = "rat";
      };
      description = ''
        The plugin's own settings. ratd hands them to it, and everybody on the machine can read
        them: secrets are named by {option}`credentials`. One that is built on rat-plugin-sdk takes
        them over a Unix socket only.
      '';
    };

    notSecret = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "token_header" ];
      description = ''
        Keys of {option}`config` that sound like a secret and hold none. Others of such a name are
        refused.
      '';
    };

    tls = mkOption {
      type = types.nullOr (types.attrsOf types.str);
      default = null;
      example = {
        ca = "/etc/rat/plugin-ca.pem";
      };
      description = ''
        Certificates for an `https://` address: `ca`, `cert` and `key`, each an absolute path or the
        name of one of {option}`services.rat.credentials`.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf secretFile;
      default = { };
      example = {
        client-secret = "/run/secrets/keycloak-client-secret";
      };
      description = ''
        Files that systemd hands to the plugin alone (`LoadCredential=`), by the names under which
        it finds them in `$CREDENTIALS_DIRECTORY`.
      '';
    };

    network = mkOption {
      type = types.listOf reachable;
      default = [ ];
      example = [
        "192.0.2.0/24"
        "127.0.0.53"
      ];
      description = ''
        Whom the plugin may reach: addresses, blocks, `localhost`, or `any`. systemd knows no host
        names; the resolver that the plugin asks has to be among them. Empty: it has no network at
        all.
      '';
    };

    idleStop = mkOption {
      type = types.nullOr duration;
      default = null;
      example = "10m";
      description = ''
        After how long without a call the plugin is stopped; the next call starts it again. Meanwhile
        its health is not asked for. `null`: it runs on.
      '';
    };

    limits = limits "the plugin" (import ./limits.nix).plugin;
  };
}
