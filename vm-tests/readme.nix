# What the README tells people to write makes a machine, and what it tells them to call works there.
let
  page = builtins.readFile ../README.md;
  blocks =
    language:
    let
      parts = builtins.filter builtins.isString (builtins.split "```${language}\n" page);
      until = text: builtins.head (builtins.split "```" text);
    in
    map until (builtins.tail parts);
  # The one that calls `rat apply`.
  calls = builtins.head (
    builtins.filter (block: builtins.match "rat apply.*" block != null) (blocks "sh")
  );
in
{
  nodes.machine = {
    imports = [ (import (builtins.toFile "readme.nix" (builtins.head (blocks "nix")))) ];
    environment.etc = {
      "scenario/readme.sh".text = calls;
      "scenario/examples/shop".source = ../examples/shop;
    };
  };

  mutations = {
    "the start with the machine" = {
      drop = [
        [
          "services"
          "ratd"
          "wantedBy"
        ]
        [
          "sockets"
          "ratd"
          "wantedBy"
        ]
      ];
      fails = "the snippet makes a data platform";
    };
    "the way into the lake" = {
      drop = [
        [
          "services"
          "ratd"
          "serviceConfig"
          "ReadWritePaths"
        ]
      ];
      fails = "the README's calls work on it";
    };
  };
}
