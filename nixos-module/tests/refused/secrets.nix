# Secrets that anybody could read, and files that ratd would not find.
{
  of,
  stored,
  stub,
}:
let
  each = import ./each.nix;
  plugin =
    options:
    of {
      plugins.auth = {
        package = stub;
      }
      // options;
    };
in
each "a-credential-that-is-not-there"
  [
    [
      "auth"
      "api_key_file"
    ]
    [
      "catalog"
      "ca_file"
    ]
    [
      "catalog"
      "client_secret_file"
    ]
    [
      "catalog"
      "token_file"
    ]
    [
      "database"
      "url_file"
    ]
  ]
  (path: {
    configuration =
      of {
        credentials.api-key = "/run/secrets/key";
        settings.${builtins.head path}.${builtins.elemAt path 1} = "api-kez";
      }
      // {
        # Others have other names.
        systemd.services.ratd.serviceConfig.SetCredential = "api-ke:z";
      };
    message = "services.rat.settings.${builtins.concatStringsSep "." path}: there is no credential api-kez; add services.rat.credentials.api-kez, or give the absolute path";
  })
// each "a-certificate-that-is-not-there" [ "ca" "cert" "key" ] (name: {
  configuration = of {
    plugins.auth = {
      address = "https://auth.example.org";
      tls.${name} = "pem";
      # That is of the plugin.
      credentials.pem = "/run/secrets/pem";
    };
  };
  message = "services.rat.plugins.auth.tls.${name}: there is no credential pem; add services.rat.credentials.pem, or";
})
//
  each "a-secret-of-a-plugin"
    [
      "password"
      "client_secret"
      "apiKey"
      "AWS_SECRET_ACCESS_KEY"
      "token"
      "key"
      "private-key"
    ]
    (key: {
      configuration = plugin {
        config.deep = [ { ${key} = "abc"; } ];
        notSecret = [ "other" ];
      };
      message = "services.rat.plugins.auth.config.deep.*.${key}: sounds like a secret, and everybody can read what is in the Nix store; put it into a file that services.rat.plugins.auth.credentials hands over, and name that in ${key}_file, or, if it is none, have services.rat.plugins.auth.notSecret say so";
    })
// each "a-secret-of-a-plugin-that-would-be-copied" [ ./secrets.nix stored ] (value: {
  configuration = plugin { config.client_secret = value; };
  message = "services.rat.plugins.auth.config.client_secret: everybody can read what is in the Nix store; keep the file elsewhere";
})
//
  each "a-url-of-a-plugin-with-a-password"
    [
      "https://user:word@example.org"
      "amqp://:word@example.org/a"
      "postgres://user:w@rd@[::1]:5432/db"
      "https://example.org/?a=b&access_token=word#there"
    ]
    (value: {
      configuration = plugin { config.keycloak_url = value; };
      message = "services.rat.plugins.auth.config.keycloak_url: has a password in it, and everybody can read what is in the Nix store; put it into a file that services.rat.plugins.auth.credentials hands over";
    })
//
  each "a-database-with-its-password"
    [
      "postgres://rat:word@db.example.org/rat"
      "postgresql://rat@db.example.org/rat?sslmode=require&password=word"
      "postgres://db.example.org/rat?sslpassword=word"
    ]
    (url: {
      configuration = of {
        database.createLocally = false;
        settings.database.url = url;
      };
      message = "services.rat.settings.database.url: has a password in it, and everybody can read what is in the Nix store; put the URL into a file, and set services.rat.database.urlFile";
    })
// {
  a-catalog-with-its-password = {
    configuration = of {
      catalog = {
        type = "rest";
        uri = "https://user:word@catalog.example.org";
      };
    };
    message = "services.rat.settings.catalog.uri: has a password in it, and everybody can read what is in the Nix store; leave it out, and set services.rat.catalog.tokenFile, or";
  };
  a-key-in-the-settings = {
    configuration = of { settings.auth.api_key = "abc"; };
    message = "services.rat.settings.auth.api_key: sounds like a secret, and everybody can read what is in the Nix store; put it into a file that services.rat.credentials hands over, and name that in api_key_file";
  };
}
