# A secret is known to the process that needs it, and nowhere else, also where it comes late.
let
  folder = "/var/lib/secrets";
in
{
  nodes.machine =
    { pkgs, ... }:
    {
      services.rat = {
        enable = true;
        database = {
          createLocally = false;
          urlFile = "${folder}/database-url";
        };
        plugins.auth = {
          package = pkgs.rat-plugin-auth-static;
          config.token_file = "/run/credentials/rat-plugin-auth.service/tokens";
          credentials.tokens = "${folder}/tokens";
        };
      };
      services.postgresql = {
        enable = true;
        ensureDatabases = [ "ratd" ];
        ensureUsers = [
          {
            name = "ratd";
            ensureDBOwnership = true;
          }
        ];
      };
    };

  mutations = {
    "the credential of ratd" = {
      drop = [
        [
          "services"
          "ratd"
          "serviceConfig"
          "LoadCredential"
        ]
      ];
      fails = "once they are there, everything starts without a hand";
    };
    "the credential of the plugin" = {
      drop = [
        [
          "services"
          "rat-plugin-auth"
          "serviceConfig"
          "LoadCredential"
        ]
      ];
      fails = "once they are there, everything starts without a hand";
    };
    "units without secrets" = {
      put.services.ratq.environment.DATABASE = "correct-horse-battery-staple";
      fails = "no secret is in a unit, in rat.yaml, or in the effective settings";
    };
    "a quiet start" = {
      put.services.ratd.serviceConfig.ExecStartPre = "+/bin/cat ${folder}/database-url";
      fails = "no secret is in the journal";
    };
    "files that only root reads" = {
      put.services.ratd.serviceConfig.ExecStartPre = "+/bin/chmod -R a+rX ${folder}";
      fails = "nobody else can read them";
    };
  };
}
