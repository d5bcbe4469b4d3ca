# The options of `services.rat`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  address = import ./address.nix;
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;
  settingsFormat = pkgs.formats.yaml { };
  optionTypes = import ./types.nix { inherit lib; };
  inherit (optionTypes) limits secretFile;
  defaults = import ./limits.nix;

  # A daemon that somebody else might start.
  supervised =
    name: what:
    mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether to have systemd start ${what}. Off where something else on this machine does, which
        has it listen at {option}`services.rat.settings.${name}.address`. It cannot run on another
        machine: it reaches ratd over {option}`services.rat.settings.server.internal_socket`, and the
        lake as files.
      '';
    };
in
{
  options.services.rat = {
    enable = mkEnableOption "RAT, a data platform: SQL pipelines, an Iceberg catalog and queries";

    package = mkOption {
      type = types.package;
      default = pkgs.rat;
      defaultText = literalExpression "pkgs.rat";
      example = literalExpression "pkgs.rat.override { }";
      description = ''
        The package with the programs of RAT: `rat` in its first output, and the outputs `ratd`,
        `runner` and `ratq`, so that each daemon has a closure of its own.
      '';
    };

    settings = mkOption {
      default = { };
      example = {
        log.level = "debug";
        server.upload_limit = "10GiB";
        runner.slots = 8;
      };
      description = ''
        Contents of {file}`/etc/rat/rat.yaml`; every key is in `docs/reference/configuration.md`.
        It is checked with {command}`ratd check-config` when the system is built. Secrets are
        never in it: its `*_file` keys name credentials, see {option}`services.rat.credentials`.
      '';
      type = types.submodule {
        freeformType = settingsFormat.type;
        options = {
          server.listen = mkOption {
            type = types.str;
            default = address.defaults.listen;
            example = "unix:/run/rat/public.sock";
            description = ''
              Address of the API: an address in numbers with a port, or `unix:/path`. systemd listens
              on it, so that nobody is refused while RAT restarts. Beyond loopback, set up
              authentication first: without it everybody who can connect is an administrator.
            '';
          };
          log.level = mkOption {
            type = types.enum [
              "error"
              "warn"
              "info"
              "debug"
              "trace"
            ];
            default = "info";
            example = "debug";
            description = "Least important level that is logged. A change needs no restart.";
          };
        };
      };
    };

    apiKeyFile = mkOption {
      type = types.nullOr secretFile;
      default = null;
      example = "/run/secrets/rat-api-key";
      description = ''
        File with the key that callers of the API have to present. Without it, and without a plugin
        for `auth`, every caller is an administrator.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf secretFile;
      default = { };
      example = {
        ratd-key = "/run/secrets/ratd.pem";
      };
      description = ''
        Files that systemd hands to ratd ({manpage}`systemd.exec(5)`, `LoadCredential=`), by the bare
        names that {option}`services.rat.settings` uses in `*_file` keys. Root reads them, so
        that nobody else has to be able to.
      '';
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether to have PostgreSQL on this machine, with a database that ratd reaches over a Unix
          socket as its own user, without a password. Without it and without
          {option}`services.rat.database.urlFile`, {option}`services.rat.settings.database.url`
          decides, which is a SQLite file by default.
        '';
      };
      urlFile = mkOption {
        type = types.nullOr secretFile;
        default = null;
        example = "/run/secrets/rat-database-url";
        description = ''
          File with the URL of a PostgreSQL elsewhere, password included:
          `postgres://rat:password@db.example.org/rat?sslmode=verify-full`.
        '';
      };
    };

    storage.path = mkOption {
      # A string: a path of Nix would be copied into the store.
      type = types.str;
      default = "/var/lib/rat/lake";
      example = "/srv/lake";
      description = ''
        Folder of the lake: tables and landing files. It becomes ratd's, so that it has to be one
        that nothing else is in. Tables remember where their files are: it is not to be changed
        once there are tables.
      '';
    };

    catalog = {
      type = mkOption {
        type = types.enum [
          "builtin"
          "rest"
        ];
        default = "builtin";
        example = "rest";
        description = ''
          Which Iceberg catalog holds the tables: ratd's own, or an external one that speaks the REST
          protocol and in front of which ratd stands.
        '';
      };
      uri = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://catalog.example.org";
        description = "Address of the external catalog.";
      };
      warehouse = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "lake";
        description = "Name of the warehouse in the external catalog.";
      };
      tokenFile = mkOption {
        type = types.nullOr secretFile;
        default = null;
        example = "/run/secrets/catalog-token";
        description = "File with a bearer token for the external catalog.";
      };
      clientId = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "rat";
        description = "OAuth2 client for which ratd fetches tokens, instead of a token in a file.";
      };
      clientSecretFile = mkOption {
        type = types.nullOr secretFile;
        default = null;
        example = "/run/secrets/catalog-client-secret";
        description = "File with the secret of {option}`services.rat.catalog.clientId`.";
      };
    };

    limits = limits "the control plane, ratd" defaults.ratd;

    runner = {
      enable = supervised "runner" "the warm pool that executes pipelines";
      limits = limits "rat-runner. The memory that its queries share is {option}`services.rat.settings.runner.memory_limit`; the process needs several times that" defaults.runner;
    };

    ratq = {
      enable = supervised "ratq" "the query service";
      limits = limits "ratq. The memory that queries share is {option}`services.rat.settings.ratq.memory_limit`; the process needs several times that" defaults.ratq;
    };

    executor.limits = limits "everything that executes runs, together: rat-runner, and the runs of a plugin for `executor`" defaults.runs;

    plugins = mkOption {
      type = types.attrsOf (
        types.submodule (
          import ./plugins.nix {
            inherit
              lib
              pkgs
              optionTypes
              settingsFormat
              ;
          }
        )
      );
      default = { };
      example = literalExpression ''
        {
          auth = {
            package = pkgs.rat-plugin-auth-keycloak;
            config = {
              keycloak_url = "https://login.example.org";
              realm = "rat";
              client_id = "rat-api";
            };
            network = [ "192.0.2.10" "127.0.0.53" ];
          };
        }
      '';
      description = ''
        Plugins by slot: `auth`, `executor`, `sharing`, `enforcement` and `cloud`. Each that has a
        package becomes `rat-plugin-<slot>.socket` and `rat-plugin-<slot>.service`: started by the
        first call, watched over, in a sandbox with a user of its own. A slot that is not named uses
        its built-in.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the port of {option}`services.rat.settings.server.listen` in the firewall.";
    };
  };
}
