# Stands in for the flake of nixpkgs where GitHub cannot be reached:
#
#   nix flake check --no-build --no-write-lock-file --override-input nixpkgs path:./nixos-module/tests
#
# With it the outputs of RAT's flake are evaluated to the last derivation. That the packages that are
# named exist in nixpkgs, that they can be built and that the machines boot, only nixpkgs shows.
{
  description = "Stand-in for nixpkgs";

  outputs =
    { self }:
    let
      lib = import ./lib.nix // {
        inherit (builtins) attrValues filter listToAttrs;
        concatMapStrings = function: list: builtins.concatStringsSep "" (map function list);
        optionalString = condition: text: if condition then text else "";
        importTOML = file: builtins.fromTOML (builtins.readFile file);
        # The folders have to be there; which of their files are taken, only nixpkgs knows.
        fileset = {
          unions = paths: builtins.all builtins.pathExists paths;
          toSource = { root, fileset }: if fileset then root else throw "a file of the package is missing";
        };
        licenses.asl20.spdxId = "Apache-2.0";
        platforms.linux = [ ];
        nixosSystem = import ./system.nix;
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        # As in nixpkgs, where only the flake's own library makes systems.
        system:
        import ./packages.nix {
          lib = removeAttrs lib [ "nixosSystem" ];
          inherit system;
        }
      );
    };
}
