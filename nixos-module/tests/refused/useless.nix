# What would be ignored, by the machine or by RAT.
{ of, stub }:
let
  each = import ./each.nix;
in
# What asks nobody for credentials, and runs that could not reach ratd.
each "a-daemon-for-others"
  [
    {
      name = "runner";
      at = "0.0.0.0:50052";
    }
    {
      name = "runner";
      enable = false;
      at = "0.0.0.0:50052";
    }
    {
      name = "runner";
      enable = false;
      at = "runner.example.org:50052";
    }
    {
      name = "runner";
      enable = false;
      at = "10.0.0.1:50052";
    }
    {
      name = "ratq";
      at = "[::]:50053";
    }
    {
      name = "ratq";
      enable = false;
      at = "192.0.2.1:50053";
    }
  ]
  (
    {
      name,
      at,
      enable ? true,
    }:
    {
      configuration = of {
        ${name} = { inherit enable; };
        settings.${name}.address = at;
      };
      message = "services.rat.settings.${name}.address: systemd cannot listen on ${at} for this machine alone; leave it out, or give";
    }
  )
//
  each "a-memory-limit-systemd-ignores"
    [
      "0"
      "0K"
      "00"
      "0%"
      "101%"
      "150%"
      "2g"
      "2GB"
      "1e9"
      "16777216T"
      "18446744073709551615"
      ""
    ]
    (limit: {
      configuration = of { ratq.limits.memoryMax = limit; };
      message = "A definition for option `services.rat.ratq.limits.memoryMax' is not of type `null or size such as 2G, share of 1% to 100%, or `infinity`'";
    })
//
  each "a-quota-systemd-ignores"
    [
      "0%"
      "00%"
      "200"
      "99999999999%"
      "2147483647%"
    ]
    (quota: {
      configuration = of { limits.cpuQuota = quota; };
      message = "A definition for option `services.rat.limits.cpuQuota' is not of type `null or share of 1% to 999999%'";
    })
//
  each "an-option-of-a-plugin-elsewhere"
    [
      { sdk = false; }
      { limits.memoryMax = "1G"; }
      { limits.cpuQuota = null; }
      { arguments = [ "--verbose" ]; }
    ]
    (options: {
      configuration = of {
        plugins.cloud = {
          address = "10.0.0.1:50064";
        }
        // options;
      };
      message = "services.rat.plugins.cloud.${builtins.head (builtins.attrNames options)}: the plugin runs elsewhere";
    })
// each "limits-of-no-daemon" [ "runner" "ratq" ] (name: {
  configuration = of {
    ${name} = {
      enable = false;
      limits.cpuQuota = "50%";
    };
    settings.${name}.address = "127.0.0.1:50052";
  };
  message = "services.rat.${name}.limits: there is no unit that this could apply to; leave it out, or set services.rat.${name}.enable = true";
})
//
  each "limits-of-no-executor"
    [
      { }
      {
        executor = {
          enable = false;
          package = stub;
        };
      }
      { executor.address = "10.0.0.1:50061"; }
    ]
    (plugins: {
      configuration = of {
        inherit plugins;
        runner.enable = false;
        settings.runner.address = "127.0.0.1:50052";
        executor.limits.memoryMax = "1G";
      };
      message = "services.rat.executor.limits: nothing on this machine executes runs";
    })
//
  each "a-configuration-that-the-plugin-does-not-take" [ "127.0.0.1:50060" "[::1]:50060" ]
    (address: {
      configuration = of {
        plugins.auth = {
          package = stub;
          inherit address;
          config.realm = "rat";
        };
      };
      message = "services.rat.plugins.auth.config: a plugin on rat-plugin-sdk takes it over a Unix socket only, and not on ${address}; leave `address` out, or";
    })
