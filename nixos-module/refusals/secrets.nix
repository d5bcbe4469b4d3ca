# Secrets that everybody could read, and credentials that systemd would leave out or does not have.
{ config, lib }:
let
  cfg = config.services.rat;
  secret = import ../secret.nix;
  inherit (lib)
    attrNames
    concatLists
    concatMap
    elem
    filter
    filterAttrs
    hasPrefix
    hasSuffix
    isAttrs
    isDerivation
    isList
    isString
    mapAttrsToList
    splitString
    ;

  settings = builtins.removeAttrs cfg.settings [ "plugins" ];
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
  # In the settings themselves; `notSecret`: names that sound so and are none.
  inline =
    {
      credentials,
      notSecret,
      otherwise,
    }:
    option: key: value:
    let
      isSecretKey = secret.soundsSecret key && !(elem key notSecret);
    in
    if isSecretKey && isInStore value then
      [ (outside option credentials value) ]
    else
      lib.optional (isString value) {
        assertion = !(isSecretKey && secret.isSecretText value);
        message = "${option}: sounds like a secret, and everybody can read what is in the Nix store; put it into a file that ${credentials} hands over, and name that in ${key}_file${otherwise}";
      }
      ++ lib.optional (isString value) {
        assertion = !(secret.hasPassword value);
        message = "${option}: has a password in it, and everybody can read what is in the Nix store; ${
          insteadOf.${option} or "put it into a file that ${credentials} hands over"
        }";
      };
  # Of URLs.
  insteadOf = {
    "services.rat.settings.database.url" =
      "put the URL into a file, and set services.rat.database.urlFile";
    "services.rat.settings.catalog.uri" =
      "leave it out, and set services.rat.catalog.tokenFile, or clientId and clientSecretFile";
  };

  # Of every key below `value` that names a secret, or might be one.
  secretsOf =
    { credentials, ... }@how:
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
          inline how option key value;
    in
    option: below option "";

  # What ratd finds under a bare name: what options hand over, and what somebody added to the unit,
  # at which nobody looks unless it is needed.
  isHandedOver =
    name:
    let
      unit = config.systemd.services.ratd.serviceConfig;
      lines =
        key:
        let
          value = unit.${key} or [ ];
        in
        if isList value then value else [ value ];
      nameOf = line: builtins.head (splitString ":" (toString line));
    in
    cfg.credentials ? ${name}
    || elem name (
      map nameOf (
        concatMap lines [
          "LoadCredential"
          "LoadCredentialEncrypted"
          "SetCredential"
          "SetCredentialEncrypted"
        ]
      )
    )
    # Patterns.
    || lines "ImportCredential" != [ ];
  found = option: value: {
    assertion = isString value && builtins.match "[^/]+" value != null -> isHandedOver value;
    message = "${option}: there is no credential ${toString value}; add services.rat.credentials.${toString value}, or give the absolute path of a file";
  };
  # The sections of rat.yaml are flat.
  foundIn =
    section: settings:
    map (key: found "services.rat.settings.${section}.${key}" settings.${key}) (
      filter (hasSuffix "_file") (attrNames settings)
    );

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
secretsOf {
  credentials = "services.rat.credentials";
  # A time.
  notSecret = [ "token_cache" ];
  otherwise = "";
} "services.rat.settings" settings
++ concatLists (mapAttrsToList foundIn (filterAttrs (_: isAttrs) settings))
++ named "services.rat.credentials" cfg.credentials
++ ofPlugins (
  slot: plugin:
  let
    option = "services.rat.plugins.${slot}";
  in
  secretsOf {
    credentials = "${option}.credentials";
    inherit (plugin) notSecret;
    otherwise = ", or, if it is none, have ${option}.notSecret say so";
  } "${option}.config" plugin.config
  ++ named "${option}.credentials" plugin.credentials
  ++ map (outside "${option}.tls.key" "services.rat.credentials") (
    lib.optional (plugin.tls ? key) plugin.tls.key
  )
  ++ mapAttrsToList (key: found "${option}.tls.${key}") (
    lib.optionalAttrs (plugin.tls != null) plugin.tls
  )
)
