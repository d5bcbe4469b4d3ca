# The commands of a page: its indented blocks, in their order, each as a script.
page:
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
    ;
  paragraphs = filter isString (split "\n\n+" (readFile page));
  indented = filter (paragraph: match "    .*" paragraph != null) paragraphs;
  unindent = text: substring 4 (stringLength text) (replaceStrings [ "\n    " ] [ "\n" ] text);
in
map (text: "${unindent text}\n") indented
