# No process can do more than its work asks for: other people's files, the network, the system.
let
  drop =
    unit: keys:
    map (key: [
      "services"
      unit
      "serviceConfig"
      key
    ]) keys;
in
{
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./lib/demo.nix ];
      # A second plugin, for the first not to see.
      services.rat.plugins.cloud = {
        package = pkgs.rat-plugin-auth-static;
        name = "second";
        # While it is down its slot is as if it were not there.
        onDown = "builtin";
        network = [ "127.0.0.2" ];
        config.tokens = { };
        limits = {
          memoryMax = "300M";
          cpuQuota = "200%";
          tasksMax = 100;
        };
      };
      environment.etc = {
        "scenario/probe.py".source = ./lib/probe.py;
        "scenario/limits.json".text = builtins.toJSON (import ../nixos-module/limits.nix);
      };
    };

  mutations = {
    "the sandbox of the runner" = {
      drop = drop "rat-runner" [
        "CapabilityBoundingSet"
        "NoNewPrivileges"
        "PrivateDevices"
        "PrivateNetwork"
        "ProtectHome"
        "ProtectSystem"
        "RestrictAddressFamilies"
        "RestrictNamespaces"
        "SystemCallFilter"
      ];
      fails = "systemd-analyze scores every unit at 2.0 or better";
    };
    "users of the plugins" = {
      drop = drop "rat-plugin-auth" [ "DynamicUser" ] ++ drop "rat-plugin-cloud" [ "DynamicUser" ];
      fails = "a plugin cannot read what is another's";
    };
    "the plugin's lack of a network" = {
      drop = drop "rat-plugin-auth" [
        "PrivateNetwork"
        "RestrictAddressFamilies"
      ];
      fails = "a plugin without a network reaches nobody";
    };
    "the limits of the plugin's network" = {
      drop = drop "rat-plugin-cloud" [ "IPAddressDeny" ];
      fails = "a plugin with a network reaches whom it names, and nobody else";
    };
    "a file system that is read-only for ratq" = {
      drop = drop "ratq" [ "ProtectSystem" ];
      fails = "nothing is written outside of one's own folders";
    };
    "a file system that is read-only for the runner" = {
      drop = drop "rat-runner" [ "ProtectSystem" ];
      fails = "nothing is written outside of one's own folders";
    };
    # With a user that exists only while it runs it cannot be had otherwise.
    "a file system that is read-only for the plugin" = {
      drop = drop "rat-plugin-auth" [
        "DynamicUser"
        "ProtectSystem"
      ];
      put.services.rat-plugin-auth.serviceConfig.User = "nobody";
      fails = "nothing is written outside of one's own folders";
    };
    # ratq would not even start.
    "temporary files of one's own" = {
      drop = drop "ratd" [ "PrivateTmp" ];
      fails = "temporary files are seen by nobody else";
    };
    "a /run that is read-only" = {
      drop = drop "ratd" [ "ReadOnlyPaths" ];
      fails = "nothing is written outside of one's own folders";
    };
    "shared memory out of sight" = {
      drop = drop "ratq" [ "InaccessiblePaths" ];
      fails = "nothing is written outside of one's own folders";
    };
    "the limit of memory" = {
      drop = drop "ratd" [ "MemoryMax" ];
      fails = "limits are what the module says";
    };
    "the limit of tasks" = {
      drop = drop "rat-runner" [ "TasksMax" ];
      fails = "limits are what the module says";
    };
    "the limit of processors" = {
      drop = drop "rat-plugin-auth" [ "CPUQuota" ];
      fails = "limits are what the module says";
    };
    "code that nobody writes" = {
      drop = drop "rat-plugin-auth" [ "MemoryDenyWriteExecute" ];
      fails = "there is nothing to see, and nothing to gain";
    };
    "invisible processes" = {
      drop = drop "rat-runner" [
        "ProtectProc"
        "ProcSubset"
      ];
      fails = "there is nothing to see, and nothing to gain";
    };
  };
}
