# A machine whose units docs/reference/units.md shows: a plugin without a network and one with.
# `programs` is a folder where something can be executed under the programs' names.
{ programs }:
import ../units.nix {
  settings = {
    database.url = "postgres://ratd@%2Frun%2Fpostgresql/ratd";
    plugins.auth.address = "unix:/run/rat/plugins/auth.sock";
    plugins.sharing.address = "unix:/run/rat/plugins/sharing.sock";
  };
  programs = {
    ratd = "${programs}/ratd";
    runner = "${programs}/rat-runner";
    ratq = "${programs}/ratq";
  };
  credentials.api-key = "/etc/credstore/api-key";
  plugins = {
    auth = {
      program = "${programs}/rat-plugin-auth-keycloak";
      network = [
        "192.0.2.10"
        "127.0.0.53"
      ];
      credentials.ca = "/etc/credstore/ca";
    };
    sharing.program = "${programs}/rat-plugin-sharing";
  };
}
