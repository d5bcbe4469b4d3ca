# The commands of the page about backups bring back everything, from PostgreSQL and from SQLite.
let
  page = import ./lib/page.nix ../docs/how-to/backup-and-restore.md;
  place = "scenario/page.json";

  # The page without the lines that begin with `word`.
  without =
    { word, fails }:
    {
      inherit fails;
      module =
        let
          lines = text: builtins.filter builtins.isString (builtins.split "\n" text);
          isOther = line: builtins.match "${word}.*" line == null;
          less = text: builtins.concatStringsSep "\n" (builtins.filter isOther (lines text));
        in
        { lib, ... }:
        {
          environment.etc.${place}.text = lib.mkForce (builtins.toJSON (map less page));
        };
    };
in
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    environment.etc.${place}.text = builtins.toJSON page;
    specialisation.sqlite.configuration =
      { lib, ... }:
      {
        services.rat.database.createLocally = lib.mkForce false;
      };
  };

  mutations = {
    "the step that brings back the lake" = without {
      word = "tar --extract";
      fails = "with PostgreSQL: tables, pipelines and runs are those of the backup";
    };
    "the step that brings back the database" = without {
      word = "runuser -u postgres -- pg_restore";
      fails = "with PostgreSQL: tables, pipelines and runs are those of the backup";
    };
    "the step that brings back the file of SQLite" = without {
      word = "cp --preserve /var/backups";
      fails = "with SQLite: tables, pipelines and runs are those of the backup";
    };
  };
}
