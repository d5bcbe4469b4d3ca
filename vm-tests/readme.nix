# What the README tells people to write makes a machine, and what it tells them to call works there.
let
  page = import ./lib/page.nix ../README.md;
  # The one that calls `rat apply`.
  calls = builtins.head (
    builtins.filter (block: builtins.match "rat apply.*" block != null) (page.fenced "sh")
  );

  # A file that is evaluated has to lie somewhere: this one is the snippet, below its comment.
  snippet = builtins.head (page.fenced "nix");
  example = builtins.readFile ../examples/nixos/minimal.nix;
  start = builtins.stringLength example - builtins.stringLength snippet;
  isSame = start >= 0 && builtins.substring start (builtins.stringLength snippet) example == snippet;
in
{
  nodes.machine = {
    imports =
      if isSame then
        [ ../examples/nixos/minimal.nix ]
      else
        throw "README.md: the first snippet of Nix is not that of examples/nixos/minimal.nix";
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
          "rat-runner"
          "serviceConfig"
          "ReadWritePaths"
        ]
      ];
      fails = "the README's calls work on it";
    };
  };
}
