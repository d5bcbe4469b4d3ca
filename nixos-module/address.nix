# Addresses as rat.yaml writes them: `unix:/path`, `host:port`, and `https://host:port` of plugins.
# Pure functions, for `units.nix` and for the assertions of the module.
let
  inherit (builtins)
    elem
    elemAt
    foldl'
    head
    match
    replaceStrings
    ;
in
rec {
  # The path of a Unix socket; null of anything else.
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
    if parts == null then address else elemAt parts 1;

  # The port as a number; null where there is none.
  portOf =
    address:
    let
      parts = match ".+:([0-9]{1,5})" address;
    in
    if isUnix address || parts == null then null else builtins.fromJSON (head parts);

  isLoopbackHost =
    host: host == "localhost" || host == "[::1]" || match "127\\.[0-9]+\\.[0-9]+\\.[0-9]+" host != null;

  # Whether only this machine can connect.
  isLocal = address: isUnix address || isLoopbackHost (hostOf address);

  # What systemd listens on: a path, or an address in numbers; null where it is neither.
  listenStream =
    address:
    let
      port = match "localhost:([0-9]+)" address;
    in
    if isUnix address then
      literal (unixPath address)
    else if port != null then
      "127.0.0.1:${head port}"
    else if match "([0-9.]+|\\[[0-9a-fA-F:.]+]):[0-9]+" address != null then
      address
    else
      null;

  # Whom one has to be let to, to reach `address`: nobody, this machine, or anybody.
  reach =
    address:
    if isUnix address then
      [ ]
    else if isLocal address then
      [ "localhost" ]
    else
      [ "any" ];

  # Whom ratd has to reach for its database: `url` and `file` as in rat.yaml, or null.
  reachOfDatabase =
    { url, file }:
    let
      isOnSocket =
        match "sqlite:.*" url != null
        || match "postgres(ql)?://([^/@]*@)?%2[fF].*" url != null
        || match "postgres(ql)?://.*[?&]host=(/|%2[fF]).*" url != null;
      parts = match "postgres(ql)?://([^/@]*@)?([^/:?]+|\\[[^]]*])(:[0-9]+)?([/?].*)?" url;
    in
    if file != null then
      # Only ratd may look into it.
      [ "any" ]
    else if url == null || isOnSocket then
      [ ]
    else if parts != null && isLoopbackHost (elemAt parts 2) then
      [ "localhost" ]
    else
      [ "any" ];

  # A % begins a specifier in most values of systemd.
  literal = replaceStrings [ "%" ] [ "%%" ];

  # Without those that came before.
  unique = names: foldl' (seen: name: if elem name seen then seen else seen ++ [ name ]) [ ] names;
}
