# Parts that run elsewhere: the database, the catalog, and the plugin that says who a caller is.
{
  services.rat = {
    enable = true;
    settings.server.listen = "0.0.0.0:8080";
    openFirewall = true;

    database = {
      createLocally = false;
      urlFile = "/var/lib/secrets/rat-database-url";
    };
    catalog = {
      type = "rest";
      uri = "https://catalog.example.org";
      warehouse = "lake";
      tokenFile = "/var/lib/secrets/catalog-token";
    };

    plugins.auth = {
      address = "https://auth.example.org:50060";
      image = "ghcr.io/squat-collective/auth-keycloak:latest";
      tls.key = "ratd-key";
      tls.cert = "/etc/rat/ratd.pem";
    };
    credentials.ratd-key = "/var/lib/secrets/ratd-key.pem";
  };
}
