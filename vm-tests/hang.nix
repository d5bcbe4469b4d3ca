# A process that hangs is noticed, ended and started again.
let
  # Its default is 30 s; every value of a unit can be set over with plain `systemd.services`.
  watched.serviceConfig.WatchdogSec = 8;
  without = unit: key: {
    drop = [
      [
        "services"
        unit
        "serviceConfig"
        key
      ]
    ];
  };
in
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    services.rat.settings.plugin_health = {
      interval = "1s";
      timeout = "1s";
    };
    systemd.services = {
      ratd = watched;
      rat-runner = watched;
      ratq = watched;
      rat-plugin-auth = watched;
    };
  };

  mutations = {
    "the watchdog of the plugin" = without "rat-plugin-auth" "WatchdogSec" // {
      fails = "the watchdog ends each of them and starts it again";
    };
    "the watchdog of the runner" = without "rat-runner" "WatchdogSec" // {
      fails = "the watchdog ends each of them and starts it again";
    };
    "the watchdog of ratq" = without "ratq" "WatchdogSec" // {
      fails = "the watchdog ends each of them and starts it again";
    };
    "the watchdog of ratd" = without "ratd" "WatchdogSec" // {
      fails = "the watchdog ends ratd itself, and the next one answers who waited";
    };
  };
}
