# Values that have to be refused, each for itself.
{
  of,
  stored,
  stub,
}:
let
  each = import ./each.nix;

  # Of the system, of other services, or out of their sight; or not to be read as one thing.
  folders = [
    "/"
    "/a//b"
    "/a/../etc"
    "/a/./b"
    "/a/"
    "a"
    "/bin"
    "/boot/lake"
    "/dev/shm/lake"
    "/etc"
    "/etc/rat"
    "/home"
    "/home/alice/lake"
    "/lib"
    "/media"
    "/mnt"
    "/nix/lake"
    "/opt"
    "/proc"
    "/root/lake"
    "/run/lake"
    "/srv"
    "/sys"
    "/tmp/lake"
    "/usr"
    "/var"
    "/var/lib"
    "/var/lib/postgresql"
    "/var/lib/postgresql/17"
    "/var/lib/private/lake"
    "/var/lib/rat-plugins/auth"
    "/var/log"
    "/var/tmp"
    "/var/tmp/lake"
  ];
  spills = folders ++ [
    "/var/lib/rat"
    "/var/lib/rat/spill"
  ];
in
each "an-address-systemd-does-not-take"
  [
    "127.0.0.1:08080"
    "127.0.0.1:70000"
    "999.1.1.1:8080"
    "1.2.3:8080"
    "[1.2.3.4]:8080"
    "[::1::]:8080"
    "::1:8080"
    ":8080"
    "unix:run/rat.sock"
  ]
  (at: {
    configuration = of { settings.server.listen = at; };
    message = "services.rat.settings.server.listen: \"${at}\" is no address; an address is host:port, [ipv6]:port or unix:/path";
  })
//
  each "a-block-systemd-does-not-take"
    [
      "999.1.1.1"
      "010.1.1.1"
      "10.0.0.0/33"
      "10.0.0.0/08"
      "::1/129"
      "1::2::3"
      "fe80::1%eth0"
      "1.2.3"
      "abc:"
      ""
    ]
    (block: {
      configuration = of {
        plugins.auth = {
          package = stub;
          network = [ block ];
        };
      };
      message = "is not of type `IP address, block of addresses such as 192.0.2.0/24,";
    })
//
  each "a-name-systemd-does-not-take"
    [
      "a:b"
      "a/b"
      "%n"
      "a b"
      ""
      "."
      ".."
      (builtins.concatStringsSep "" (builtins.genList (_: "x") 256))
    ]
    (name: {
      configuration = of { credentials.${name} = "/run/secrets/key"; };
      message = "services.rat.credentials.\"${name}\": is no name for a credential of systemd; take letters,";
    })
// each "a-name-systemd-does-not-take-of-a-plugin" [ "a:b" "%n" ] (name: {
  configuration = of {
    plugins.auth = {
      package = stub;
      credentials.${name} = "/run/secrets/key";
    };
  };
  message = "services.rat.plugins.auth.credentials.\"${name}\": is no name for a credential of systemd";
})
//
  each "a-file-systemd-does-not-take"
    [
      "/run/../secret"
      "/run//secret"
      "/run/./secret"
      "/run/secrets/"
      "/run/a\nLoadCredential=b:/etc/shadow"
      "/run/a\\"
    ]
    (file: {
      configuration = of { credentials.key = file; };
      message = "A definition for option `services.rat.credentials.key' is not of type `absolute path not in the Nix store, without";
    })
//
  each "a-secret-in-the-store-by"
    [
      [
        "auth"
        "api_key_file"
      ]
      [
        "catalog"
        "token_file"
      ]
      [
        "catalog"
        "client_secret_file"
      ]
    ]
    (path: {
      configuration = of {
        settings.${builtins.head path}.${builtins.elemAt path 1} = stored;
      };
      message = "services.rat.settings.${builtins.concatStringsSep "." path}: everybody can read what is in the Nix store; keep the file elsewhere, and hand it over with services.rat.credentials";
    })
//
  each "an-option-of-a-catalog-that-is-not-there"
    [
      "uri"
      "warehouse"
      "tokenFile"
      "clientId"
      "clientSecretFile"
    ]
    (option: {
      configuration = of { catalog.${option} = "/run/secrets/word"; };
      message = "services.rat.catalog.${option}: ratd's own catalog has no use for it; leave it out, or set services.rat.catalog.type = \"rest\"";
    })
// each "a-lake-in-a-folder-of-others" folders (folder: {
  configuration = of { storage.path = folder; };
  message = "services.rat.storage.path: ${builtins.toJSON folder} ";
})
// each "a-spill-in-a-folder-of-others" spills (folder: {
  configuration = of { settings.runner.temp_dir = folder; };
  message = "services.rat.settings.runner.temp_dir: ${builtins.toJSON folder} ";
})
// each "a-database-in-a-folder-of-others" folders (folder: {
  configuration = of {
    database.createLocally = false;
    settings.database.url = "sqlite:${folder}/rat.db";
  };
  message = "services.rat.settings.database.url: ";
})
