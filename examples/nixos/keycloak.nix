# Keycloak with RAT's realm on port 8180, and the plugin that lets its users into RAT: what the
# original's compose overlay adds, as a NixOS module.
#
# Import it beside RAT. It is for trying: the realm has users whose passwords everybody knows. In
# earnest give Keycloak a name and TLS (`hostname`, `sslCertificate`, `sslCertificateKey`, or a proxy
# and `proxy-headers`), a realm of your own, and write its address into `issuer` below.
{ lib, pkgs, ... }:

let
  port = 8180;
  keycloak = "http://localhost:${toString port}";
  issuer = "${keycloak}/realms/rat";

  # Until RAT's own module names it: the package that has bin/rat-plugin-auth-keycloak.
  rat = pkgs.rat or (throw "examples/nixos/keycloak.nix: put RAT's programs into pkgs as `rat`");

  # The group that ratd is in.
  group = "rat";

  # JSON is YAML. No secret is among it: the plugin needs none.
  pluginConfig = pkgs.writeText "auth-keycloak.yaml" (
    builtins.toJSON {
      keycloak_url = keycloak;
      realm = "rat";
      client_id = "rat-api";
      authorized_parties = [
        "rat-ui"
        "rat-cli"
      ];
    }
  );
in
{
  services.keycloak = {
    enable = true;
    # Imported when Keycloak starts, unless there is a realm of that name already.
    realmFiles = [ ../keycloak/rat-realm.json ];
    settings = {
      hostname = keycloak;
      http-enabled = true;
      http-host = "127.0.0.1";
      http-port = port;
    };
    # A string, so that the file does not end up in the Nix store. Make it beforehand:
    #   install -d -m 0700 /var/lib/secrets
    #   (umask 077; head -c 24 /dev/urandom | base64 > /var/lib/secrets/keycloak-database)
    database.passwordFile = "/var/lib/secrets/keycloak-database";
  };

  users.groups.${group} = { };

  # systemd holds the socket: a plugin that is restarted costs nobody a request.
  systemd.sockets.rat-plugin-auth-keycloak = {
    description = "Socket of RAT's logins with Keycloak";
    wantedBy = [ "sockets.target" ];
    socketConfig = {
      ListenStream = "/run/rat/plugins/auth-keycloak.sock";
      SocketMode = "0660";
      SocketGroup = group;
    };
  };

  systemd.services.rat-plugin-auth-keycloak = {
    description = "RAT's logins with Keycloak";
    wantedBy = [ "multi-user.target" ];
    requires = [ "rat-plugin-auth-keycloak.socket" ];
    # Not after Keycloak: the plugin waits for it, and says so.
    stopIfChanged = false;
    serviceConfig = {
      Type = "notify";
      ExecStart = "${lib.getExe' rat "rat-plugin-auth-keycloak"} --config ${pluginConfig}";
      Restart = "always";
      # A wrong configuration is not mended by starting again.
      RestartPreventExitStatus = 78;
      WatchdogSec = 30;

      DynamicUser = true;
      CapabilityBoundingSet = "";
      IPAddressAllow = "localhost";
      IPAddressDeny = "any";
      LockPersonality = true;
      MemoryDenyWriteExecute = true;
      MemoryMax = "256M";
      PrivateDevices = true;
      ProcSubset = "pid";
      ProtectClock = true;
      ProtectControlGroups = true;
      ProtectHome = true;
      ProtectHostname = true;
      ProtectKernelLogs = true;
      ProtectKernelModules = true;
      ProtectKernelTunables = true;
      ProtectProc = "invisible";
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      SystemCallArchitectures = "native";
      SystemCallFilter = [
        "@system-service"
        "~@privileged"
        "~@resources"
      ];
      UMask = "0077";
    };
  };

  # What goes with it into rat.yaml. ratd sends the plugin no configuration, because that has its own.
  environment.etc."rat/auth-keycloak.example.yaml".text = ''
    auth:
      login_issuer: ${issuer}
    plugins:
      auth:
        image: ghcr.io/squat-collective/auth-keycloak:latest
        address: unix:/run/rat/plugins/auth-keycloak.sock
  '';
}
