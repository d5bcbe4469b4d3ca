# Configurations that have to be refused, each with the beginning of what is said about it.
let
  stub = {
    type = "derivation";
    name = "plugin-1.0";
    outPath = "/nix/store/33333333333333333333333333333333-plugin-1.0";
    meta.mainProgram = "plugin";
  };
  of = options: {
    services.rat = {
      enable = true;
    }
    // options;
  };
  stored = "/nix/store/44444444444444444444444444444444-key";
in
{
  a-key-that-does-not-exist = {
    configuration = of { pluginz = { }; };
    message = "The option `services.rat.pluginz' does not exist";
  };
  a-slot-that-does-not-exist = {
    configuration = of { plugins.login.package = stub; };
    message = "services.rat.plugins.login: there is no slot of this name";
  };
  a-plugin-without-package-and-address = {
    configuration = of { plugins.auth = { }; };
    message = "services.rat.plugins.auth.package: is not set";
  };
  a-plugin-here-with-an-address-elsewhere = {
    configuration = of {
      plugins.auth = {
        package = stub;
        address = "auth.example.org:50060";
      };
    };
    message = "services.rat.plugins.auth.address: systemd cannot listen on auth.example.org:50060";
  };
  a-plugin-elsewhere-with-credentials = {
    configuration = of {
      plugins.cloud = {
        address = "10.0.0.1:50064";
        credentials.key = "/run/secrets/key";
      };
    };
    message = "services.rat.plugins.cloud.credentials: the plugin runs elsewhere";
  };
  a-plugin-elsewhere-with-a-network = {
    configuration = of {
      plugins.cloud = {
        address = "10.0.0.1:50064";
        network = [ "any" ];
      };
    };
    message = "services.rat.plugins.cloud.network: the plugin runs elsewhere";
  };
  stopping-a-plugin-that-cannot-stop-itself = {
    configuration = of {
      plugins.sharing = {
        package = stub;
        sdk = false;
        idleStop = "5m";
      };
    };
    message = "services.rat.plugins.sharing.idleStop: is done by rat-plugin-sdk";
  };
  a-time-without-unit = {
    configuration = of {
      plugins.sharing = {
        package = stub;
        idleStop = "5";
      };
    };
    message = "A definition for option `services.rat.plugins.sharing.idleStop' is not of type";
  };
  a-host-name-in-a-network = {
    configuration = of {
      plugins.auth = {
        package = stub;
        network = [ "login.example.org" ];
      };
    };
    message = "A definition for option `services.rat.plugins.auth.network.";
  };
  a-secret-in-the-store = {
    configuration = of { apiKeyFile = "/nix/store/44444444444444444444444444444444-key"; };
    message = "A definition for option `services.rat.apiKeyFile' is not of type `null or absolute path not in the Nix store";
  };
  a-credential-in-the-store = {
    configuration = of {
      plugins.auth = {
        package = stub;
        credentials.key = "/nix/store/44444444444444444444444444444444-key";
      };
    };
    message = "A definition for option `services.rat.plugins.auth.credentials.key' is not of type `absolute path not in the Nix store";
  };
  two-databases = {
    configuration = of { database.urlFile = "/run/secrets/url"; };
    message = "services.rat.database.urlFile: the database would be here and elsewhere";
  };
  a-host-name-to-listen-on = {
    configuration = of { settings.server.listen = "data.example.org:8080"; };
    message = "services.rat.settings.server.listen: systemd cannot listen on data.example.org:8080";
  };
  a-firewall-that-is-opened-for-nobody = {
    configuration = of { openFirewall = true; };
    message = "services.rat.openFirewall: nobody but this machine can reach 127.0.0.1:8080";
  };
  an-external-catalog-without-address = {
    configuration = of { catalog.type = "rest"; };
    message = "services.rat.catalog.uri: is needed";
  };
  a-client-without-its-secret = {
    configuration = of {
      catalog = {
        type = "rest";
        uri = "https://catalog.example.org";
        clientId = "rat";
      };
    };
    message = "services.rat.catalog.clientSecretFile: clientId and clientSecretFile belong together";
  };
  no-runner-anywhere = {
    configuration = of { runner.enable = false; };
    message = "services.rat.runner.enable: ratd would find none";
  };
  no-ratq-anywhere = {
    configuration = of { ratq.enable = false; };
    message = "services.rat.ratq.enable: ratd would find none";
  };
  a-plugin-past-its-options = {
    configuration = of {
      settings.plugins.auth = {
        image = "auth";
        address = "unix:/run/auth.sock";
      };
    };
    message = "services.rat.settings.plugins.auth: plugins have options of their own";
  };

  # Addresses.
  a-runner-here-with-a-host-name = {
    configuration = of { settings.runner.address = "runner.example.org:50052"; };
    message = "services.rat.settings.runner.address: systemd cannot listen on runner.example.org:50052 for this machine alone; leave it out, or give 127.0.0.1 with a port, or unix:/path";
  };
  a-ratq-here-with-a-host-name = {
    configuration = of { settings.ratq.address = "ratq.example.org:50053"; };
    message = "services.rat.settings.ratq.address: systemd cannot listen on ratq.example.org:50053";
  };
  an-internal-socket-with-a-host-name = {
    configuration = of { settings.server.internal_socket = "data.example.org:8081"; };
    message = "services.rat.settings.server.internal_socket: systemd cannot listen on data.example.org:8081 for this machine alone; leave it out";
  };
  an-internal-socket-for-others = {
    configuration = of { settings.server.internal_socket = "0.0.0.0:8081"; };
    message = "services.rat.settings.server.internal_socket: systemd cannot listen on 0.0.0.0:8081 for this machine alone";
  };
  an-address-that-is-a-number = {
    configuration = of { settings.ratq.address = 50053; };
    message = "services.rat.settings.ratq.address: 50053 is no address";
  };
  a-runner-elsewhere-on-no-port = {
    configuration = of {
      runner.enable = false;
      settings.runner.address = "runner.example.org:70000";
    };
    message = "services.rat.settings.runner.address: \"runner.example.org:70000\" is no address";
  };
  a-plugin-elsewhere-on-no-port = {
    configuration = of { plugins.cloud.address = "https://cloud.example.org:70000"; };
    message = "services.rat.plugins.cloud.address: \"https://cloud.example.org:70000\" is no address";
  };
  a-plugin-here-with-tls = {
    configuration = of {
      plugins.auth = {
        package = stub;
        address = "https://localhost:50060";
      };
    };
    message = "services.rat.plugins.auth.address: systemd cannot listen on https://localhost:50060";
  };
  any-port = {
    configuration = of { settings.server.listen = "127.0.0.1:0"; };
    message = "services.rat.settings.server.listen: systemd cannot listen on 127.0.0.1:0";
  };
  a-path-that-is-too-long = {
    configuration = of {
      settings.server.listen = "unix:/run/${
        builtins.concatStringsSep "" (builtins.genList (_: "x") 103)
      }";
    };
    message = "services.rat.settings.server.listen: systemd cannot listen on unix:/run/xxx";
  };
  two-daemons-on-one-socket = {
    configuration = of { settings.server.listen = "unix:///run/rat/runner.sock"; };
    message = "services.rat.settings.server.listen: on unix:///run/rat/runner.sock there is services.rat.settings.runner.address already; give it";
  };
  two-daemons-on-one-port = {
    configuration = of {
      settings.runner.address = "[0:0::1]:9000";
      settings.ratq.address = "[::1]:9000";
    };
    message = "services.rat.settings.ratq.address: on [::1]:9000 there is services.rat.settings.runner.address already";
  };
  a-daemon-on-the-port-of-all-interfaces = {
    configuration = of {
      settings.server.listen = "0.0.0.0:8080";
      settings.server.internal_socket = "127.0.0.1:8080";
    };
    message = "services.rat.settings.server.internal_socket: on 127.0.0.1:8080 there is services.rat.settings.server.listen already";
  };
  a-plugin-on-the-port-of-ratd = {
    configuration = of {
      plugins.auth = {
        package = stub;
        address = "localhost:8080";
      };
    };
    message = "services.rat.plugins.auth.address: on localhost:8080 there is services.rat.settings.server.listen already";
  };
  two-plugins-on-one-socket = {
    configuration = of {
      plugins.auth = {
        package = stub;
        address = "unix:/run/rat/plugins/cloud.sock";
      };
      plugins.cloud.package = stub;
    };
    message = "services.rat.plugins.auth.address: on unix:/run/rat/plugins/cloud.sock there is services.rat.plugins.cloud.address already";
  };

  # Databases.
  a-database-past-the-one-on-this-machine = {
    configuration = of { settings.database.url = "sqlite:/var/lib/rat/rat.db"; };
    message = "services.rat.settings.database.url: is what services.rat.database.createLocally makes of it; leave it out, and set services.rat.database.createLocally = false";
  };
  a-database-file-past-the-one-on-this-machine = {
    configuration = of { settings.database.url_file = "url"; };
    message = "services.rat.settings.database.url_file: the database would be here and elsewhere; set services.rat.database.createLocally = false";
  };
  a-database-file-past-its-option = {
    configuration = of {
      database.createLocally = false;
      database.urlFile = "/run/secrets/url";
      settings.database.url_file = "url";
    };
    message = "services.rat.settings.database.url_file: is what services.rat.database.urlFile makes of it; leave it out, and set services.rat.database.urlFile";
  };
  two-urls-of-databases = {
    configuration = of {
      database.createLocally = false;
      database.urlFile = "/run/secrets/url";
      settings.database.url = "postgres://rat@db.example.org/rat";
    };
    message = "services.rat.settings.database.url: the URL is in a file already; leave it out, or services.rat.database.urlFile";
  };

  # The catalog.
  a-token-and-a-client = {
    configuration = of {
      catalog = {
        type = "rest";
        uri = "https://catalog.example.org";
        tokenFile = "/run/secrets/token";
        clientId = "rat";
        clientSecretFile = "/run/secrets/client";
      };
    };
    message = "services.rat.catalog.tokenFile: ratd would show a token and be a client";
  };

  # Secrets in the store.
  a-key-of-a-plugin-in-the-store = {
    configuration = of {
      plugins.auth = {
        address = "https://auth.example.org";
        tls.key = stored;
      };
    };
    message = "services.rat.plugins.auth.tls.key: everybody can read what is in the Nix store; keep the file elsewhere, and hand it over with services.rat.credentials";
  };
  a-secret-of-a-plugin-in-the-store = {
    configuration = of {
      plugins.auth = {
        package = stub;
        config.login.secrets = [ { client_secret_file = stored; } ];
      };
    };
    message = "services.rat.plugins.auth.config.login.secrets.*.client_secret_file: everybody can read what is in the Nix store; keep the file elsewhere, and hand it over with services.rat.plugins.auth.credentials";
  };
  a-secret-that-would-be-copied-into-the-store = {
    configuration = of { settings.auth.api_key_file = ./refused.nix; };
    message = "services.rat.settings.auth.api_key_file: everybody can read what is in the Nix store";
  };

  # Settings past their options.
  a-lake-past-its-option = {
    configuration = of { settings.storage.url = "file:///srv/lake"; };
    message = "services.rat.settings.storage.url: is what services.rat.storage.path makes of it; leave it out, and set services.rat.storage.path";
  };
  an-address-of-a-plugin-past-its-option = {
    configuration = of {
      plugins.auth.package = stub;
      settings.plugins.auth.address = "unix:/run/auth.sock";
    };
    message = "services.rat.settings.plugins.auth.address: is what services.rat.plugins.auth.address makes of it; leave it out";
  };

  # Folders.
  a-lake-with-characters-of-a-shell = {
    configuration = of { storage.path = "/srv/my lake"; };
    message = "services.rat.storage.path: \"/srv/my lake\" has characters that not everything that reads tables takes; take /var/lib/rat/lake, or";
  };
  a-lake-in-the-way-of-ratd = {
    configuration = of { storage.path = "/var/lib/rat"; };
    message = "services.rat.storage.path: \"/var/lib/rat\" is ratd's own folder; take /var/lib/rat/lake";
  };
  a-lake-in-the-state-of-another-service = {
    configuration = of { storage.path = "/var/lib/other/lake"; } // {
      systemd.services.other.serviceConfig.StateDirectory = "first other:second";
    };
    message = "services.rat.storage.path: \"/var/lib/other/lake\" is in /var/lib/other, which is another service's; take";
  };
  a-lake-in-the-second-state-of-another-service = {
    configuration = of { storage.path = "/var/lib/other"; } // {
      systemd.services.other.serviceConfig.StateDirectory = [
        "zeroth"
        "first other"
      ];
    };
    message = "services.rat.storage.path: \"/var/lib/other\" is another service's; take";
  };
  a-database-file-without-folder = {
    configuration = of {
      database.createLocally = false;
      settings.database.url = "sqlite:rat.db";
    };
    message = "services.rat.settings.database.url: \"rat.db\" is no absolute path";
  };
}
// import ./refused/values.nix { inherit of stored stub; }
// import ./refused/secrets.nix { inherit of stored stub; }
// import ./refused/useless.nix { inherit of stub; }
