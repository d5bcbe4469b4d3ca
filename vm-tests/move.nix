# Addresses change with the configuration, and sockets are where it says without a hand.
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    specialisation = {
      elsewhere.configuration.services.rat = {
        settings = {
          server.listen = "127.0.0.1:8090";
          runner.address = "unix:/run/rat/pool.sock";
        };
        plugins.auth.address = "unix:/run/rat/plugins/login.sock";
      };
      both.configuration.systemd.sockets.ratd.listenStreams = [ "127.0.0.1:8091" ];
    };
  };

  mutations = {
    "what moves sockets" = {
      drop = [
        [
          "services"
          "rat-sockets"
        ]
      ];
      fails = "sockets are at their new addresses, and nobody is at the old ones";
    };
  };
}
