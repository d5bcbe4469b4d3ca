# The text of what `units.nix` answers, for machines whose systemd reads files: a pure function.
# NixOS writes its own text of the same sets.
#
# Output: name of the file below a folder of systemd = text, as in
#
#   { "system/ratd.service" = "…"; "sysusers.d/rat.conf" = "…"; "tmpfiles.d/rat.conf" = "…"; }
units:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    isBool
    isList
    listToAttrs
    map
    toString
    ;

  value = found: if isBool found then (if found then "yes" else "no") else toString found;
  line = key: found: "${key}=${value found}";
  lines =
    key: found:
    if found == null then
      [ ]
    else if isList found then
      map (line key) found
    else
      [ (line key found) ];
  attributes = found: concatMap (key: lines key found.${key}) (attrNames found);

  section = name: found: if found == [ ] then [ ] else [ "[${name}]" ] ++ found ++ [ "" ];
  words = key: found: if found == [ ] then [ ] else [ "${key}=${concatStringsSep " " found}" ];

  render = sections: concatStringsSep "\n" (concatLists sections);

  head =
    unit:
    section "Unit" (
      [ "Description=${unit.description}" ]
      ++ words "Requires" (unit.requires or [ ])
      ++ words "Wants" (unit.wants or [ ])
      ++ words "After" (unit.after or [ ])
      ++ words "PartOf" (unit.partOf or [ ])
      ++ attributes (unit.unitConfig or { })
    );
  install = unit: section "Install" (words "WantedBy" (unit.wantedBy or [ ]));
  environment =
    unit:
    let
      found = unit.environment or { };
    in
    map (name: ''Environment="${name}=${found.${name}}"'') (attrNames found);

  service =
    unit:
    render [
      (head unit)
      (section "Service" (environment unit ++ attributes unit.serviceConfig))
      (install unit)
    ];
  socket =
    unit:
    render [
      (head unit)
      (section "Socket" (
        map (stream: "ListenStream=${stream}") unit.listenStreams ++ attributes unit.socketConfig
      ))
      (install unit)
    ];
  slice =
    unit:
    render [
      (head unit)
      (section "Slice" (attributes unit.sliceConfig))
    ];

  files =
    suffix: text: found:
    map (name: {
      name = "system/${name}.${suffix}";
      value = text found.${name};
    }) (attrNames found);

  groupLines = map (name: "g ${name} -") units.groups;
  userLines = concatMap (
    name:
    let
      user = units.users.${name};
    in
    [ ''u ${name} -:${user.group} "${user.description}" /'' ]
    ++ map (group: "m ${name} ${group}") user.extraGroups
  ) (attrNames units.users);

  folderLines = map (
    path:
    let
      folder = units.tmpfiles.${path}.d;
    in
    ''d "${path}" ${folder.mode} ${folder.user} ${folder.group} -''
  ) (attrNames units.tmpfiles);
  text = found: concatStringsSep "\n" found + "\n";
in
listToAttrs (
  files "service" service units.services
  ++ files "socket" socket units.sockets
  ++ files "slice" slice units.slices
  ++ [
    {
      name = "sysusers.d/rat.conf";
      value = text (groupLines ++ userLines);
    }
    {
      name = "tmpfiles.d/rat.conf";
      value = text folderLines;
    }
  ]
)
