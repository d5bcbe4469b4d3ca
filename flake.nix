{
  description = "RAT, a data platform as a NixOS appliance";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forSystems =
        make:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
          system: make (nixpkgs.legacyPackages.${system}.extend self.overlays.default)
        );
    in
    {
      overlays.default = final: _: rec {
        rat = final.callPackage ./nixos-module/packages.nix {
          revision = self.rev or self.dirtyRev or "unknown";
        };
        inherit (rat.programs)
          ratd
          rat-runner
          ratq
          rat-plugin-auth-keycloak
          ;
      };

      packages = forSystems (pkgs: {
        default = pkgs.rat;
        inherit (pkgs)
          rat
          ratd
          rat-runner
          ratq
          rat-plugin-auth-keycloak
          ;
      });

      nixosModules.default = {
        imports = [ ./nixos-module ];
        nixpkgs.overlays = [ self.overlays.default ];
      };

      # `nix run` starts all of RAT on embedded defaults; `nix run . -- --demo tpch` with data.
      apps = forSystems (pkgs: {
        default = {
          type = "app";
          program = lib.getExe (
            pkgs.writeShellApplication {
              name = "rat-dev";
              runtimeInputs = lib.attrValues pkgs.rat.programs;
              text = ''exec rat dev "$@"'';
            }
          );
          meta.description = "All of RAT on this machine, with embedded defaults";
        };
      });

      devShells = forSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ pkgs.rat ];
          packages = [
            pkgs.clippy
            pkgs.nixfmt
            pkgs.postgresql
            pkgs.python3
            pkgs.rust-analyzer
            pkgs.rustfmt
          ];
        };
      });

      formatter = forSystems (pkgs: pkgs.nixfmt-tree);

      checks = forSystems (pkgs: import ./nixos-module/checks { inherit lib pkgs self; });
    };
}
