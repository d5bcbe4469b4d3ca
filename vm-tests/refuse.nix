# A configuration that is wrong is refused with its reason, and nothing loops.
#
# What the module's options and `units.nix` refuse is shown where the module is tested; here it is
# what a machine does with a rat.yaml that got past them.
{
  nodes.machine =
    { config, ... }:
    let
      built = config.environment.etc."rat/rat.yaml".source;
    in
    {
      imports = [ ./lib/demo.nix ];
      # The command that builds rat.yaml. The stand-in for nixpkgs has another name for it.
      environment.etc."scenario/build".text = built.buildCommand or built.script;
    };

  mutations = {
    "the check in the build" = {
      module =
        { lib, pkgs, ... }:
        {
          environment.etc."rat/rat.yaml".source = lib.mkForce (
            pkgs.runCommand "rat.yaml" { } "cp /etc/rat/rat.yaml $out"
          );
        };
      fails = "what builds a system refuses it, with the place of each mistake";
    };
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
