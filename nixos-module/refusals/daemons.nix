# Daemons that are nowhere.
{ config, lib }:
let
  cfg = config.services.rat;
  inherit (lib) filterAttrs;

  # One without a unit here has to be somewhere else.
  elsewhere = name: {
    assertion = cfg.${name}.enable || (cfg.settings.${name}.address or null) != null;
    message = "services.rat.${name}.enable: ratd would find none; set services.rat.settings.${name}.address to where it runs, or leave it on";
  };
in
[
  {
    assertion =
      filterAttrs (_: limit: limit != null) cfg.executor.limits == { }
      || cfg.runner.enable
      || cfg.plugins ? executor;
    message = "services.rat.executor.limits: nothing on this machine executes runs; leave it out, or set services.rat.runner.enable = true";
  }
]
++ map elsewhere [
  "runner"
  "ratq"
]
