# Addresses as rat.yaml writes them: `unix:/path`, `host:port`, and `https://host:port` of plugins.
# Pure functions, for `units.nix` and for the assertions of the module.
let
  inherit (builtins)
    all
    elem
    elemAt
    filter
    foldl'
    fromJSON
    head
    isString
    map
    match
    replaceStrings
    split
    stringLength
    ;
  ip = import ./ip.nix;
in
rec {
  # Whether systemd takes it for the path that it is: absolute, without parts that are empty, `.` or
  # `..`, and with nothing at its end that is lost in a unit.
  isPlainPath =
    path:
    match "(/[^/[:cntrl:]]+)+" path != null
    && match ".*[ \\\\]" path == null
    && all (part: part != "." && part != "..") (filter isString (split "/" path));

  # Where sockets are unless rat.yaml says otherwise.
  defaults = {
    listen = "127.0.0.1:8080";
    internal = "unix:/run/rat/internal.sock";
    runner = "unix:/run/rat/runner.sock";
    ratq = "unix:/run/rat/ratq.sock";
    plugin = slot: "unix:/run/rat/plugins/${slot}.sock";
  };

  # `{ path }`, or `{ host, ip, port, isTls }`, where `ip` is null of a name; null of what is no
  # address, and no text.
  parse =
    given:
    let
      address = if isString given then given else "";
      path = match "unix:(//)?(/[^/[:cntrl:]][^[:cntrl:]]*)" address;
      parts = match "(https://)?(\\[([0-9a-fA-F:.]+)]|[a-zA-Z0-9._-]+)(:(0|[1-9][0-9]{0,4}))?(/?)" address;
      isTls = head parts != null;
      bracketed = elemAt parts 2;
      host = if bracketed == null then elemAt parts 1 else bracketed;
      found = if bracketed == null then ip.normal host else ip.ipv6 host;
      isName = bracketed == null && match "[0-9.]+" host == null;
      written = elemAt parts 4;
      port = if written == null then 443 else fromJSON written;
      isWhole = written != null && elemAt parts 5 == "";
    in
    if path != null then
      { path = elemAt path 1; }
    else if parts != null && port <= 65535 && (isTls || isWhole) && (found != null || isName) then
      {
        inherit host port isTls;
        ip = found;
      }
    else
      null;

  isUnix = address: (parse address) ? path;

  # The port as a number; null where there is none.
  portOf = address: (parse address).port or null;

  isLoopbackHost =
    host:
    let
      found = ip.normal (replaceStrings [ "[" "]" ] [ "" "" ] host);
    in
    host == "localhost" || found != null && ip.isLoopback found;

  # Whether only this machine can connect.
  isLocal =
    address:
    let
      parsed = parse address;
    in
    parsed ? path || parsed ? host && isLoopbackHost parsed.host;

  # What systemd listens on: a path, or an address in numbers; null where it is neither.
  listenStream =
    address:
    let
      parsed = parse address;
    in
    if parsed ? path then
      if isPlainPath parsed.path && stringLength parsed.path <= longestPath then
        literal parsed.path
      else
        null
    else if parsed == null || parsed.isTls || parsed.port == 0 then
      null
    else if parsed.host == "localhost" then
      "127.0.0.1:${toString parsed.port}"
    else if parsed.ip != null then
      address
    else
      null;

  # What the kernel takes for the path of a socket.
  longestPath = 107;

  # Whether two sockets of one machine would be in each other's way.
  collide =
    left: right:
    let
      one = parse left;
      other = parse right;
      ipOf = parsed: if parsed.host == "localhost" then ip.normal "127.0.0.1" else parsed.ip;
      ips = map ipOf [
        one
        other
      ];
    in
    if one ? path || other ? path then
      (one.path or null) == (other.path or null)
    else
      one ? port
      && other ? port
      && one.port == other.port
      && !(elem null ips)
      && (ip.covers (head ips) (elemAt ips 1) || ip.covers (elemAt ips 1) (head ips));

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
