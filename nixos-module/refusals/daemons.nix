# Daemons that are nowhere, and limits of what is not here.
{ config, lib }:
let
  cfg = config.services.rat;
  defaults = import ../limits.nix;
  inherit (lib) concatMap filterAttrs;

  given = filterAttrs (_: limit: limit != null);
  executor = cfg.plugins.executor or { enable = false; };

  # What has no unit of ours, somebody else starts.
  ofDaemon = name: [
    {
      assertion = cfg.${name}.enable || (cfg.settings.${name}.address or null) != null;
      message = "services.rat.${name}.enable: ratd would find none; leave it on, or set services.rat.settings.${name}.address to where something else on this machine has it listen";
    }
    {
      assertion = cfg.${name}.enable || given cfg.${name}.limits == given defaults.${name};
      message = "services.rat.${name}.limits: there is no unit that this could apply to; leave it out, or set services.rat.${name}.enable = true";
    }
  ];
in
[
  {
    assertion =
      given cfg.executor.limits == { }
      || cfg.runner.enable
      || executor.enable && executor.package != null;
    message = "services.rat.executor.limits: nothing on this machine executes runs; leave it out, or set services.rat.runner.enable = true";
  }
]
++ concatMap ofDaemon [
  "runner"
  "ratq"
]
