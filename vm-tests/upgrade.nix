# A new release takes over under load: nobody is refused, and what runs finishes.
{
  nodes.machine = {
    imports = [ ./lib/demo.nix ];
    specialisation.next.configuration =
      { lib, pkgs, ... }:
      {
        services.rat = {
          package = lib.mkForce pkgs.nextRelease.rat;
          plugins.auth.package = lib.mkForce pkgs.nextRelease.rat-plugin-auth-static;
        };
      };
  };

  mutations = {
    "the public socket" = import ./lib/without-public-socket.nix // {
      fails = "every caller was answered";
    };
    "the time that a runner has for its runs" = {
      put.services.rat-runner.serviceConfig.KillSignal = "SIGKILL";
      fails = "a run that was under way is finished";
    };
  };
}
