# RAT with the users of a Keycloak on the same machine, on port 8180, with RAT's realm: what the
# original's compose overlay adds to it, in the terms of NixOS.
#
# It is for trying: the realm has users whose passwords everybody knows. In earnest give Keycloak a
# name and TLS (`hostname`, with `sslCertificate` and `sslCertificateKey`, or `proxy-headers` behind
# a proxy) and a realm of your own.
{ pkgs, ... }:
let
  port = 8180;
  keycloak = "http://localhost:${toString port}";
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

  services.rat = {
    enable = true;

    # Where `rat login` sends people.
    settings.auth.login_issuer = "${keycloak}/realms/rat";

    # Started without waiting for Keycloak: the plugin does that, and says so.
    plugins.auth = {
      package = pkgs.rat-plugin-auth-keycloak;
      config = {
        keycloak_url = keycloak;
        realm = "rat";
        client_id = "rat-api";
        # Besides the tokens of rat-api: those that people get.
        authorized_parties = [
          "rat-ui"
          "rat-cli"
        ];
      };
      # Keycloak, and nothing else.
      network = [
        "127.0.0.1"
        "::1"
      ];
      limits.memoryMax = "256M";
    };
  };
}
