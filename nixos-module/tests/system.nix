# Stands in for `nixosSystem`: evaluates the options that the module of RAT sets.
{
  modules,
  # What the configuration sees as `pkgs`. Overlays of its own would have to be known before it is
  # evaluated.
  packages ? import ./pkgs.nix { lib = import ./lib.nix; },
}:
let
  lib = import ./lib.nix;
  evaluated = lib.evalModules {
    modules = modules ++ [
      ./nixos.nix
      {
        options = {
          nixpkgs = anything;
          boot = anything;
          specialisation = anything;
          virtualisation = anything;
          system.stateVersion = anything;
        };
      }
    ];
    specialArgs.pkgs = packages;
  };
  anything = lib.mkOption {
    type = lib.types.anything;
    default = { };
  };
  inherit (evaluated) config;
  failed = builtins.filter (one: !one.assertion) config.assertions;
in
{
  config.system.build.toplevel = derivation {
    name = "system";
    system = config.nixpkgs.hostPlatform;
    builder = "/bin/sh";
    units =
      if failed == [ ] then
        builtins.toJSON { inherit (config.systemd) services sockets slices; }
      else
        throw (builtins.head failed).message;
  };
}
