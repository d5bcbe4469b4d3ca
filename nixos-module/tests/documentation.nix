# Names of all options in a tree; one that lacks what a reader needs is an error.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatLists
    filter
    map
    ;
  complete =
    path: option:
    let
      missing = filter (key: !(option ? ${key})) [
        "type"
        "description"
        "example"
      ];
    in
    if missing == [ ] then
      path
    else
      throw "the option ${path} has no ${lib.concatStringsSep ", no " missing}";
  names =
    prefix: options:
    concatLists (
      map (
        name:
        let
          path = if prefix == "" then name else "${prefix}.${name}";
          option = options.${name};
        in
        if (option._type or null) == "option" then [ (complete path option) ] else names path option
      ) (filter (name: name != "_module") (attrNames options))
    );
in
names ""
