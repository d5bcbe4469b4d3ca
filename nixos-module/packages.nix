# The packages of RAT: one build of the workspace, with an output for each program, so that ratd and
# each plugin have a closure of their own.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  help2man,
  revision ? "unknown",
}:
let
  inherit (lib) fileset;
  root = ../.;
  manifest = lib.importTOML (root + "/Cargo.toml");

  # What the programs are made of. Documentation, other examples and this folder are not in it, so
  # that a change of them compiles nothing.
  source = fileset.toSource {
    inherit root;
    fileset = fileset.unions [
      (root + "/Cargo.toml")
      (root + "/Cargo.lock")
      (root + "/clippy.toml")
      (root + "/crates")
      (root + "/proto")
      (root + "/examples/plugins/auth-static")
      (root + "/examples/tpch")
    ];
  };

  # Output, program, crate.
  programs = [
    {
      output = "out";
      name = "rat";
      crate = "rat-cli";
    }
    {
      output = "ratd";
      name = "ratd";
      crate = "ratd";
    }
    {
      output = "runner";
      name = "rat-runner";
      crate = "rat-runner";
    }
    {
      output = "ratq";
      name = "ratq";
      crate = "ratq";
    }
    {
      output = "authKeycloak";
      name = "rat-plugin-auth-keycloak";
      crate = "rat-plugin-auth-keycloak";
    }
  ];
  others = lib.filter (program: program.output != "out") programs;
  isRunnable = stdenv.buildPlatform.canExecute stdenv.hostPlatform;

  rat = rustPlatform.buildRustPackage {
    pname = "rat";
    inherit (manifest.workspace.package) version;
    src = source;
    cargoLock.lockFile = root + "/Cargo.lock";
    buildType = "dist";
    cargoBuildFlags = lib.concatMap (program: [
      "--package"
      program.crate
    ]) programs;
    env.RAT_GIT_REV = revision;
    # They are a check of the flake.
    doCheck = false;

    outputs = map (program: program.output) programs ++ [ "man" ];
    nativeBuildInputs = [
      installShellFiles
      help2man
    ];
    postInstall = ''
      ${lib.concatMapStrings (program: ''
        moveToOutput bin/${program.name} "''$${program.output}"
      '') others}
    ''
    + lib.optionalString isRunnable ''
      for shell in bash fish zsh; do
        installShellCompletion --cmd rat --"$shell" <("$out/bin/rat" completions "$shell")
      done
      mkdir pages
      "$out/bin/rat" man pages
      ${lib.concatMapStrings (program: ''
        help2man --no-info --output pages/${program.name}.1 "''$${program.output}/bin/${program.name}"
      '') others}
      installManPage pages/*.1
    '';

    passthru.programs = lib.listToAttrs (
      map (program: {
        inherit (program) name;
        value = rat.${program.output} // {
          pname = program.name;
          meta = rat.meta // {
            mainProgram = program.name;
          };
        };
      }) programs
    );

    meta = {
      description = "Data platform: SQL pipelines, an Iceberg catalog and queries";
      license = lib.licenses.asl20;
      mainProgram = "rat";
      platforms = lib.platforms.linux;
    };
  };
in
rat
