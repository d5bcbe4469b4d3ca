# Stands in for `nixosSystem`: evaluates the options that the module of RAT sets.
{
  modules,
  # What the configuration sees as `pkgs`. Overlays of its own would have to be known before it is
  # evaluated.
  packages ? import ./pkgs.nix { lib = import ./lib.nix; },
  # A test hands packages to its machines, which then cannot have others.
  mayChangePackages ? true,
  # A specialisation has none of its own.
  isSpecialisation ? false,
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

  # The outputs of a package that end up on the machine's path.
  installed =
    package:
    if package.outputSpecified or false || !(package.meta ? outputsToInstall) then
      [ package ]
    else
      map (output: package.${output}) package.meta.outputsToInstall;
  specialised =
    found:
    (import ./system.nix {
      modules = modules ++ [ found.configuration ];
      inherit packages mayChangePackages;
      isSpecialisation = true;
    }).config.system.build.toplevel;
in
{
  config.system.build.toplevel = derivation {
    name = "system";
    system = config.nixpkgs.hostPlatform;
    builder = "/bin/sh";
    units =
      if failed != [ ] then
        throw (builtins.head failed).message
      else if !mayChangePackages && removeAttrs config.nixpkgs [ "hostPlatform" ] != { } then
        throw "nixpkgs.* is set: the machines of a test have its packages"
      else
        builtins.toJSON { inherit (config.systemd) services sockets slices; };
    path = lib.concatMap installed config.environment.systemPackages;
    specialisations = map specialised (
      if isSpecialisation then [ ] else builtins.attrValues config.specialisation
    );
  };
}
