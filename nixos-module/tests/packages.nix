# Stands in for the packages of nixpkgs: functions that answer with derivations that nobody builds.
{ lib, system }:
let
  # `arguments` are evaluated to the last, as they would be if it were built.
  build =
    name: arguments:
    let
      outputs = arguments.outputs or [ "out" ];
      made = derivation {
        inherit name system outputs;
        builder = "/bin/sh";
        args = [
          "-c"
          "echo there is nothing to build with; exit 1"
        ];
        evaluated = builtins.toJSON (
          removeAttrs arguments [
            "meta"
            "passthru"
          ]
        );
      };
      common = {
        # As in nixpkgs: what a package is installed with, unless it says so itself.
        meta = {
          outputsToInstall = [ "out" ] ++ (if builtins.elem "man" outputs then [ "man" ] else [ ]);
        }
        // arguments.meta;
        overrideAttrs = change: build name (arguments // change arguments);
      }
      // (arguments.passthru or { })
      // (if arguments ? pname then { inherit (arguments) pname version; } else { });
    in
    made
    // builtins.listToAttrs (
      map (output: {
        name = output;
        value = made.${output} // common // { outputSpecified = true; };
      }) outputs
    )
    // common;
  package = name: build name { meta.mainProgram = name; };
  named = arguments: build "${arguments.pname}-${arguments.version}" arguments;

  fixed =
    final:
    {
      inherit lib system;
      stdenv = {
        buildPlatform.canExecute = _: true;
        hostPlatform = { inherit system; };
      };
      callPackage =
        file: arguments:
        let
          function = import file;
        in
        function (builtins.intersectAttrs (builtins.functionArgs function) final // arguments);
      rustPlatform.buildRustPackage = named;
      runCommand =
        name: arguments: script:
        build name ({ meta = { }; } // arguments // { inherit script; });
      writeShellApplication =
        arguments: build arguments.name (arguments // { meta.mainProgram = arguments.name; });
      mkShell = arguments: build "shell" (arguments // { meta = { }; });
      nixosOptionsDoc = arguments: {
        optionsCommonMark = build "options.md" {
          meta = { };
          names = import ./documentation.nix { inherit lib; } arguments.options;
        };
      };
      # The machines are evaluated as well. They have the packages that the test was made with.
      testers.runNixOSTest =
        test:
        build "vm-test-${test.name}" {
          meta = { };
          script = test.testScript;
          machines = lib.mapAttrs (
            _: node:
            (import ./system.nix {
              modules = [
                node
                { nixpkgs.hostPlatform = system; }
              ];
              packages = final;
              mayChangePackages = false;
            }).config.system.build.toplevel
          ) test.nodes;
        };
      formats.yaml = (import ./pkgs.nix { inherit lib; }).formats.yaml;
    }
    // lib.genAttrs [
      "cargo"
      "clippy"
      "curl"
      "help2man"
      "installShellFiles"
      "netcat"
      "nixfmt"
      "nixfmt-tree"
      "postgresql"
      "python3"
      "rust-analyzer"
      "rustfmt"
    ] package;

  # A set of packages with overlays, which see what came before and what comes out at the end.
  extended =
    overlays:
    let
      final =
        builtins.foldl' (before: overlay: before // overlay final before) (fixed final) overlays
        // {
          extend = overlay: extended (overlays ++ [ overlay ]);
          appliedOverlays = overlays;
        };
    in
    final;
in
extended [ ]
