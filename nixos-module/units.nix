# The units of RAT: a pure function from settings and paths to attribute sets. It needs neither
# nixpkgs nor a NixOS machine, so that the text that runs on NixOS is the text that is tested, and
# that `rat units` writes for other distributions.
#
# Input (everything but `settings` and `programs` may be left out):
#
#   settings     what is in rat.yaml, as attributes; keys that are left out have RAT's defaults
#   programs     { ratd = "/…/bin/ratd"; runner = "/…/bin/rat-runner"; ratq = "/…/bin/ratq"; }
#                without runner or ratq there are no units for them: somebody else starts them
#   plugins      the plugins that run on this machine, by slot; each is named in
#                `settings.plugins` too, which has its address:
#     program      path of the plugin's program
#     arguments    more arguments for it                                   [ ]
#     sdk          it is built on rat-plugin-sdk: it notifies systemd,
#                  feeds the watchdog and takes --configure-from           true
#     network      whom it may reach: addresses, blocks, localhost, any    [ ] (no network at all)
#     credentials  name of the credential = file                           { }
#     limits       { memoryMax, cpuQuota, tasksMax }                       see limits.nix
#   credentials  those of ratd: name = file                                { }
#   limits       { ratd, runner, ratq, runs } with the keys above; runs is everything that
#                executes runs, together                                   see limits.nix
#   configFile   where the daemons find rat.yaml                           /etc/rat/rat.yaml
#   databaseUnit unit of a PostgreSQL on this machine                      null
#
# Output, in the words of NixOS' options:
#
#   services     name = { description, wantedBy, requires, after, wants, environment, unitConfig,
#                serviceConfig, stopIfChanged, restartTriggers, reloadTriggers }
#   sockets      name = { description, wantedBy, listenStreams, socketConfig }
#   slices       name = { description, sliceConfig }
#   tmpfiles     path = { d = { mode, user, group; }; }
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
    elem
    elemAt
    filter
    hashString
    head
    listToAttrs
    map
    match
    replaceStrings
    stringLength
    substring
    toJSON
    ;
  address = import ./address.nix;
  service = import ./service.nix;
  defaults = import ./limits.nix;
  inherit (address) reach unique;

  state = "/var/lib/rat";

  # What the settings say; a section or a key that is null is one that is not there.
  section = name: if (settings.${name} or null) == null then { } else settings.${name};
  setting =
    name: key: default:
    let
      found = (section name).${key} or null;
    in
    if found == null then default else found;

  listen = setting "server" "listen" address.defaults.listen;
  internal = setting "server" "internal_socket" address.defaults.internal;
  runnerAddress = setting "runner" "address" address.defaults.runner;
  ratqAddress = setting "ratq" "address" address.defaults.ratq;
  spill = setting "runner" "temp_dir" null;
  pluginSettings = section "plugins";

  lake =
    let
      url = setting "storage" "url" "file://${state}/lake";
      found = match "file://(/.*[^/])/*" url;
    in
    if found == null then
      throw "storage.url: must be file:///absolute/path, not ${url}"
    else
      head found;

  ratdNetwork = unique (
    address.reachOfDatabase {
      url = setting "database" "url" null;
      file = setting "database" "url_file" null;
    }
    ++ (if setting "catalog" "type" "builtin" == "rest" then [ "any" ] else [ ])
    ++ concatLists (map (slot: reach pluginSettings.${slot}.address) (attrNames pluginSettings))
    ++ reach runnerAddress
    ++ reach ratqAddress
  );

  # The folder of a database file that is not in ratd's own.
  databaseFolder =
    let
      file = match "sqlite:(//)?(/.*)/[^/]+" (setting "database" "url" "sqlite:${state}/rat.db");
      folder = elemAt file 1;
      isInState = substring 0 (stringLength state + 1) "${folder}/" == "${state}/";
    in
    if setting "database" "url_file" null != null || file == null || isInState then [ ] else [ folder ];

  # Changes with these values.
  fingerprint = values: substring 0 32 (hashString "sha256" (toJSON values));
  sections =
    names:
    listToAttrs (
      map (name: {
        inherit name;
        value = section name;
      }) names
    );
  # What ratd reads again on SIGHUP.
  reloaded = [
    "plugins"
    "log"
  ];

  pluginOf =
    slot: given:
    let
      name = "rat-plugin-${slot}";
      at = pluginSettings.${slot}.address;
      isSdk = given.sdk or true;
      idleStop = pluginSettings.${slot}.idle_stop or null;
      ofSdk = [
        "--configure-from"
        "ratd"
      ]
      ++ (
        if idleStop == null then
          [ ]
        else
          [
            "--idle-stop"
            (replaceStrings [ " " ] [ "" ] idleStop)
          ]
      );
      common = service.daemon {
        inherit (given) program;
        arguments = (if isSdk then ofSdk else [ ]) ++ (given.arguments or [ ]);
        # On a port it also reaches its own, where it proves its life.
        network = unique ((given.network or [ ]) ++ reach at);
        hidden = [
          "-/run/postgresql"
          "-${state}"
        ];
        user = null;
      };
    in
    {
      inherit name;
      group = "rat-slot-${slot}";
      socket = service.socket {
        description = "RAT: socket of the plugin for ${slot}";
        inherit name at;
        setting = "plugins.${slot}.address";
        # One that ends by itself may be started each second.
        starts = if idleStop == null then 20 else 120;
        user = "ratd";
        group = "rat-slot-${slot}";
      };
      service = {
        description = "RAT: plugin for ${slot}";
        # It is the first connection that starts it.
        wantedBy = [ ];
        requires = [ "${name}.socket" ];
        after = [ "${name}.socket" ];
        stopIfChanged = false;
        inherit (service) unitConfig;
        serviceConfig =
          (if isSdk then common else builtins.removeAttrs common [ "WatchdogSec" ] // { Type = "exec"; })
          // service.limits defaults.plugin (given.limits or { })
          // {
            Slice = if slot == "executor" then "rat-runs.slice" else "rat-plugins.slice";
            SupplementaryGroups = [ "rat-slot-${slot}" ];
            StateDirectory = "rat-plugins/${slot}";
            StateDirectoryMode = "0700";
            LoadCredential = service.credentials (given.credentials or { });
            TimeoutStopSec = 30;
          };
      };
    };
  pluginUnits = map (slot: pluginOf slot plugins.${slot}) (attrNames plugins);
  byName =
    kind:
    listToAttrs (
      map (plugin: {
        inherit (plugin) name;
        value = plugin.${kind};
      }) pluginUnits
    );

  hasRunner = (programs.runner or null) != null;
  hasRatq = (programs.ratq or null) != null;
  only = condition: found: if condition then found else { };

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
    restartTriggers = [
      (fingerprint (sections (filter (name: !(elem name reloaded)) (attrNames settings))))
    ];
    reloadTriggers = [ (fingerprint (sections reloaded)) ];
    unitConfig = service.unitConfig // service.mountsFor ([ lake ] ++ databaseFolder);
    serviceConfig =
      service.daemon {
        program = programs.ratd;
        arguments = [
          "serve"
          "--config"
          configFile
        ];
        user = "ratd";
        network = ratdNetwork;
      }
      // service.limits defaults.ratd (limits.ratd or { })
      // {
        ExecReload = service.hangUp;
        Slice = "rat.slice";
        CPUWeight = 200;
        Sockets = [
          "ratd.socket"
          "ratd-internal.socket"
        ];
        LimitNOFILE = 65536;
        StateDirectory = "rat";
        # The lake is in it, which others have to get to.
        StateDirectoryMode = "0711";
        # Files of the lake are for the group; the rest belongs to ratd's own group, which is empty.
        UMask = "0007";
        ReadWritePaths = map service.path ([ lake ] ++ databaseFolder);
        LoadCredential = service.credentials credentials;
        TimeoutStopSec = 90;
      };
  };

  shutdown = setting "server" "shutdown_timeout" null;

  # A daemon that executes queries for ratd; `section` has its settings.
  worker =
    {
      unit,
      section,
      description,
      arguments,
      after ? [ ],
      folders,
      serviceConfig,
    }:
    {
      inherit description;
      wantedBy = [ "multi-user.target" ];
      requires = [ "${unit}.socket" ];
      after = [ "${unit}.socket" ] ++ after;
      stopIfChanged = false;
      restartTriggers = [ (fingerprint (sections [ section ] // { inherit shutdown; })) ];
      reloadTriggers = [ (fingerprint (sections [ "log" ])) ];
      unitConfig = service.unitConfig // service.mountsFor folders;
      serviceConfig =
        service.daemon {
          program = programs.${section};
          arguments = arguments ++ [
            "--config"
            configFile
          ];
          user = unit;
          network = reach internal;
          hidden = [ "-/run/postgresql" ];
        }
        // service.limits defaults.${section} (limits.${section} or { })
        // {
          ExecReload = service.hangUp;
          LimitNOFILE = 65536;
          TimeoutStopSec = 90;
        }
        // serviceConfig;
    };

  spills = if spill == null then [ ] else [ spill ];
  runner =
    worker {
      unit = "rat-runner";
      section = "runner";
      description = "RAT: warm pool that executes pipelines";
      arguments = [ "serve" ];
      # It stops before ratd does, which it tells what became of its runs.
      after = [
        "ratd.service"
        "ratd-internal.socket"
      ];
      folders = [ lake ] ++ spills;
      serviceConfig = {
        Slice = "rat-runs.slice";
        # Where memory is short it is a run that ends, and not the control plane.
        OOMScoreAdjust = 300;
        UMask = "0007";
        ReadWritePaths = map service.path ([ lake ] ++ spills);
      };
    }
    // {
      # What queries spill; not /tmp, which may be memory. It is the service's own, and goes with it.
      environment.TMPDIR = "/var/tmp";
    };

  ratq = worker {
    unit = "ratq";
    section = "ratq";
    description = "RAT: queries";
    arguments = [ ];
    folders = [ lake ];
    serviceConfig = {
      Slice = "rat.slice";
      OOMScoreAdjust = 200;
    };
  };

  # Folders for one user alone.
  own =
    user: folders:
    listToAttrs (
      map (folder: {
        name = address.literal folder;
        value.d = {
          mode = "0700";
          inherit user;
          group = user;
        };
      }) folders
    );

  user = name: description: {
    ${name} = {
      group = name;
      extraGroups = [ "rat-lake" ];
      inherit description;
    };
  };
in
{
  services = {
    inherit ratd;
  }
  // only hasRunner { rat-runner = runner; }
  // only hasRatq { inherit ratq; }
  // byName "service";

  sockets = {
    ratd = service.socket {
      description = "RAT: public socket";
      name = "ratd";
      setting = "server.listen";
      at = listen;
      user = "ratd";
      group = "rat-lake";
      # The API asks for credentials by itself.
      mode = "0666";
    };
    ratd-internal = service.socket {
      description = "RAT: socket for runs and queries";
      name = "ratd-internal";
      service = "ratd";
      setting = "server.internal_socket";
      at = internal;
      user = "ratd";
      group = "rat-lake";
    };
  }
  // only hasRunner {
    rat-runner = service.socket {
      description = "RAT: socket of the warm pool";
      name = "rat-runner";
      setting = "runner.address";
      at = runnerAddress;
      user = "ratd";
      group = "ratd";
      mode = "0600";
    };
  }
  // only hasRatq {
    ratq = service.socket {
      description = "RAT: socket for queries";
      name = "ratq";
      setting = "ratq.address";
      at = ratqAddress;
      user = "ratd";
      group = "ratd";
      mode = "0600";
    };
  }
  // byName "socket";

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
      }
      // service.limits defaults.runs (limits.runs or { });
    };
  };

  tmpfiles =
    own "ratd" databaseFolder
    // only hasRunner (own "rat-runner" spills)
    // {
      ${state}.d = {
        mode = "0711";
        user = "ratd";
        group = "ratd";
      };
      # Files in it belong to the group, whoever writes them.
      ${address.literal lake}.d = {
        mode = "2770";
        user = "ratd";
        group = "rat-lake";
      };
    };

  users =
    user "ratd" "RAT control plane"
    // only hasRunner (user "rat-runner" "RAT executor of pipelines")
    // only hasRatq (user "ratq" "RAT queries");

  groups = [
    "rat-lake"
    "ratd"
  ]
  ++ (if hasRunner then [ "rat-runner" ] else [ ])
  ++ (if hasRatq then [ "ratq" ] else [ ])
  ++ map (plugin: plugin.group) pluginUnits;
}
