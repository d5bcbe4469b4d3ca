# What the services of RAT have in common, and what their sockets have. Pure functions.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    map
    match
    replaceStrings
    toJSON
    ;
  address = import ./address.nix;
  harden = import ./hardening.nix;

  quoted = text: if match "[a-zA-Z0-9_./:=@%$+,-]+" text != null then text else toJSON text;
  optional = name: value: if value == null then { } else { ${name} = value; };
in
rec {
  # A path in a value that is split at blanks.
  path = text: quoted (address.literal text);

  # A command line, to be taken as it is.
  command =
    words:
    concatStringsSep " " (
      map (word: quoted (replaceStrings [ "$" ] [ "$$" ] (address.literal word))) words
    );

  # `LoadCredential=` of name = file.
  credentials =
    found: map (name: "${name}:${address.literal (toString found.${name})}") (attrNames found);

  # Limits of memory, CPU and tasks: those that are given, else the defaults;
  # null is none.
  limits =
    defaults: given:
    let
      limit = name: if given ? ${name} then given.${name} else defaults.${name} or null;
    in
    optional "MemoryMax" (limit "memoryMax")
    // optional "CPUQuota" (limit "cpuQuota")
    // optional "TasksMax" (limit "tasksMax");

  # No limit on the number of starts: the delay grows, and the socket stays.
  unitConfig.StartLimitIntervalSec = 0;

  # The file systems with these folders are there first; on a folder below one, nobody would miss it.
  mountsFor = folders: if folders == [ ] then { } else { RequiresMountsFor = map path folders; };

  # Has a daemon read its settings again. The shell's own kill is there on every machine.
  hangUp = "/bin/sh -c 'kill -HUP $$MAINPID'";

  # A daemon that tells systemd that it is ready, and that it lives. `user`: null is one that
  # exists only while the service runs.
  daemon =
    {
      program,
      arguments,
      user,
      network,
      hidden ? [ ],
    }:
    harden { inherit network hidden; }
    // {
      Type = "notify";
      ExecStart = command ([ program ] ++ arguments);
      WatchdogSec = 30;
      # One that does not even die of SIGABRT is killed.
      TimeoutAbortSec = 5;
      Restart = "on-failure";
      RestartSec = "100ms";
      RestartSteps = 10;
      RestartMaxDelaySec = "10s";
      # 2: the command line is wrong, 78: the configuration is wrong. Neither mends by itself.
      RestartPreventExitStatus = "2 78";
    }
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

  # The socket `name` of `service`: of a Unix socket it is said who may connect. `setting` is the
  # key of rat.yaml that holds the address.
  socket =
    {
      description,
      name,
      service ? name,
      # Most starts within a minute.
      starts ? 20,
      setting,
      at,
      user,
      group,
      mode ? "0660",
    }:
    let
      stream = address.listenStream at;
    in
    {
      inherit description;
      wantedBy = [ "sockets.target" ];
      listenStreams = [
        (
          if stream == null then
            throw "${setting}: systemd listens on a Unix socket or on an address in numbers, not on ${at}"
          else
            stream
        )
      ];
      socketConfig = {
        Service = "${service}.service";
        FileDescriptorName = name;
        # A configuration that is refused must not be tried for ever: the service fails, the call
        # that waits starts it again, and so on until the socket fails too. A service that crashes
        # is started less often than that.
        TriggerLimitIntervalSec = 60;
        TriggerLimitBurst = starts;
      }
      // (
        if address.isUnix at then
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
}
