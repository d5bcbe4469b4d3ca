# What is said of a plugin and does not fit it.
{ config, lib }:
let
  cfg = config.services.rat;
  address = import ../address.nix;
  defaults = (import ../limits.nix).plugin;
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
        assertion = isHere || plugin.address != address.defaults.plugin slot;
        message = "${option}.package: is not set, so that nothing would listen on the plugin's socket; set it, or set `address` to where the plugin runs";
      }
      {
        assertion = plugin.idleStop == null || plugin.sdk || !isHere;
        message = "${option}.idleStop: is done by rat-plugin-sdk, on which this plugin is not built; leave it out";
      }
      {
        # Who connects to a port could be anybody (crates/plugin-sdk/src/control.rs).
        assertion = isHere && plugin.sdk && plugin.config != { } -> address.isUnix plugin.address;
        message = "${option}.config: a plugin on rat-plugin-sdk takes it over a Unix socket only, and not on ${plugin.address}; leave `address` out, or have `arguments` name a file with it, as in [ \"--config\" \"/etc/rat/${slot}.yaml\" ]";
      }
      (onlyHere "sdk" (!plugin.sdk))
      (onlyHere "limits" (filterAttrs (_: limit: limit != null) plugin.limits != defaults))
      (onlyHere "credentials" (plugin.credentials != { }))
      (onlyHere "network" (plugin.network != [ ]))
      (onlyHere "arguments" (plugin.arguments != [ ]))
    ];
in
concatMap about (attrNames (filterAttrs (_: plugin: plugin.enable) cfg.plugins))
