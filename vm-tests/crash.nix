# Any process may be killed at any moment: it is back at once, nobody is refused, nothing is lost.
let
  without = unit: keys: {
    drop = map (key: [
      "services"
      unit
      "serviceConfig"
      key
    ]) keys;
  };
in
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    # Every request asks the plugin, so that its death is felt.
    services.rat.settings.auth.token_cache = "off";
  };

  mutations = {
    "the restart of ratd" = without "ratd" [ "Restart" ] // {
      fails = "ratd is back";
    };
    "the restart of the runner" = without "rat-runner" [ "Restart" ] // {
      fails = "rat-runner is back";
    };
    "the restart of ratq" = without "ratq" [ "Restart" ] // {
      fails = "ratq is back";
    };
    "the restart of the plugin" = without "rat-plugin-auth" [ "Restart" ] // {
      fails = "rat-plugin-auth is back";
    };
    "the short delay before it" = without "ratq" [ "RestartSteps" ] // {
      put.services.ratq.serviceConfig.RestartSec = "20s";
      fails = "ratq is back";
    };
    "the public socket" = import ./lib/without-public-socket.nix // {
      fails = "nobody was refused, and what was lost was in the process that died";
    };
  };
}
