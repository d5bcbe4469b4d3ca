# A plugin that is taken out of the configuration leaves nothing behind, without a restart of ratd.
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    specialisation.without.configuration =
      { lib, ... }:
      {
        services.rat.plugins.auth.enable = lib.mkForce false;
      };
  };

  mutations = {
    "the reload of ratd" = {
      drop = [
        [
          "services"
          "ratd"
          "reloadTriggers"
        ]
      ];
      fails = "no row, and its slot is the built-in's";
    };
    "the end of the socket's file" = {
      drop = [
        [
          "sockets"
          "rat-plugin-auth"
          "socketConfig"
          "RemoveOnStop"
        ]
      ];
      fails = "no unit, no socket";
    };
  };
}
