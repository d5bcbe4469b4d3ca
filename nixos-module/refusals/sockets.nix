# Addresses: of sockets that systemd could not make, or that are in each other's way.
{ config, lib }:
let
  cfg = config.services.rat;
  address = import ../address.nix;
  inherit (lib)
    concatLists
    filter
    filterAttrs
    imap0
    mapAttrsToList
    take
    ;

  forms = "an address is host:port, [ipv6]:port or unix:/path, with a port of 1 to 65535 without zeros in front";

  # `isHere`: something on this machine listens on it. `isPrivate`: nobody else may reach it.
  ofSetting =
    section: key: default:
    let
      found = cfg.settings.${section}.${key} or null;
    in
    {
      option = "services.rat.settings.${section}.${key}";
      at = if found == null then default else found;
      isHere = true;
      isPrivate = false;
      inherit default;
    };
  ofDaemon =
    name:
    ofSetting name "address" address.defaults.${name}
    // {
      # It asks nobody for credentials, and could not reach ratd from elsewhere.
      isPrivate = true;
      otherwise = "leave it out, or give 127.0.0.1 with a port, or unix:/path: ratd, runs and queries are on one machine";
    };
  ofPlugin = slot: plugin: {
    option = "services.rat.plugins.${slot}.address";
    at = plugin.address;
    default = address.defaults.plugin slot;
    isHere = plugin.package != null;
    isPrivate = true;
    otherwise = "leave it out, or set `package = null` if the plugin runs elsewhere";
  };
  addresses = [
    (
      ofSetting "server" "listen" address.defaults.listen
      // {
        otherwise = "give an IP address with a port, or unix:/path";
      }
    )
    (
      ofSetting "server" "internal_socket" address.defaults.internal
      // {
        isPrivate = true;
        otherwise = "leave it out, or give 127.0.0.1 with a port, or unix:/path";
      }
    )
    (ofDaemon "runner")
    (ofDaemon "ratq")
  ]
  ++ mapAttrsToList ofPlugin (filterAttrs (_: plugin: plugin.enable) cfg.plugins);

  canListen = one: address.listenStream one.at != null && (!one.isPrivate || address.isLocal one.at);
  possible =
    one:
    if address.parse one.at == null then
      {
        assertion = false;
        message = "${one.option}: ${builtins.toJSON one.at} is no address; ${forms}";
      }
    else
      {
        assertion = !one.isHere || canListen one;
        message = "${one.option}: systemd cannot listen on ${one.at}${lib.optionalString one.isPrivate " for this machine alone"}; ${one.otherwise}";
      };

  sockets = filter (one: one.isHere && canListen one) addresses;
  # The one to change is the one that somebody set.
  apart =
    one: other:
    let
      blamed = if one.at == one.default then other else one;
      innocent = if one.at == one.default then one else other;
    in
    {
      assertion = !(address.collide one.at other.at);
      message = "${blamed.option}: on ${blamed.at} there is ${innocent.option} already; give it an address of its own";
    };
  pairs = concatLists (imap0 (index: one: map (apart one) (take index sockets)) sockets);

  inherit (cfg.settings.server) listen;
in
map possible addresses
++ pairs
++ [
  {
    assertion = !cfg.openFirewall || (address.portOf listen != null && !address.isLocal listen);
    message = "services.rat.openFirewall: nobody but this machine can reach ${listen}; set services.rat.settings.server.listen to 0.0.0.0:8080, or leave the firewall closed";
  }
]
