# Plugins run when they are called: the first connection starts one, and an idle one may end.
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    services.rat = {
      plugins.auth.idleStop = "2s";
      # Often enough to wake a plugin that is to sleep.
      settings.plugin_health.interval = "1s";
    };
  };

  mutations = {
    "a plugin that waits for its first call" = {
      put.services.rat-plugin-auth.wantedBy = [ "multi-user.target" ];
      fails = "without ratd no plugin runs";
    };
    "a runner that needs no plugin" = {
      put.services.rat-runner.wants = [ "rat-plugin-auth.service" ];
      fails = "without ratd no plugin runs";
    };
    "the end of an idle plugin" = {
      put.services.rat-plugin-auth.serviceConfig.ExecStart =
        "/opt/rat/bin/rat-plugin-auth-static --configure-from ratd";
      fails = "a plugin that nobody calls ends";
    };
    "the service behind the plugin's socket" = {
      put.sockets.rat-plugin-auth.socketConfig.Service = "ratq.service";
      fails = "RAT is up";
    };
    "a ratd that does not wait for plugins" = {
      put.services.ratd = {
        requires = [
          "ratd.socket"
          "ratd-internal.socket"
          "rat-plugin-auth.service"
        ];
        after = [
          "ratd.socket"
          "ratd-internal.socket"
          "postgresql.target"
          "rat-plugin-auth.service"
        ];
      };
      fails = "ratd is ready although its plugin cannot start";
    };
  };
}
