# The units with blanks in place of what a machine's rat.yaml says: what `rat units` fills in. One
# text; `cargo xtask units` writes it to where `rat` takes it from.
#
# Words between @ are the blanks. A line with one that stands for many values is there for each of
# them. What cannot be a blank has a variant: the network that a service needs (none, local, any; of
# a plugin: none, some, any), whether a plugin is built on the SDK, the kind of a socket's address
# (unix, port), and whether its plugin ends when nobody calls it (idle).
let
  inherit (builtins)
    concatMap
    concatStringsSep
    map
    replaceStrings
    ;

  # An address that is nobody's (RFC 5737).
  port = "192.0.2.1:1";
  settings = {
    server.listen = "unix:/@listen@";
    server.internal_socket = "unix:/@listen@";
    runner.address = "unix:/@listen@";
    runner.temp_dir = "/@spill@";
    ratq.address = "unix:/@listen@";
    storage.url = "file:///@lake@";
    database.url = "sqlite:/@database_folder@/rat.db";
    plugins."@slot@".address = "unix:/@listen@";
  };
  onPorts = settings // {
    server.listen = port;
    server.internal_socket = port;
    runner = settings.runner // {
      address = port;
    };
    ratq.address = port;
    plugins."@slot@".address = port;
  };
  internalOnLoopback = settings // {
    server = settings.server // {
      internal_socket = "127.0.0.1:1";
    };
  };
  idle =
    settings:
    settings
    // {
      plugins."@slot@" = settings.plugins."@slot@" // {
        idle_stop = "1s";
      };
    };
  withPlugin =
    address:
    settings
    // {
      plugins = settings.plugins // {
        other.address = address;
      };
    };

  render = renderOf true;
  renderOf =
    sdk: settings: network:
    import ./text.nix (
      import ./units.nix {
        inherit settings;
        configFile = "@config@";
        databaseUnit = "@database_unit@";
        programs = {
          ratd = "@programs@/ratd";
          runner = "@programs@/rat-runner";
          ratq = "@programs@/ratq";
        };
        credentials."@credential@" = "@credential_file@";
        plugins."@slot@" = {
          inherit network sdk;
          program = "@program@";
          arguments = [ "@arguments@" ];
          credentials."@credential@" = "@credential_file@";
        };
      }
    );
  plain = render settings [ ];

  variant = file: name: texts: {
    title = "${file} ${name}";
    # That of a plugin depends on its slot.
    text = replaceStrings [ "=rat-plugins.slice" ] [ "=@plugin_slice@" ] texts."system/${file}";
  };
  plugins =
    concatMap
      (
        { name, network }:
        map
          (
            { suffix, sdk }:
            variant "rat-plugin-@slot@.service" "${name}${suffix}" (renderOf sdk settings network)
          )
          [
            {
              suffix = "";
              sdk = true;
            }
            {
              suffix = "-without-sdk";
              sdk = false;
            }
          ]
      )
      [
        {
          name = "none";
          network = [ ];
        }
        {
          name = "some";
          network = [ "@network@" ];
        }
        {
          name = "any";
          network = [ "any" ];
        }
      ];
  sockets =
    concatMap
      (file: [
        (variant file "unix" plain)
        (variant file "port" (render onPorts [ ]))
      ])
      (
        map (name: "${name}.socket") [
          "ratd"
          "ratd-internal"
          "rat-runner"
          "ratq"
          "rat-plugin-@slot@"
        ]
      );
  daemons =
    concatMap
      (file: [
        (variant file "none" plain)
        (variant file "local" (render internalOnLoopback [ ]))
      ])
      [
        "rat-runner.service"
        "ratq.service"
      ];
  templates = [
    (variant "ratd.service" "none" plain)
    (variant "ratd.service" "local" (render (withPlugin "127.0.0.1:1") [ ]))
    (variant "ratd.service" "any" (render (withPlugin port) [ ]))
    (variant "rat-plugin-@slot@.socket" "unix-idle" (render (idle settings) [ ]))
    (variant "rat-plugin-@slot@.socket" "port-idle" (render (idle onPorts) [ ]))
  ]
  ++ plugins
  ++ daemons
  ++ sockets
  ++ map (file: variant file "-" plain) [
    "rat.slice"
    "rat-plugins.slice"
    "rat-runs.slice"
  ]
  ++
    map
      (file: {
        title = "${file} -";
        text = plain.${file};
      })
      [
        "sysusers.d/rat.conf"
        "tmpfiles.d/rat.conf"
      ];
in
''
  Made of nixos-module/units.nix by `cargo xtask units`: not to be changed by hand.
''
+ concatStringsSep "" (map (template: "==== ${template.title}\n${template.text}") templates)
