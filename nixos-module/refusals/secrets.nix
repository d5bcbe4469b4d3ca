# Secrets that everybody could read, and credentials that systemd would leave out.
{ config, lib }:
let
  cfg = config.services.rat;
  inherit (lib)
    attrNames
    concatLists
    concatMap
    elem
    filterAttrs
    hasPrefix
    hasSuffix
    isAttrs
    isDerivation
    isList
    isString
    mapAttrsToList
    ;

  plugins = filterAttrs (_: plugin: plugin.enable) cfg.plugins;
  ofPlugins = about: concatLists (mapAttrsToList about plugins);

  # Files that anybody may read.
  public = [
    "ca_file"
    "cert_file"
  ];
  isSecret = key: hasSuffix "_file" key && !(elem key public);
  # A path of Nix, and a package, would be copied there.
  isInStore =
    value:
    builtins.isPath value || isDerivation value || isString value && hasPrefix builtins.storeDir value;

  outside = option: credentials: value: {
    assertion = !(isInStore value);
    message = "${option}: everybody can read what is in the Nix store; keep the file elsewhere, and hand it over with ${credentials}";
  };
  # Of every key below `value` that names a secret.
  secretsOf =
    credentials:
    let
      below =
        option: key: value:
        if isAttrs value && !(isDerivation value) then
          concatMap (key: below "${option}.${key}" key value.${key}) (attrNames value)
        else if isList value then
          concatMap (below "${option}.*" key) value
        else if isSecret key then
          [ (outside option credentials value) ]
        else
          [ ];
    in
    option: below option "";

  # What systemd takes for the name of a credential, without what means something else in a unit.
  isName =
    name:
    builtins.match "[a-zA-Z0-9_.@+-]+" name != null
    && builtins.stringLength name <= 255
    && !(elem name [
      "."
      ".."
    ]);
  named =
    option: credentials:
    map (name: {
      assertion = isName name;
      message = "${option}.${builtins.toJSON name}: is no name for a credential of systemd; take letters, digits and . _ - + @, 255 at most";
    }) (attrNames credentials);
in
secretsOf "services.rat.credentials" "services.rat.settings" (
  builtins.removeAttrs cfg.settings [ "plugins" ]
)
++ named "services.rat.credentials" cfg.credentials
++ ofPlugins (
  slot: plugin:
  let
    option = "services.rat.plugins.${slot}";
  in
  secretsOf "${option}.credentials" "${option}.config" plugin.config
  ++ named "${option}.credentials" plugin.credentials
  ++ map (outside "${option}.tls.key" "services.rat.credentials") (
    lib.optional (plugin.tls ? key) plugin.tls.key
  )
)
