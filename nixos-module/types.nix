# Types and options that come more than once.
{ lib }:
let
  address = import ./address.nix;
  ip = import ./ip.nix;
  inherit (lib) mkOption types;
in
{
  # A file that is there when the machine runs, and never in the Nix store, which everybody reads.
  # systemd ignores a credential whose path is not plain, and the service would start without it.
  secretFile =
    types.addCheck types.externalPath (
      path: address.isPlainPath path && !(lib.hasPrefix "${builtins.storeDir}/" path)
    )
    // {
      description = "absolute path not in the Nix store, without `..` and empty parts";
    };

  # A time as RAT writes it.
  duration = types.strMatching "[0-9]+(ms|s|m|h)( [0-9]+(ms|s|m|h))*";

  # Whom something may reach: an address, a block, or a word of systemd. systemd ignores what it does
  # not know.
  reachable =
    types.addCheck types.str (
      text:
      lib.elem text [
        "any"
        "link-local"
        "localhost"
        "multicast"
      ]
      || ip.isBlock text
    )
    // {
      description = "IP address, block of addresses such as 192.0.2.0/24, `any`, `localhost`, `link-local` or `multicast`";
    };

  # Limits of memory, CPU and tasks.
  limits = of: defaults: {
    memoryMax = mkOption {
      # systemd ignores what it does not know or cannot count, and there would be no limit.
      type = types.nullOr (
        types.strMatching "[1-9][0-9]{0,17}|[1-9][0-9]{0,9}[KMG]|[1-9][0-9]{0,6}T|([1-9][0-9]?|100)%|infinity"
        // {
          description = "size such as 2G, share of 1% to 100%, or `infinity`";
        }
      );
      default = defaults.memoryMax or null;
      example = "2G";
      description = ''
        Most memory of ${of}: a size such as `2G` or a share such as `50%`
        ({manpage}`systemd.resource-control(5)`). Beyond it the kernel ends a process. `null`:
        whatever the slice has.
      '';
    };
    cpuQuota = mkOption {
      type = types.nullOr (
        types.strMatching "[1-9][0-9]{0,5}%" // { description = "share of 1% to 999999%"; }
      );
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
