# A secret is known to the process that needs it, and nowhere else, also where it comes late.
let
  folder = "/var/lib/secrets";
  credential = "/run/credentials/ratd.service/database-url";
  serve = "/opt/rat/bin/ratd serve --config /etc/rat/rat.yaml";
  # What root does before ratd starts.
  before = command: fails: {
    put.services.ratd.serviceConfig.ExecStartPre = "+/bin/sh -c '${command}'";
    inherit fails;
  };
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
    "settings without secrets" =
      before "mkdir -p /etc/rat/more && cp ${folder}/database-url /etc/rat/more/" "no secret is in the store, or wherever programs and settings lie";
    "a bare command line" = {
      put.services.ratd.serviceConfig.ExecStart =
        "/bin/bash -c 'exec -a \"$(cat ${credential})\" ${serve}'";
      fails = "no secret is on a command line or in an environment";
    };
    "a bare environment" = {
      put.services.ratd.serviceConfig.ExecStart =
        "/bin/bash -c 'export DATABASE=$(cat ${credential}); exec ${serve}'";
      fails = "no secret is on a command line or in an environment";
    };
    "a quiet start" = before "cat ${folder}/database-url" "no secret is in the journal";
    "a credential that is nowhere else" = {
      put.services.ratd.serviceConfig.ExecStartPre = "/bin/sh -c 'cat ${credential} > /var/lib/rat/copy'";
      fails = "no other file has a secret";
    };
    "files that only root reads" = before "chmod -R a+rX ${folder}" "nobody else can read them";
    # Their names are no secrets.
    "files that only root reads, in a folder that only root lists" =
      before "chmod 711 ${folder} && chmod 644 ${folder}/*" "nobody else can read them";
    "files that are not for the group of the lake" =
      before "chgrp -R rat-lake ${folder} && chmod -R g+rX ${folder}" "nobody else can read them";
    "files that are not for the plugin" =
      before "chgrp -R rat-slot-auth ${folder} && chmod -R g+rX ${folder}" "nobody else can read them";
    "a credential that one service has" = {
      put.services.rat-runner.serviceConfig.LoadCredential = "database-url:${folder}/database-url";
      fails = "no other file has a secret";
    };
  };
}
