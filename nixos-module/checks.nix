# What is refused before anything is built. A message begins with the option and ends with the way
# out. What is wrong within rat.yaml, `ratd check-config` refuses when it is built.
{ config, lib, ... }:
let
  cfg = config.services.rat;
  address = import ./address.nix;
  inherit (lib)
    attrNames
    concatMap
    concatStringsSep
    elem
    filterAttrs
    optional
    ;

  slots = [
    "auth"
    "cloud"
    "enforcement"
    "executor"
    "sharing"
  ];
  listen = cfg.settings.server.listen;
  isPublic = !address.isLocal listen;
  hasAuthentication = cfg.apiKeyFile != null || (cfg.plugins.auth.enable or false);

  # Folders of people, and of things that pass.
  hidden = [
    "/home"
    "/root"
    "/run"
    "/tmp"
  ];
  firstFolder = "/${builtins.elemAt (lib.splitString "/" (toString cfg.storage.path)) 1}";

  assertionsOf =
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
        assertion =
          !isHere || (address.isLocal plugin.address && address.listenStream plugin.address != null);
        message = "${option}.address: systemd cannot listen on ${plugin.address} on this machine; leave it out, or set `package = null` if the plugin runs elsewhere";
      }
      {
        assertion = plugin.idleStop == null || plugin.sdk || !isHere;
        message = "${option}.idleStop: is done by rat-plugin-sdk, on which this plugin is not built; leave it out";
      }
      (onlyHere "credentials" (plugin.credentials != { }))
      (onlyHere "network" (plugin.network != [ ]))
      (onlyHere "arguments" (plugin.arguments != [ ]))
    ];

  # A daemon without a unit here has to be somewhere else.
  elsewhere = name: {
    assertion = cfg.${name}.enable || (cfg.settings.${name}.address or null) != null;
    message = "services.rat.${name}.enable: ratd would find none; set services.rat.settings.${name}.address to where it runs, or leave it on";
  };

  # A plugin that was set past its options would have no unit.
  strange = slot: {
    assertion = cfg.plugins.${slot}.enable or false;
    message = "services.rat.settings.plugins.${slot}: plugins have options of their own; use services.rat.plugins.${slot}, with `package = null` if it runs elsewhere";
  };
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = address.listenStream listen != null;
        message = "services.rat.settings.server.listen: systemd cannot listen on ${listen}; give an IP address with a port, or unix:/path";
      }
      {
        assertion = !cfg.openFirewall || (isPublic && address.portOf listen != null);
        message = "services.rat.openFirewall: nobody but this machine can reach ${listen}; set services.rat.settings.server.listen to 0.0.0.0:8080, or leave the firewall closed";
      }
      {
        assertion = !(cfg.database.createLocally && cfg.database.urlFile != null);
        message = "services.rat.database.urlFile: the database would be here and elsewhere; set services.rat.database.createLocally = false";
      }
      {
        assertion = cfg.catalog.type == "rest" -> cfg.catalog.uri != null;
        message = "services.rat.catalog.uri: is needed to find the external catalog; set it, or services.rat.catalog.type = \"builtin\"";
      }
      {
        assertion = (cfg.catalog.clientId == null) == (cfg.catalog.clientSecretFile == null);
        message = "services.rat.catalog.clientSecretFile: clientId and clientSecretFile belong together; set both or neither";
      }
      {
        assertion = cfg.storage.path != "/var/lib/rat" && !(elem (firstFolder) hidden);
        message = "services.rat.storage.path: ${cfg.storage.path} is ratd's own folder or one that services do not see; take /var/lib/rat/lake, or a folder outside of ${concatStringsSep ", " hidden}";
      }
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
    ++ map strange (attrNames (cfg.settings.plugins or { }))
    ++ concatMap assertionsOf (attrNames (filterAttrs (_: plugin: plugin.enable) cfg.plugins));

    warnings =
      optional (isPublic && !hasAuthentication)
        "services.rat.settings.server.listen: ${listen} can be reached from other machines, and every caller is an administrator; set services.rat.apiKeyFile or services.rat.plugins.auth";
  };
}
