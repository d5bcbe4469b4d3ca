# The machine is told to go down in the middle of work, and the work is finished first.
{
  nodes.machine.imports = [ ./lib/demo.nix ];

  mutations = {
    "the order in which services stop" = {
      drop = [
        [
          "services"
          "rat-runner"
          "after"
        ]
      ];
      fails = "a run that is under way is finished before the machine is down";
    };
  };
}
