# Every scenario as a test of NixOS: a set of derivations, named as their files. The same scripts run
# without NixOS by `cargo xtask vm`.
#
# `pkgs` has the overlay of RAT. Mutations and the kind of machine are for that command alone.
{ pkgs }:
let
  inherit (pkgs) lib;

  # A later release with the same programs: on NixOS it is the path that tells one from another.
  moved =
    package:
    let
      # Its other outputs stay behind, so that it must not say that they are installed with it.
      meta = {
        inherit (package.meta) mainProgram;
      };
    in
    pkgs.runCommand "${package.name}-next" { inherit meta; } "cp -r ${package} $out"
    // {
      inherit (package) pname version;
    };
  nextOf = packages: {
    rat = moved packages.rat // {
      ratd = moved packages.rat.ratd;
      runner = moved packages.rat.runner;
      ratq = moved packages.rat.ratq;
    };
    rat-plugin-auth-static = moved packages.rat-plugin-auth-static;
  };

  # The example plugin, which knows its callers from a file and needs nobody.
  packages = pkgs.extend (
    final: _: {
      rat-plugin-auth-static = final.rat.overrideAttrs (old: {
        pname = "rat-plugin-auth-static";
        outputs = [ "out" ];
        cargoBuildFlags = [ "--package=rat-example-auth-static" ];
        postInstall = "";
        meta = old.meta // {
          mainProgram = "rat-plugin-auth-static";
        };
      });
      nextRelease = nextOf final;
    }
  );

  # What a script needs on a machine beside what RAT brings.
  base = {
    imports = [ ../nixos-module ];
    environment.systemPackages = [
      packages.curl
      packages.netcat
      packages.python3
    ];
    virtualisation = {
      cores = 2;
      diskSize = 4096;
      memorySize = 3072;
    };
    system.stateVersion = "26.05";
  };

  scenario =
    name:
    let
      test = import (./. + "/${name}.nix");
    in
    packages.testers.runNixOSTest {
      name = "rat-${name}";
      nodes = lib.mapAttrs (_: node: {
        imports = [
          base
          node
        ];
      }) test.nodes;
      testScript = builtins.readFile ./lib/helpers.py + builtins.readFile (./. + "/${name}.py");
      globalTimeout = 900;
    };

  isForNixos = name: (import (./. + "/${name}.nix")).isForNixos or true;
  names = builtins.filter (name: name != "default") (
    builtins.concatMap (
      file:
      let
        name = builtins.match "(.*)[.]nix" file;
      in
      if name == null then [ ] else name
    ) (builtins.attrNames (builtins.readDir ./.))
  );
in
lib.listToAttrs (
  map (name: {
    name = "vm-${name}";
    value = scenario name;
  }) (builtins.filter isForNixos names)
)
