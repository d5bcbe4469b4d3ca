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
    message = "A definition for option `services.rat.apiKeyFile' is not of type `null or absolute path not in the Nix store'";
  };
  a-credential-in-the-store = {
    configuration = of {
      plugins.auth = {
        package = stub;
        credentials.key = "/nix/store/44444444444444444444444444444444-key";
      };
    };
    message = "A definition for option `services.rat.plugins.auth.credentials.key' is not of type `absolute path not in the Nix store'";
  };
  a-lake-that-services-do-not-see = {
    configuration = of { storage.path = "/home/alice/lake"; };
    message = "services.rat.storage.path: /home/alice/lake is ratd's own folder or one that services do not see";
  };
  a-lake-in-the-way-of-ratd = {
    configuration = of { storage.path = "/var/lib/rat"; };
    message = "services.rat.storage.path: /var/lib/rat is ratd's own folder";
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
  limits-of-no-executor = {
    configuration = of {
      runner.enable = false;
      settings.runner.address = "10.0.0.1:50052";
      executor.limits.memoryMax = "1G";
    };
    message = "services.rat.executor.limits: nothing on this machine executes runs";
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
}
