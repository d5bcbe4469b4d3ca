# A service that moves sockets whose addresses have changed. `nixos-rebuild switch` leaves a socket
# that is open as it is, since other services are better off with that; without this, its service
# would come back without it. A pure function of the sockets of `units.nix`.
#
# It remembers where each one listened, and restarts those that now belong elsewhere: their service
# restarts with them. Root does it, as systemd lets nobody else.
sockets:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    map
    ;
  service = import ./service.nix;
  harden = import ./hardening.nix;

  units = map (name: "${name}.socket") (attrNames sockets);

  # What cannot be moved is tried again the next time. All at once, since they may change places.
  script = ''
    # Where a socket was that is no more, another may be now.
    for file in "$RUNTIME_DIRECTORY"/*; do
      case " $* " in *" ''${file##*/} "*) ;; *) rm -f "$file" ;; esac
    done
    moved=
    for unit; do
      now=$(echo $(systemctl show --property=Listen --value "$unit"))
      before=$now
      if [ -e "$RUNTIME_DIRECTORY/$unit" ]; then read -r before < "$RUNTIME_DIRECTORY/$unit"; fi
      if [ "$before" = "$now" ]; then
        echo "$now" > "$RUNTIME_DIRECTORY/$unit"
      else
        echo "$unit moves from $before to $now"
        moved="$moved $unit"
        for word in $before; do case $word in /*) rm -f "$word" ;; esac; done
      fi
    done
    if [ -z "$moved" ]; then exit; fi
    systemctl try-restart $moved || exit
    for unit in $moved; do
      echo $(systemctl show --property=Listen --value "$unit") > "$RUNTIME_DIRECTORY/$unit"
    done
  '';
  move = service.command (
    [
      "/bin/sh"
      "-c"
      script
      "sh"
    ]
    ++ units
  );
in
{
  description = "RAT: moves sockets whose addresses have changed";
  wantedBy = [ "multi-user.target" ];
  after = units;
  stopIfChanged = false;
  # NixOS reloads before it restarts.
  reloadTriggers = concatMap (socket: socket.listenStreams) (attrValues sockets);
  serviceConfig = harden { } // {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = move;
    ExecReload = move;
    RuntimeDirectory = "rat-sockets";
    RuntimeDirectoryPreserve = "restart";
    # The files of sockets that are elsewhere now are removed.
    ReadOnlyPaths = [ ];
    ReadWritePaths = "/run";
    Slice = "rat.slice";
  };
}
