# A mutation: systemd does not hold ratd's public socket, and ratd listens by itself.
{
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
}
