# Types and options that come more than once.
{ lib }:
let
  inherit (lib) mkOption types;
in
rec {
  # A file that is there when the machine runs, and never in the Nix store, which everybody reads.
  secretFile = types.externalPath;

  # A time as RAT writes it.
  duration = types.strMatching "[0-9]+(ms|s|m|h)( [0-9]+(ms|s|m|h))*";

  # Whom something may reach: an address, a block, or a word of systemd.
  reachable = types.strMatching "any|localhost|link-local|multicast|[0-9a-fA-F:.]+(/[0-9]{1,3})?";

  # Limits of memory, CPU and tasks.
  limits = of: defaults: {
    memoryMax = mkOption {
      # systemd ignores what it does not know, and there would be no limit.
      type = types.nullOr (types.strMatching "[0-9]+[KMGT]?|[0-9]{1,3}%|infinity");
      default = defaults.memoryMax or null;
      example = "2G";
      description = ''
        Most memory of ${of}: a size such as `2G` or a share such as `50%`
        ({manpage}`systemd.resource-control(5)`). Beyond it the kernel ends a process. `null`:
        whatever the slice has.
      '';
    };
    cpuQuota = mkOption {
      type = types.nullOr (types.strMatching "[0-9]+%");
      default = defaults.cpuQuota or null;
      example = "150%";
      description = "Most CPU time of ${of}; `100%` is one CPU. `null`: whatever the slice has.";
    };
    tasksMax = mkOption {
      type = types.nullOr types.ints.positive;
      default = defaults.tasksMax or null;
      example = 256;
      description = "Most processes and threads of ${of}. `null`: whatever the slice has.";
    };
  };
}
