# IP addresses. Pure functions.
let
  inherit (builtins)
    all
    concatMap
    concatStringsSep
    elemAt
    filter
    fromJSON
    genList
    head
    isString
    length
    map
    match
    replaceStrings
    split
    stringLength
    substring
    ;

  octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  octetsOf = match "${octet}[.]${octet}[.]${octet}[.]${octet}";

  hexadecimal =
    octet:
    let
      number = fromJSON octet;
      digit = value: substring value 1 "0123456789abcdef";
    in
    digit (number / 16) + digit (number - number / 16 * 16);

  # The two groups of IPv6 that an IPv4 address stands for.
  groupsOfOctets =
    octets:
    let
      at = index: hexadecimal (elemAt octets index);
    in
    "${at 0}${at 1}:${at 2}${at 3}";

  # A group as it is compared: in small letters, without zeros in front.
  group =
    text:
    head (
      match "0*([0-9a-f]+)" (replaceStrings [ "A" "B" "C" "D" "E" "F" ] [ "a" "b" "c" "d" "e" "f" ] text)
    );

  pieces = separator: text: filter isString (split separator text);

  # An IPv6 address in all of its groups; null of anything else.
  ipv6 =
    text:
    let
      ending = match "(.*:)([0-9]+[.][0-9.]+)" text;
      octets = if ending == null then null else octetsOf (elemAt ending 1);
      spelled = if octets == null then text else head ending + groupsOfOctets octets;
      # Before and after the `::`, which stands for as many zeros as are missing.
      halves = map (half: if half == "" then [ ] else pieces ":" half) (pieces "::" spelled);
      given = concatMap (half: half) halves;
      missing = 8 - length given;
      zeros = genList (_: "0") missing;
      isWhole = if length halves == 1 then missing == 0 else length halves == 2 && missing > 0;
    in
    if isWhole && all (text: match "[0-9a-fA-F]{1,4}" text != null) given then
      concatStringsSep ":" (
        map group (head halves ++ zeros ++ (if length halves == 1 then [ ] else elemAt halves 1))
      )
    else
      null;

  # How IPv4 is a part of IPv6.
  mapped = "0:0:0:0:0:ffff:";
  isIpv4 = ip: substring 0 (stringLength mapped) ip == mapped;
in
rec {
  inherit ipv6;

  # An IP address as all of its spellings are compared, IPv4 as a part of IPv6; null of anything
  # else.
  normal =
    text:
    let
      octets = octetsOf text;
    in
    ipv6 (if octets == null then text else "::ffff:${groupsOfOctets octets}");

  # Whether systemd takes it for an address or a block of addresses.
  isBlock =
    text:
    let
      parts = match "([^/]+)(/(0|[1-9][0-9]{0,2}))?" text;
      most = if octetsOf (head parts) == null then 128 else 32;
      prefix = elemAt parts 2;
    in
    parts != null && normal (head parts) != null && (prefix == null || fromJSON prefix <= most);

  # Whether it is this machine alone. Of normal forms, as below; a group of 7f and two digits is 127.
  isLoopback = ip: ip == "0:0:0:0:0:0:0:1" || match "${mapped}7f[0-9a-f]{2}:.*" ip != null;

  # Whether who listens on `wide` listens on `narrow` as well.
  covers =
    wide: narrow:
    wide == narrow || wide == "0:0:0:0:0:0:0:0" || wide == "${mapped}0:0" && isIpv4 narrow;
}
