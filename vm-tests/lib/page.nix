# A page on a machine, for a scenario that does what it says: its blocks, indented or fenced, each as a
# text. Helpers find them by `block`.
file:
let
  inherit (builtins)
    baseNameOf
    concatStringsSep
    filter
    head
    isString
    map
    match
    readFile
    replaceStrings
    split
    stringLength
    substring
    tail
    toJSON
    ;
  text = readFile file;
  place = "scenario/pages/${head (match "(.*)[.]md" (baseNameOf file))}.json";
  parts = separator: text: filter isString (split separator text);

  # Those of a language, a regular expression.
  fenced = language: map (part: head (parts "```" part)) (tail (parts "```${language}\n" text));
  isIndented = paragraph: match "    .*" paragraph != null;
  unindent = text: substring 4 (stringLength text) (replaceStrings [ "\n    " ] [ "\n" ] text);
  blocks = map unindent (filter isIndented (parts "\n\n+" text)) ++ fenced "[a-z]+";
in
{
  inherit fenced;

  machine.environment.etc.${place}.text = toJSON blocks;

  # A mutation: the page without the lines that begin with `word`, so that the claim `fails`.
  without =
    { word, fails }:
    let
      isOther = line: match "${word}.*" line == null;
      less = text: concatStringsSep "\n" (filter isOther (parts "\n" text));
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
