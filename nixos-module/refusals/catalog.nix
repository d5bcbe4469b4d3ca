# An external catalog that is half described, or described for nothing.
{ config, lib }:
let
  cfg = config.services.rat.catalog;
  isRest = cfg.type == "rest";

  useless = option: {
    assertion = isRest || cfg.${option} == null;
    message = "services.rat.catalog.${option}: ratd's own catalog has no use for it; leave it out, or set services.rat.catalog.type = \"rest\"";
  };
in
map useless [
  "uri"
  "warehouse"
  "tokenFile"
  "clientId"
  "clientSecretFile"
]
++ [
  {
    assertion = isRest -> cfg.uri != null;
    message = "services.rat.catalog.uri: is needed to find the external catalog; set it, or services.rat.catalog.type = \"builtin\"";
  }
  {
    assertion = (cfg.clientId == null) == (cfg.clientSecretFile == null);
    message = "services.rat.catalog.clientSecretFile: clientId and clientSecretFile belong together; set both or neither";
  }
  {
    assertion = cfg.tokenFile == null || cfg.clientId == null;
    message = "services.rat.catalog.tokenFile: ratd would show a token and be a client that fetches one; leave out tokenFile, or clientId and clientSecretFile";
  }
]
