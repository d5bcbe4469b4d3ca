# Stands in for nixpkgs' packages: what the module asks of them, without building anything. `rat`
# is the folder with the programs, as text.
{
  lib,
  rat ? "/nix/store/00000000000000000000000000000000-rat-0.1.0",
}:
let
  inherit (lib) types;
  package = name: folder: {
    type = "derivation";
    inherit name;
    outPath = folder;
    meta.mainProgram = name;
  };
  value = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      (types.attrsOf value)
      (types.listOf value)
    ]
  );
  platform.canExecute = _: true;
in
{
  # A file whose text can be read from its description, as nothing is built.
  formats.yaml = _: {
    type = types.attrsOf value;
    generate =
      name: content:
      package name "/nix/store/11111111111111111111111111111111-${name}"
      // {
        inherit content;
      };
  };
  runCommand =
    name: _: script:
    package name "/nix/store/22222222222222222222222222222222-${name}"
    // {
      inherit script;
    };
  stdenv = {
    buildPlatform = platform;
    hostPlatform = platform;
  };
  rat = package "rat" rat // {
    pname = "rat";
    version = "0.1.0";
    ratd = package "ratd" rat;
    runner = package "rat-runner" rat;
    ratq = package "ratq" rat;
  };
  rat-plugin-auth-keycloak = package "rat-plugin-auth-keycloak" rat // {
    pname = "rat-plugin-auth-keycloak";
    version = "0.1.0";
  };
}
