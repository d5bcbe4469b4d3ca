# The units of RAT: a pure function from settings and paths to attribute sets. It needs neither
# nixpkgs nor a NixOS machine, so that the text that runs on NixOS is the text that is tested, and
# that `rat units` writes for other distributions.
#
# Input (everything but `settings` and `programs` may be left out):
#
#   settings     what is in rat.yaml, as attributes; keys that are left out have RAT's defaults
#   programs     { ratd = "/…/bin/ratd"; runner = "/…/bin/rat-runner"; ratq = "/…/bin/ratq"; }
#   plugins      the plugins that run on this machine, by slot; each is named in
#                `settings.plugins` too, which has its address:
#     program      path of the plugin's program
#     arguments    more arguments for it                                   [ ]
#     sdk          it is built on rat-plugin-sdk: it notifies systemd,
#                  feeds the watchdog and takes --configure-from           true
#     network      whom it may reach: addresses, blocks, localhost, any    [ ] (no network at all)
#     credentials  name of the credential = file                           { }
#     idleStop     end after no call for so long, as in "5m"; null: never  null
#     limits       { memoryMax, cpuQuota, tasksMax }                       512M, 100%, 128
#   credentials  those of ratd: name = file                                { }
#   limits       { ratd, runner, ratq } with the keys above                see below
#   configFile   where the daemons find rat.yaml                           /etc/rat/rat.yaml
#   databaseUnit unit of a PostgreSQL on this machine                      null
#
# Output, in the words of NixOS' options:
#
#   services     name = { description, wantedBy, requires, after, wants, partOf, environment,
#                unitConfig, serviceConfig, stopIfChanged, restartTriggers, reloadTriggers }
#   sockets      name = { description, wantedBy, listenStreams, socketConfig }
#   slices       name = { description, sliceConfig }
#   tmpfiles     path = { d = { mode, user, group }; }
#   users        name = { group, extraGroups, description }
#   groups       [ name ]
#
# A value of the *Config sets is a string, number or boolean, or a list of strings, which is
# written as a line each.
#
# Who owns what: ratd, rat-runner and ratq are users of their own in the group rat-lake, which owns
# the lake's folder. A plugin has a user that exists only while it runs. A socket belongs to whoever
# connects to it: ratd those of the runner, of ratq and of the plugins, rat-lake the internal one of
# ratd. A plugin is let in to its own, by the group rat-slot-<slot>, because it proves its life there.
{
  settings,
  programs,
  plugins ? { },
  credentials ? { },
  limits ? { },
  configFile ? "/etc/rat/rat.yaml",
  databaseUnit ? null,
}:
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    elem
    filter
    hashString
    head
    listToAttrs
    map
    mapAttrs
    match
    replaceStrings
    substring
    toJSON
    ;

  harden = import ./hardening.nix;

  # What the settings say, or RAT's default.
  setting =
    section: key: default:
    let
      found = settings.${section} or null;
      value = if found == null then null else found.${key} or null;
    in
    if value == null then default else value;

  listen = setting "server" "listen" "127.0.0.1:8080";
  internal = setting "server" "internal_socket" "unix:/run/rat/internal.sock";
  runnerAddress = setting "runner" "address" "unix:/run/rat/runner.sock";
  ratqAddress = setting "ratq" "address" "unix:/run/rat/ratq.sock";
  spill = setting "runner" "temp_dir" null;
  lake = folderOf (setting "storage" "url" "file:///var/lib/rat/lake");
  state = "/var/lib/rat";

  # file:///a/b is the folder /a/b.
  folderOf =
    url:
    let
      path = match "file://(/.*[^/])/*" url;
    in
    if path == null then
      throw "storage.url: must be file:///absolute/path, not ${url}"
    else
      head path;

  unixPath =
    address:
    let
      path = match "unix:(/.*)" address;
    in
    if path == null then null else head path;
  isUnix = address: unixPath address != null;

  hostOf =
    address:
    let
      parts = match "(https?://)?(.+):[0-9]+" address;
    in
    if parts == null then address else builtins.elemAt parts 1;
  isLoopback =
    host: host == "localhost" || host == "[::1]" || match "127\\.[0-9]+\\.[0-9]+\\.[0-9]+" host != null;

  # Whom one has to reach to reach `address`.
  reach =
    address:
    if isUnix address then
      [ ]
    else if isLoopback (hostOf address) then
      [ "localhost" ]
    else
      [ "any" ];

  unique =
    names: builtins.foldl' (seen: name: if elem name seen then seen else seen ++ [ name ]) [ ] names;

  # What systemd listens on: a path, or an address in numbers.
  listenStream =
    name: address:
    let
      port = match "localhost:([0-9]+)" address;
      numbers = match "([0-9.]+|\\[[0-9a-fA-F:.]+]):[0-9]+" address;
    in
    if isUnix address then
      literal (unixPath address)
    else if port != null then
      "127.0.0.1:${head port}"
    else if numbers != null then
      address
    else
      throw "${name}: systemd listens on an IP address or a Unix socket, not on ${address}; write the address in numbers";

  # A % begins a specifier in most values of systemd, and blanks end a word.
  literal = replaceStrings [ "%" ] [ "%%" ];
  quoted = text: if match "[a-zA-Z0-9_./:=@%$+,-]+" text != null then text else toJSON text;
  path = text: quoted (literal text);
  command =
    words: concatStringsSep " " (map (word: quoted (replaceStrings [ "$" ] [ "$$" ] (literal word))) words);

  # A socket that `user` may connect to, and `group`.
  socketOf =
    {
      key,
      name,
      address,
      user,
      group,
      mode ? "0660",
      service ? name,
    }:
    {
      wantedBy = [ "sockets.target" ];
      listenStreams = [ (listenStream key address) ];
      socketConfig = {
        Service = "${service}.service";
        FileDescriptorName = name;
        # A configuration that is refused must not be started again for ever: the service fails, the
        # call that waits starts it once more, and so on until the socket fails too. A service that
        # crashes is started less often than that.
        TriggerLimitIntervalSec = 60;
        TriggerLimitBurst = 40;
      }
      // (
        if isUnix address then
          {
            SocketUser = user;
            SocketGroup = group;
            SocketMode = mode;
            DirectoryMode = "0755";
            RemoveOnStop = true;
          }
        else
          {
            # The address may come later than the socket.
            FreeBind = true;
          }
      );
    };

  # What all services have in common.
  daemon =
    {
      program,
      arguments,
      user,
      network,
      bounds,
    }:
    harden { inherit network; }
    // {
      Type = "notify";
      ExecStart = command ([ program ] ++ arguments);
      WatchdogSec = 30;
      # A process that does not even die of SIGABRT is killed.
      TimeoutAbortSec = 5;
      Restart = "on-failure";
      RestartSec = "100ms";
      RestartSteps = 10;
      RestartMaxDelaySec = "10s";
      # 2: the command line is wrong, 78: the configuration is wrong. Neither mends by itself.
      RestartPreventExitStatus = "2 78";
      MemoryMax = bounds.memoryMax;
      TasksMax = bounds.tasksMax;
    }
    // optional "CPUQuota" bounds.cpuQuota
    // (
      if user == null then
        { DynamicUser = true; }
      else
        {
          User = user;
          Group = user;
          SupplementaryGroups = [ "rat-lake" ];
        }
    );

  optional = name: value: if value == null then { } else { ${name} = value; };

  boundsOf =
    defaults: given:
    mapAttrs (name: default: if (given.${name} or null) == null then default else given.${name}) defaults;

  credentialLines = found: map (name: "${name}:${literal (toString found.${name})}") (attrNames found);

  # What a daemon does not read again on SIGHUP: a change of it is a reason to restart.
  fingerprint =
    sections:
    substring 0 32 (
      hashString "sha256" (
        toJSON (
          listToAttrs (
            map (name: {
              inherit name;
              value = settings.${name} or null;
            }) sections
          )
        )
      )
    );
  sectionsBut = without: filter (name: !(elem name without)) (attrNames settings);

  unit = {
    # No limit on the number of starts: the delay grows, and the socket stays.
    StartLimitIntervalSec = 0;
  };

  databaseReach =
    let
      database = settings.database or null;
      url = if database == null then null else database.url or null;
      file = if database == null then null else database.url_file or null;
      isLocal =
        match "sqlite:.*" url != null
        || match "postgres(ql)?://([^/@]*@)?%2[fF].*" url != null
        || match "postgres(ql)?://.*[?&]host=(/|%2[fF]).*" url != null;
      host = match "postgres(ql)?://([^/@]*@)?([^/:?]+|\\[[^]]*])(:[0-9]+)?([/?].*)?" url;
    in
    if file != null then
      # Only ratd may look into it.
      [ "any" ]
    else if url == null || isLocal then
      [ ]
    else if host != null && isLoopback (builtins.elemAt host 2) then
      [ "localhost" ]
    else
      [ "any" ];

  catalogReach = if setting "catalog" "type" "builtin" == "rest" then [ "any" ] else [ ];

  pluginSettings =
    let
      found = settings.plugins or null;
    in
    if found == null then { } else found;
  pluginReach = concatLists (map (slot: reach pluginSettings.${slot}.address) (attrNames pluginSettings));

  ratdNetwork = unique (
    databaseReach ++ catalogReach ++ pluginReach ++ reach runnerAddress ++ reach ratqAddress
  );

  isWithin = folder: path: path == folder || match "${escapeRegex folder}/.*" path != null;
  escapeRegex =
    replaceStrings
      [
        "."
        "+"
        "*"
        "?"
        "("
        ")"
        "["
        "{"
        "^"
        "$"
        "|"
        "\\"
      ]
      [
        "\\."
        "\\+"
        "\\*"
        "\\?"
        "\\("
        "\\)"
        "\\["
        "\\{"
        "\\^"
        "\\$"
        "\\|"
        "\\\\"
      ];

  # The folder of a database file that is not in ratd's own.
  sqliteFolder =
    let
      file = match "sqlite:(//)?(/.*)/[^/]+" (setting "database" "url" "sqlite:${state}/rat.db");
    in
    if file == null || isWithin state (builtins.elemAt file 1) then
      [ ]
    else
      [ (builtins.elemAt file 1) ];

  pluginUnits = map (slot: pluginOf slot plugins.${slot}) (attrNames plugins);
  pluginOf =
    slot: given:
    let
      name = "rat-plugin-${slot}";
      group = "rat-slot-${slot}";
      address = pluginSettings.${slot}.address;
      isSdk = given.sdk or true;
      idleStop = given.idleStop or null;
      network = unique ((given.network or [ ]) ++ reach address);
      bounds = boundsOf {
        memoryMax = "512M";
        cpuQuota = "100%";
        tasksMax = 128;
      } (given.limits or { });
    in
    {
      inherit group;
      socket = {
        inherit name;
        value =
          socketOf {
            key = "plugins.${slot}.address";
            inherit name address group;
            user = "ratd";
          }
          // {
            description = "RAT: socket of the plugin for ${slot}";
          };
      };
      service = {
        inherit name;
        value = {
          description = "RAT: plugin for ${slot}";
          # It is the first connection that starts it.
          wantedBy = [ ];
          requires = [ "${name}.socket" ];
          after = [ "${name}.socket" ];
          stopIfChanged = false;
          unitConfig = unit;
          serviceConfig =
            builtins.removeAttrs (daemon {
              inherit (given) program;
              inherit network bounds;
              arguments =
                (
                  if isSdk then
                    [
                      "--configure-from"
                      "ratd"
                    ]
                  else
                    [ ]
                )
                ++ (
                  if isSdk && idleStop != null then
                    [
                      "--idle-stop"
                      idleStop
                    ]
                  else
                    [ ]
                )
                ++ (given.arguments or [ ]);
              user = null;
            }) (if isSdk then [ ] else [ "WatchdogSec" ])
            // {
              Type = if isSdk then "notify" else "exec";
              Slice = "rat-plugins.slice";
              SupplementaryGroups = [ group ];
              StateDirectory = "rat-plugins/${slot}";
              StateDirectoryMode = "0700";
              LoadCredential = credentialLines (given.credentials or { });
              TimeoutStopSec = 30;
              InaccessiblePaths = [
                "-/run/postgresql"
                "-${state}"
              ];
            };
        };
      };
    };
in
{
  services = {
    ratd = {
      description = "RAT: control plane";
      wantedBy = [ "multi-user.target" ];
      requires = [
        "ratd.socket"
        "ratd-internal.socket"
      ];
      wants = if databaseUnit == null then [ ] else [ databaseUnit ];
      after = [
        "ratd.socket"
        "ratd-internal.socket"
      ]
      ++ (if databaseUnit == null then [ ] else [ databaseUnit ])
      ++ (if elem "any" ratdNetwork then [ "network.target" ] else [ ]);
      stopIfChanged = false;
      # Plugins and log are read again on SIGHUP.
      restartTriggers = [
        (fingerprint (sectionsBut [
          "plugins"
          "log"
        ]))
      ];
      reloadTriggers = [
        (fingerprint [
          "plugins"
          "log"
        ])
      ];
      unitConfig = unit;
      serviceConfig =
        daemon {
          program = programs.ratd;
          arguments = [
            "serve"
            "--config"
            configFile
          ];
          user = "ratd";
          network = ratdNetwork;
          bounds = boundsOf {
            memoryMax = "4G";
            cpuQuota = null;
            tasksMax = 1024;
          } (limits.ratd or { });
        }
        // {
          # The shell's own kill is there on every machine.
          ExecReload = "/bin/sh -c 'kill -HUP $$MAINPID'";
          Slice = "rat.slice";
          Sockets = [
            "ratd.socket"
            "ratd-internal.socket"
          ];
          LimitNOFILE = 65536;
          StateDirectory = "rat";
          # The lake is in it, which others have to get to.
          StateDirectoryMode = "0711";
          # Files of the lake are for the group; the rest lies in folders that only ratd can enter.
          UMask = "0007";
          ReadWritePaths = map path ([ lake ] ++ sqliteFolder);
          LoadCredential = credentialLines credentials;
          TimeoutStopSec = 90;
          CPUWeight = 200;
        };
    };

    rat-runner = {
      description = "RAT: warm pool that executes pipelines";
      wantedBy = [ "multi-user.target" ];
      requires = [ "rat-runner.socket" ];
      after = [ "rat-runner.socket" ];
      stopIfChanged = false;
      restartTriggers = [
        (fingerprint [
          "server"
          "storage"
          "runner"
        ])
      ];
      environment.TMPDIR = "/var/cache/rat-runner";
      unitConfig = unit;
      serviceConfig =
        daemon {
          program = programs.runner;
          arguments = [
            "serve"
            "--config"
            configFile
          ];
          user = "rat-runner";
          network = reach internal;
          bounds = boundsOf {
            memoryMax = "75%";
            cpuQuota = null;
            tasksMax = 1024;
          } (limits.runner or { });
        }
        // {
          Slice = "rat-runs.slice";
          LimitNOFILE = 65536;
          UMask = "0007";
          # What queries spill; not /tmp, which may be memory.
          CacheDirectory = "rat-runner";
          CacheDirectoryMode = "0700";
          ReadWritePaths = map path ([ lake ] ++ (if spill == null then [ ] else [ spill ]));
          InaccessiblePaths = [ "-/run/postgresql" ];
          TimeoutStopSec = 90;
          # Where memory is short it is a run that ends, and not the control plane.
          OOMScoreAdjust = 300;
        };
    };

    ratq = {
      description = "RAT: queries";
      wantedBy = [ "multi-user.target" ];
      requires = [ "ratq.socket" ];
      after = [ "ratq.socket" ];
      stopIfChanged = false;
      restartTriggers = [
        (fingerprint [
          "server"
          "storage"
          "ratq"
        ])
      ];
      unitConfig = unit;
      serviceConfig =
        daemon {
          program = programs.ratq;
          arguments = [
            "--config"
            configFile
          ];
          user = "ratq";
          network = reach internal;
          bounds = boundsOf {
            memoryMax = "50%";
            cpuQuota = null;
            tasksMax = 1024;
          } (limits.ratq or { });
        }
        // {
          Slice = "rat.slice";
          LimitNOFILE = 65536;
          InaccessiblePaths = [ "-/run/postgresql" ];
          TimeoutStopSec = 90;
          OOMScoreAdjust = 200;
        };
    };
  }
  // listToAttrs (map (plugin: plugin.service) pluginUnits);

  sockets = {
    ratd =
      socketOf {
        key = "server.listen";
        name = "ratd";
        address = listen;
        user = "ratd";
        group = "rat-lake";
        # The API asks for credentials by itself.
        mode = "0666";
      }
      // {
        description = "RAT: public socket";
      };
    ratd-internal =
      socketOf {
        key = "server.internal_socket";
        name = "ratd-internal";
        service = "ratd";
        address = internal;
        user = "ratd";
        group = "rat-lake";
      }
      // {
        description = "RAT: socket for runs and queries";
      };
    rat-runner =
      socketOf {
        key = "runner.address";
        name = "rat-runner";
        address = runnerAddress;
        user = "ratd";
        group = "ratd";
        mode = "0600";
      }
      // {
        description = "RAT: socket of the warm pool";
      };
    ratq =
      socketOf {
        key = "ratq.address";
        name = "ratq";
        address = ratqAddress;
        user = "ratd";
        group = "ratd";
        mode = "0600";
      }
      // {
        description = "RAT: socket for queries";
      };
  }
  // listToAttrs (map (plugin: plugin.socket) pluginUnits);

  slices = {
    rat = {
      description = "RAT";
      sliceConfig = { };
    };
    rat-plugins = {
      description = "RAT: plugins";
      sliceConfig = { };
    };
    rat-runs = {
      description = "RAT: runs";
      sliceConfig = {
        CPUWeight = 50;
      };
    };
  };

  tmpfiles = {
    ${literal state}.d = {
      mode = "0711";
      user = "ratd";
      group = "ratd";
    };
    # Files in it belong to the group, whoever writes them.
    ${literal lake}.d = {
      mode = "2770";
      user = "ratd";
      group = "rat-lake";
    };
  };

  users = {
    ratd = {
      group = "ratd";
      extraGroups = [ "rat-lake" ];
      description = "RAT: control plane";
    };
    rat-runner = {
      group = "rat-runner";
      extraGroups = [ "rat-lake" ];
      description = "RAT: executes pipelines";
    };
    ratq = {
      group = "ratq";
      extraGroups = [ "rat-lake" ];
      description = "RAT: queries";
    };
  };
  groups = [
    "rat-lake"
    "ratd"
    "rat-runner"
    "ratq"
  ]
  ++ map (plugin: plugin.group) pluginUnits;
}
