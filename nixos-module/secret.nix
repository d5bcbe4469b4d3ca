# What gives a secret away: names, as `ratd dump-config` hides them (crates/config/src/dump.rs), and
# passwords within URLs. Pure functions.
let
  inherit (builtins)
    any
    concatStringsSep
    elemAt
    filter
    genList
    isString
    match
    replaceStrings
    split
    stringLength
    substring
    ;

  pieces = separator: text: filter isString (split separator text);
  oneOf = words: "(${concatStringsSep "|" words})";
  alphabet = letters: genList (index: substring index 1 letters) 26;
  small = replaceStrings (alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    alphabet "abcdefghijklmnopqrstuvwxyz"
  );
in
rec {
  # A name with one of these in it, or at its end, sounds secret, unless it ends as a place.
  words = {
    SECRET = [
      "password"
      "passwd"
      "passphrase"
      "secret"
      "token"
      "apikey"
      "credential"
      "privatekey"
    ];
    SECRET_ENDS = [
      "accesskey"
      "key"
    ];
    NAMES_A_PLACE = [
      "file"
      "path"
      "dir"
      "url"
      "uri"
      "endpoint"
      "name"
    ];
  };

  soundsSecret =
    name:
    let
      key = small (concatStringsSep "" (pieces "[^a-zA-Z0-9]+" name));
    in
    match ".*${oneOf words.SECRET}.*|.*${oneOf words.SECRET_ENDS}" key != null
    && match ".*${oneOf words.NAMES_A_PLACE}" key == null;

  # Whether a text below such a name is one: not where a file is, nor a time.
  isSecretText =
    text: text != "" && match "(/|%2[fF]).*|[0-9]+(ms|s|m|h)( [0-9]+(ms|s|m|h))*" text == null;

  # Whether it is a URL with a password. What is long is none, and too much for a pattern.
  hasPassword =
    text:
    let
      parts = match "[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)[^?#]*([?]([^#]*))?(#.*)?" text;
      query = elemAt parts 2;
      isGiven =
        pair:
        let
          found = match "([^=]+)=(.*)" pair;
        in
        found != null && soundsSecret (elemAt found 0) && isSecretText (elemAt found 1);
    in
    stringLength text <= 4096
    && parts != null
    && (
      match "[^:@]*:[^@].*@[^@]*" (elemAt parts 0) != null
      || query != null && any isGiven (pieces "[&;]" query)
    );
}
