# A page of `docs/how-to` on a machine, for a scenario that does what it says: its indented blocks, in
# their order, each as a script. Helpers find them by `block`.
name:
let
  inherit (builtins)
    concatStringsSep
    filter
    isString
    map
    match
    readFile
    replaceStrings
    split
    stringLength
    substring
    toJSON
    ;
  place = "scenario/pages/${name}.json";

  paragraphs = filter isString (split "\n\n+" (readFile (../../docs/how-to + "/${name}.md")));
  indented = filter (paragraph: match "    .*" paragraph != null) paragraphs;
  unindent = text: substring 4 (stringLength text) (replaceStrings [ "\n    " ] [ "\n" ] text);
  blocks = map unindent indented;
in
{
  machine.environment.etc.${place}.text = toJSON blocks;

  # A mutation: the page without the lines that begin with `word`, so that the claim `fails`.
  without =
    { word, fails }:
    let
      isOther = line: match "${word}.*" line == null;
      less = text: concatStringsSep "\n" (filter isOther (filter isString (split "\n" text)));
    in
    {
      inherit fails;
      module =
        { lib, ... }:
        {
          environment.etc.${place}.text = lib.mkForce (toJSON (map less blocks));
        };
    };
}
