# Folders that services write, where they are none of theirs: the lake's is even given to ratd.
{ config, lib }:
let
  cfg = config.services.rat;
  address = import ../address.nix;
  inherit (lib)
    attrNames
    concatMap
    elem
    filter
    filterAttrs
    hasPrefix
    isList
    isString
    optional
    splitString
    ;

  because =
    why:
    map (folder: {
      inherit folder why;
    });

  # With everything in them, and everything that they are in.
  trees =
    because "is out of sight of services" [
      "/dev"
      "/home"
      "/proc"
      "/root"
      "/sys"
      "/tmp"
      "/var/tmp"
    ]
    ++ because "is empty after the next start" [
      "/run"
      "/var/run"
    ]
    ++ because "belongs to the system" [
      "/bin"
      "/boot"
      "/efi"
      "/etc"
      "/lib"
      "/lib32"
      "/lib64"
      "/lost+found"
      "/nix"
      "/sbin"
      "/usr"
      "/var/cache"
      "/var/db"
      "/var/empty"
      "/var/lock"
      "/var/log"
      "/var/spool"
      builtins.storeDir
    ]
    ++ because "is another service's" (
      [
        "/var/lib/nixos"
        "/var/lib/postgresql"
        "/var/lib/private"
        "/var/lib/rat-plugins"
        "/var/lib/systemd"
      ]
      ++ stateOfOthers
    );

  # As such: folders of ratd and of whomever are in them.
  parents = [
    "/media"
    "/mnt"
    "/opt"
    "/srv"
  ];
  state = "/var/lib/rat";

  # What systemd makes for other services; `name:link` is a folder with a second name.
  stateOfOthers =
    let
      # Those of RAT are not to be looked into: they are made of what is judged here.
      isOurs = name: builtins.match "ratd|ratq|rat-(runner|sockets|plugin-.*)" name != null;
      services = filterAttrs (
        name: unit: !(isOurs name) && (unit.enable or true)
      ) config.systemd.services;
      # A line or several, each with several names; a line may be empty, and whatever NixOS writes.
      lines = value: if isList value then value else [ value ];
      words = line: splitString " " (toString line);
      namesOf = name: concatMap words (lines (services.${name}.serviceConfig.StateDirectory or [ ]));
      isKnown = name: name != "" && builtins.match ".*%.*" name == null;
    in
    map (name: "/var/lib/${builtins.head (splitString ":" name)}") (
      filter isKnown (concatMap namesOf (attrNames services))
    );

  isWithin = folder: outer: folder == outer || hasPrefix "${outer}/" folder;
  problemOf =
    folder:
    let
      found = filter (tree: isWithin folder tree.folder || isWithin tree.folder folder) trees;
      tree = builtins.head found;
    in
    if !(isString folder && address.isPlainPath folder) then
      if folder == "/" then
        "is everything there is"
      else
        "is no absolute path without `..`, `.` and empty parts"
    else if found != [ ] then
      if folder == tree.folder then
        tree.why
      else if isWithin folder tree.folder then
        "is in ${tree.folder}, which ${tree.why}"
      else
        "has ${tree.folder} in it, which ${tree.why}"
    else if elem folder parents then
      "is there for folders of everybody"
    else
      null;

  writable = option: folder: problem: otherwise: {
    assertion = problem == null;
    message = "services.rat.${option}: ${builtins.toJSON folder} ${toString problem}; ${otherwise}";
  };

  lake = cfg.storage.path;
  spill = cfg.settings.runner.temp_dir or null;
  problemOfSpill = if isWithin spill state then "is in ratd's own folder" else problemOf spill;

  url = cfg.settings.database.url or null;
  file = if isString url then builtins.match "sqlite:(//)?(.*)" url else null;
  path = builtins.elemAt file 1;
in
[
  (writable "storage.path" lake (
    # Tables name their files, for whatever reads them.
    if builtins.match "[a-zA-Z0-9/._+~=@,-]*" lake == null then
      "has characters that not everything that reads tables takes"
    else if lake == state then
      "is ratd's own folder"
    else
      problemOf lake
  ) "take /var/lib/rat/lake, or a folder of its own such as /srv/lake")
]
++ optional (spill != null && cfg.runner.enable) (
  writable "settings.runner.temp_dir" spill problemOfSpill
    "leave it out for a /var/tmp of the service's own, or take a folder such as /srv/spill"
)
++ optional (file != null) (
  writable "settings.database.url" path (problemOf (
    if path == "" then path else dirOf path
  )) "take sqlite:${state}/rat.db, or a folder of its own"
)
