# The NixOS module of RAT. `services.rat.enable = true;` makes a machine a data platform.
{
  imports = [
    ./options.nix
    ./checks.nix
    ./services.nix
  ];
}
