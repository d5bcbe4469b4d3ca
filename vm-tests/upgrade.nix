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
    # ratd then listens by itself.
    "the public socket" = {
      drop = [
        [
          "sockets"
          "ratd"
        ]
      ];
      put.services.ratd = {
        requires = [ "ratd-internal.socket" ];
        after = [
          "ratd-internal.socket"
          "postgresql.target"
        ];
        serviceConfig = {
          Sockets = "ratd-internal.socket";
          PrivateNetwork = false;
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
          ];
        };
      };
      fails = "every caller was answered";
    };
  };
}
