# The commands of the page about backups bring back everything, from PostgreSQL and from SQLite.
let
  page = import ./lib/page.nix ../docs/how-to/backup-and-restore.md;
in
{
  nodes.machine = {
    imports = [
      ./lib/demo.nix
      page.machine
    ];
    specialisation.sqlite.configuration =
      { lib, ... }:
      {
        services.rat.database.createLocally = lib.mkForce false;
      };
  };

  mutations = {
    "the step that brings back the lake" = page.without {
      word = "tar --extract.*lake";
      fails = "with PostgreSQL: tables, pipelines and runs are those of the backup";
    };
    "the step that brings back the database" = page.without {
      word = "runuser -u postgres -- pg_restore";
      fails = "with PostgreSQL: tables, pipelines and runs are those of the backup";
    };
    "the step that brings back what a plugin kept" = page.without {
      word = "tar --extract.*plugins";
      fails = "with PostgreSQL: a plugin finds what it kept";
    };
    "the step that brings back the file of SQLite" = page.without {
      word = "cp --preserve /var/backups";
      fails = "with SQLite: tables, pipelines and runs are those of the backup";
    };
  };
}
