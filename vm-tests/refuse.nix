# A configuration that is wrong is refused with its reason, and nothing loops.
#
# What the module's options and `units.nix` refuse is shown where the module is tested; here it is
# what a machine does with a rat.yaml that got past them.
{
  nodes.machine.imports = [ ./lib/demo.nix ];

  mutations = {
    "the exit code that ends it" = {
      drop = [
        [
          "services"
          "ratd"
          "serviceConfig"
          "RestartPreventExitStatus"
        ]
      ];
      fails = "a bad rat.yaml ends ratd with 78, and it stays down";
    };
    # Its default would be a limit, too.
    "the limit on tries" = {
      put.sockets.ratd.socketConfig.TriggerLimitBurst = 0;
      fails = "callers that wait have it tried a bounded number of times, then the socket fails";
    };
  };
}
