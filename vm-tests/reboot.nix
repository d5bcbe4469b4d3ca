# The power goes away in the middle of work, and everything is there again without a hand.
{
  # A container has no power of its own.
  machine = "vm";

  nodes.machine.imports = [ ./lib/demo.nix ];

  mutations = {
    "the start with the machine" = {
      drop = [
        [
          "services"
          "rat-runner"
          "wantedBy"
        ]
        [
          "sockets"
          "rat-runner"
          "wantedBy"
        ]
      ];
      fails = "after the power came back everything runs without a hand";
    };
  };
}
