# A data platform for a team: behind nginx, which ends TLS, with the users of Keycloak.
{ pkgs, ... }:
{
  services.rat = {
    enable = true;

    settings = {
      server.trusted_proxies = [ "127.0.0.1" ];
      server.cors_origins = [ "https://data.example.org" ];
      server.upload_limit = "10GiB";
      runner.slots = 8;
      runner.memory_limit = "8GiB";
    };
    storage.path = "/srv/lake";
    executor.limits.memoryMax = "32G";

    plugins.auth = {
      package = pkgs.rat-plugin-auth-keycloak;
      config = {
        keycloak_url = "https://login.example.org";
        realm = "rat";
        client_id = "rat-api";
        ca_file = "/run/credentials/rat-plugin-auth.service/keycloak-ca";
      };
      # Keycloak, and the resolver that knows its name.
      network = [
        "192.0.2.10"
        "127.0.0.53"
      ];
      credentials.keycloak-ca = "/var/lib/secrets/keycloak-ca.pem";
      limits.memoryMax = "256M";
    };
  };

  services.nginx = {
    enable = true;
    recommendedProxySettings = true;
    virtualHosts."data.example.org" = {
      enableACME = true;
      forceSSL = true;
      locations."/" = {
        proxyPass = "http://127.0.0.1:8080";
        extraConfig = "client_max_body_size 10g;";
      };
    };
  };
  security.acme = {
    acceptTerms = true;
    defaults.email = "admin@example.org";
  };
  networking.firewall.allowedTCPPorts = [
    80
    443
  ];
}
