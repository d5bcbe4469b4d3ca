# Two databases at once.
{ config, lib }:
let
  cfg = config.services.rat;
  inherit (cfg.database) createLocally urlFile;
  url = cfg.settings.database.url or null;
  file = cfg.settings.database.url_file or null;
in
[
  {
    assertion = !(createLocally && urlFile != null);
    message = "services.rat.database.urlFile: the database would be here and elsewhere; set services.rat.database.createLocally = false";
  }
  {
    assertion = !createLocally || urlFile != null || file == null;
    message = "services.rat.settings.database.url_file: the database would be here and elsewhere; set services.rat.database.createLocally = false";
  }
  {
    assertion = createLocally || url == null || file == null;
    message = "services.rat.settings.database.url: the URL is in a file already; leave it out, or services.rat.database.urlFile";
  }
]
