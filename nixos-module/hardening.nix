# The sandbox of every process of RAT: one function, so that no unit has less than another.
#
# `network` says whom the process may reach by itself; sockets that systemd hands over are not
# concerned. `[ ]`: nobody, it sees no network at all. `[ "any" ]`: everybody. Otherwise the
# addresses, blocks (10.0.0.0/8) or words of systemd (localhost, link-local) that are named.
#
# `hidden`: paths that are out of sight besides.
#
# Deliberately without PrivateUsers: a plugin is configured by ratd's user alone, PostgreSQL knows
# ratd by its user, and in a user namespace of one's own everybody else is nobody.
{
  network ? [ ],
  hidden ? [ ],
}:
let
  isOffline = network == [ ];
  isOpen = builtins.elem "any" network;
in
{
  # Nothing can be gained: no capability, no new privilege, no other identity.
  NoNewPrivileges = true;
  CapabilityBoundingSet = "";
  AmbientCapabilities = "";
  RestrictSUIDSGID = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  KeyringMode = "private";
  # Tokens are in memory; a core file would put them on the disk.
  LimitCORE = 0;

  # The file system is read-only but for the folders that a unit names.
  ProtectSystem = "strict";
  ProtectHome = true;
  # systemd leaves /run as it is, and everybody's shared memory.
  ReadOnlyPaths = "/run";
  InaccessiblePaths = [ "-/dev/shm" ] ++ hidden;
  PrivateTmp = true;
  PrivateDevices = true;
  DevicePolicy = "closed";
  RemoveIPC = true;
  PrivateIPC = true;
  UMask = "0077";

  # The kernel and the other processes.
  ProtectKernelTunables = true;
  ProtectKernelModules = true;
  ProtectKernelLogs = true;
  ProtectControlGroups = true;
  ProtectClock = true;
  ProtectHostname = true;
  ProtectProc = "invisible";
  ProcSubset = "pid";
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
  SystemCallErrorNumber = "EPERM";

  # The network.
  PrivateNetwork = isOffline;
  RestrictAddressFamilies = [
    "AF_UNIX"
  ]
  ++ (
    if isOffline then
      [ ]
    else
      [
        "AF_INET"
        "AF_INET6"
      ]
  );
}
// (
  if isOffline || isOpen then
    { }
  else
    {
      IPAddressDeny = "any";
      IPAddressAllow = network;
    }
)
