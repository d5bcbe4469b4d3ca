# A machine with RAT boots, everything listens and is healthy, and the example project runs.
{
  nodes.machine.imports = [ ./lib/demo.nix ];

  mutations = {
    "the plugin's socket" = {
      drop = [
        [
          "sockets"
          "rat-plugin-auth"
          "wantedBy"
        ]
      ];
      fails = "all sockets listen before any plugin runs";
    };
    "ratd's user" = {
      drop = [
        [
          "services"
          "ratd"
          "serviceConfig"
          "User"
        ]
      ];
      fails = "ratd is ready";
    };
    "the runner's way into the lake" = {
      drop = [
        [
          "services"
          "rat-runner"
          "serviceConfig"
          "ReadWritePaths"
        ]
      ];
      fails = "the example project's pipelines succeed";
    };
    "the start with the machine" = {
      drop = [
        [
          "services"
          "ratd"
          "wantedBy"
        ]
      ];
      fails = "ratd is ready";
    };
  };
}
