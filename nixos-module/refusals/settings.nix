# Keys of `services.rat.settings` that options say.
{ config, lib }:
let
  cfg = config.services.rat;
  inherit (lib)
    attrByPath
    attrNames
    concatStringsSep
    ;

  contradicted = one: {
    assertion = attrByPath one.path null cfg.settings == one.value;
    message = "services.rat.settings.${concatStringsSep "." one.path}: is what services.rat.${one.option} makes of it; leave it out, and ${one.otherwise}";
  };

  # A plugin that was set past its options would have no unit.
  strange = slot: {
    assertion = cfg.plugins.${slot}.enable or false;
    message = "services.rat.settings.plugins.${slot}: plugins have options of their own; use services.rat.plugins.${slot}, with `package = null` if it runs elsewhere";
  };
in
map contradicted (import ../settings.nix { inherit cfg lib; })
++ map strange (attrNames (cfg.settings.plugins or { }))
