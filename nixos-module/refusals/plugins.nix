# What is said of a plugin and does not fit it.
{ config, lib }:
let
  cfg = config.services.rat;
  inherit (lib)
    attrNames
    concatMap
    concatStringsSep
    elem
    filterAttrs
    ;
  slots = [
    "auth"
    "cloud"
    "enforcement"
    "executor"
    "sharing"
  ];

  about =
    slot:
    let
      plugin = cfg.plugins.${slot};
      option = "services.rat.plugins.${slot}";
      isHere = plugin.package != null;
      onlyHere = name: isSet: {
        assertion = isHere || !isSet;
        message = "${option}.${name}: the plugin runs elsewhere, so that there is no unit that this could apply to; set `package`, or set it where the plugin runs";
      };
    in
    [
      {
        assertion = elem slot slots;
        message = "${option}: there is no slot of this name; plugins are named by their slot, one of ${concatStringsSep ", " slots}";
      }
      {
        assertion = isHere || plugin.address != "unix:/run/rat/plugins/${slot}.sock";
        message = "${option}.package: is not set, so that nothing would listen on the plugin's socket; set it, or set `address` to where the plugin runs";
      }
      {
        assertion = plugin.idleStop == null || plugin.sdk || !isHere;
        message = "${option}.idleStop: is done by rat-plugin-sdk, on which this plugin is not built; leave it out";
      }
      (onlyHere "credentials" (plugin.credentials != { }))
      (onlyHere "network" (plugin.network != [ ]))
      (onlyHere "arguments" (plugin.arguments != [ ]))
    ];
in
concatMap about (attrNames (filterAttrs (_: plugin: plugin.enable) cfg.plugins))
