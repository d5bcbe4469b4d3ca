# The machine of most scenarios: RAT with PostgreSQL, an auth plugin that knows two tokens from a
# file, and the example project. The tokens are no secrets; `secrets` has a machine for that.
{ pkgs, ... }:
{
  services.rat = {
    enable = true;
    plugins.auth = {
      package = pkgs.rat-plugin-auth-static;
      config.token_file = "/run/credentials/rat-plugin-auth.service/tokens";
      credentials.tokens = "/etc/scenario/tokens";
    };
  };

  environment.etc = {
    "scenario/tokens" = {
      text = builtins.toJSON {
        let-me-in = {
          user_id = "alice";
          roles = [ "admin" ];
        };
        as-a-reader = {
          user_id = "bob";
          roles = [ "viewer" ];
        };
      };
      mode = "0600";
    };
    "scenario/token" = {
      text = "let-me-in";
      mode = "0600";
    };
    "scenario/shop".source = ../../examples/shop;
    # A pipeline whose runs take some seconds.
    "scenario/slow".source = ./slow;
    "scenario/load.py".source = ./load.py;
  };
}
