# What `nix flake check` builds: what the gate of the project does, on NixOS.
{
  lib,
  pkgs,
  self,
}:
let
  inherit (pkgs) rat;

  # A command of cargo on the whole workspace, in the sandbox of the package.
  cargo =
    name: command:
    rat.overrideAttrs (old: {
      pname = "rat-${name}";
      src = self;
      outputs = [ "out" ];
      nativeBuildInputs = old.nativeBuildInputs ++ [
        pkgs.clippy
        pkgs.postgresql
        pkgs.rustfmt
      ];
      buildPhase = ''
        runHook preBuild
        ${command}
        runHook postBuild
      '';
      installPhase = "touch $out";
      postInstall = "";
    });

  # What an example makes of a machine, with all of NixOS, whose assertions hold.
  example =
    file:
    (lib.nixosSystem {
      modules = [
        self.nixosModules.default
        file
        {
          nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
          boot.isContainer = true;
          system.stateVersion = "26.05";
        }
      ];
    }).config.system.build.toplevel;

  options =
    (lib.evalModules {
      modules = [ ../options.nix ];
      specialArgs = { inherit pkgs; };
    }).options;
in
{
  build = rat;
  clippy = cargo "clippy" "cargo clippy --offline --workspace --all-targets -- -D warnings";
  tests = cargo "tests" "cargo --offline xtask test";

  format =
    pkgs.runCommand "rat-format"
      {
        nativeBuildInputs = [
          pkgs.cargo
          pkgs.nixfmt
          pkgs.rustfmt
        ];
      }
      ''
        cd ${self}
        find . -name '*.nix' -exec nixfmt --check {} +
        cargo fmt --all --check
        touch $out
      '';

  # Fails where an option has no description.
  options =
    (pkgs.nixosOptionsDoc {
      options = { inherit (options) services; };
      warningsAreErrors = true;
    }).optionsCommonMark;

  example-minimal = example ../../examples/nixos/minimal.nix;
  example-team = example ../../examples/nixos/team.nix;
  example-elsewhere = example ../../examples/nixos/elsewhere.nix;
  example-keycloak = example ../../examples/nixos/keycloak.nix;
}
# Each scenario on a booted machine: vm-boots and so on.
// import ../../vm-tests { inherit pkgs; }
