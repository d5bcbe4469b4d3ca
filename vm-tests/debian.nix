# The commands of the pages about Debian make a data platform of an empty machine, and upgrade it.
let
  install = import ./lib/page.nix ../docs/how-to/install-on-debian.md;
  upgrade = import ./lib/page.nix ../docs/how-to/upgrade.md;
in
{
  # NixOS makes its units by itself.
  isForNixos = false;

  nodes.machine = {
    imports = [
      install.machine
      upgrade.machine
    ];
    environment.etc = {
      "scenario/shop".source = ../examples/shop;
      "scenario/load.py".source = ./lib/load.py;
    };
  };

  mutations = {
    "the step that makes the key" = install.without {
      word = "openssl";
      fails = "the page's commands make a data platform";
    };
    "the step that makes the database" = install.without {
      word = "runuser -u postgres -- createdb";
      fails = "the page's commands make a data platform";
    };
    "the step that starts the new programs" = upgrade.without {
      word = "systemctl restart";
      fails = "after the page's commands every process is of the new release";
    };
  };
}
