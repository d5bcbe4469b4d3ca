# What the options of `services.rat` say of rat.yaml: a pure function. Each of the list is
#
#   path       the key of rat.yaml
#   value      what it is
#   option     the option below services.rat that says so
#   otherwise  what to do instead of setting the key
{ cfg, lib }:
let
  inherit (lib)
    attrNames
    concatMap
    filterAttrs
    mapAttrsToList
    optionalAttrs
    ;
  named = credential: file: if file == null then null else credential;

  # A section, whose keys are said by options that may have other names.
  section =
    path: prefix: keys:
    mapAttrsToList (
      key: said:
      {
        path = path ++ [ key ];
        otherwise = "set services.rat.${prefix}${said.option}";
      }
      // said
      // {
        option = "${prefix}${said.option}";
      }
    ) (filterAttrs (_: said: said.value != null) keys);
  says = option: value: { inherit option value; };

  localDatabase = "postgres://ratd@%2Frun%2Fpostgresql/ratd";

  plugins = filterAttrs (_: plugin: plugin.enable) cfg.plugins;
  ofPlugin =
    slot:
    let
      plugin = plugins.${slot};
      same = option: says option plugin.${option};
    in
    section [ "plugins" slot ] "plugins.${slot}." {
      image = same "image";
      address = same "address";
      protocol = same "protocol";
      config = same "config";
      name = same "name";
      tls = same "tls";
      on_down = same "onDown";
      idle_stop = same "idleStop";
    };
in
section [ "storage" ] "storage." { url = says "path" "file://${cfg.storage.path}"; }
++ section [ "auth" ] "" { api_key_file = says "apiKeyFile" (named "api-key" cfg.apiKeyFile); }
++ section [ "database" ] "database." {
  url = says "createLocally" (if cfg.database.createLocally then localDatabase else null) // {
    otherwise = "set services.rat.database.createLocally = false";
  };
  url_file = says "urlFile" (named "database-url" cfg.database.urlFile);
}
++ section [ "catalog" ] "catalog." (
  optionalAttrs (cfg.catalog.type != "builtin") {
    type = says "type" cfg.catalog.type;
    uri = says "uri" cfg.catalog.uri;
    warehouse = says "warehouse" cfg.catalog.warehouse;
    token_file = says "tokenFile" (named "catalog-token" cfg.catalog.tokenFile);
    client_id = says "clientId" cfg.catalog.clientId;
    client_secret_file = says "clientSecretFile" (
      named "catalog-client-secret" cfg.catalog.clientSecretFile
    );
  }
)
++ concatMap ofPlugin (attrNames plugins)
