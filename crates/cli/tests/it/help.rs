//! The help texts, which are part of the documentation.

use expect_test::expect;

use crate::support::{rat, run};

#[test]
fn the_help_names_every_command_and_the_exit_codes() {
    let (code, out, err) = run(rat().arg("--help"));
    assert_eq!((code, err.as_str()), (0, ""));
    expect![[r#"
        Command line of RAT: apply pipelines, run them, query their tables

        Usage: rat [OPTIONS] <COMMAND>

        Commands:
          dev          Start ratd, rat-runner and ratq on this machine, and watch over them
          login        Log in with the login provider of a server
          logout       Forget the login at a server, and have the provider forget it
          whoami       Show who the server takes the caller for
          apply        Make the server's pipelines equal to a project folder
          run          Run pipelines, in the order in which they depend on each other
          runs         List runs, newest first
          logs         Show the log of a run
          cancel       Ask a run to stop
          query        Execute a read-only SQL query
          tables       List tables, or show one with its columns
          pipelines    List pipelines
          zones        List landing zones
          upload       Put files into a landing zone
          plugins      List plugins with their health
          plugin       Work with plugins: check that one keeps its contract, read their configuration again
          share        Give a user or a role access to something
          unshare      Take a grant back
          shares       List grants
          transfer     Give something, or everything that somebody owns, to another owner
          audit        List what was changed, refused and denied, newest first
          units        Write systemd units for a machine without NixOS
          health       Show whether the services are well; exit code 1 if not
          completions  Print the completion script of a shell
          man          Write the manual pages of this program into a folder
          version      Print the version of this program
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help
          -V, --version  Print version

        Global options:
              --server <URL>         Where ratd is: http://host:port, https://host:port or unix:/path [env:
                                     RAT_URL] [default: http://127.0.0.1:8080]
              --api-key-file <FILE>  File that holds the API key, instead of a login [env: RAT_API_KEY_FILE]
              --no-progress          Plain lines instead of progress bars

        Examples:
          rat dev                                  in another terminal
          rat login                                where ratd asks who is calling
          rat apply examples/shop
          rat run --all --namespace shop
          rat query 'SELECT * FROM shop.silver.daily'

        Exit codes:
          0   it worked
          1   it did not: ratd refused, a run failed, a project is not valid, nobody answered
          2   the command line is wrong
          78  rat dev, rat units: the configuration is wrong

        Standard output carries results only; progress, notes and errors go to standard error.
    "#]].assert_eq(&out);
}

#[test]
fn the_help_of_apply_shows_the_layout() {
    let (code, out, _) = run(rat().args(["apply", "-h"]));
    assert_eq!(code, 0);
    expect![[r#"
        Make the server's pipelines equal to a project folder

        Usage: rat apply [OPTIONS] <DIR>

        Arguments:
          <DIR>  Folder of the project

        Options:
              --prune    Delete the pipelines of the project's namespaces that the project does not have
              --dry-run  Only validate and print what would be done
          -h, --help     Print help

        Global options:
              --server <URL>         Where ratd is: http://host:port, https://host:port or unix:/path [env:
                                     RAT_URL] [default: http://127.0.0.1:8080]
              --api-key-file <FILE>  File that holds the API key, instead of a login [env: RAT_API_KEY_FILE]
              --no-progress          Plain lines instead of progress bars

        A project is laid out as
          DIR/<namespace>/pipelines/<bronze|silver|gold>/<name>/pipeline.sql
          DIR/<namespace>/pipelines/<layer>/<name>/config.yaml
          DIR/<namespace>/pipelines/<layer>/<name>/tests/quality/<test>.sql
          DIR/<namespace>/landing/<zone>/<file>

        Everything is validated first; nothing is applied unless all of it is valid.

        Examples:
          rat apply examples/tpch --dry-run
          rat apply examples/tpch --prune
    "#]].assert_eq(&out);
}

#[test]
fn the_help_of_dev_says_what_it_does() {
    let (code, out, _) = run(rat().args(["dev", "-h"]));
    assert_eq!(code, 0);
    expect![[r#"
        Start ratd, rat-runner and ratq on this machine, and watch over them

        Usage: rat dev [OPTIONS]

        Options:
              --dir <DIR>         Private folder [default: $XDG_STATE_HOME/rat/dev, else
                                  ~/.local/state/rat/dev]
              --config <FILE>     Use this rat.yaml instead of writing one; what it leaves open is in the
                                  folder all the same
              --listen <ADDRESS>  Where ratd listens: host:port or unix:/path [default: 127.0.0.1:8080]
              --plugin <COMMAND>  Program of a plugin with its arguments, repeatable: it is started and
                                  watched, too
              --demo <NAME>       Load and run an example project, then keep serving [possible values: tpch]
              --scale <FACTOR>    Size of the demo's data, 0.01 to 100: 1 is about 1 GB of text [default:
                                  0.1]
              --once              Exit when the demo has run instead of serving on; not 0 if anything failed
          -h, --help              Print help (see more with '--help')

        Global options:
              --server <URL>         Where ratd is: http://host:port, https://host:port or unix:/path [env:
                                     RAT_URL] [default: http://127.0.0.1:8080]
              --api-key-file <FILE>  File that holds the API key, instead of a login [env: RAT_API_KEY_FILE]
              --no-progress          Plain lines instead of progress bars

        The folder holds everything: rat.yaml, the database, the lake, the sockets and, under log/, the
        output of each program. The same folder gives the same data again; deleting it forgets all.
        ratd, rat-runner and ratq are taken from beside this program, else from PATH. One that crashes is
        started again. Ctrl-C stops them in order; a second Ctrl-C kills them.

        Exit codes: 0 stopped by Ctrl-C or SIGTERM (or --once succeeded), 1 something failed, 2 the command
        line is wrong, 78 the configuration is wrong.

        Examples:
          rat dev
          rat dev --demo tpch
          rat dev --config my/rat.yaml --plugin 'my/plugin --listen unix:/tmp/my.sock'
          rat dev --demo tpch --scale 0.01 --once --dir /tmp/rat-demo
    "#]].assert_eq(&out);
}

#[test]
fn every_command_has_an_example() {
    let commands = [
        "dev",
        "login",
        "logout",
        "whoami",
        "apply",
        "run",
        "runs",
        "logs",
        "cancel",
        "query",
        "tables",
        "pipelines",
        "zones",
        "upload",
        "plugin",
        "units",
        "health",
        "completions",
        "man",
        "version",
    ];
    for command in commands {
        let (code, out, _) = run(rat().args([command, "--help"]));
        assert_eq!(code, 0, "{command}");
        assert!(out.contains("Example"), "{command} has no example:\n{out}");
        assert!(
            out.contains(&format!("\n  rat {command}")) || command == "query",
            "{command}"
        );
    }
}

#[test]
fn the_reference_describes_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    let reference = std::fs::read_to_string(path).unwrap();
    let (_, help, _) = run(rat().arg("--help"));
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    for command in commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if command != "help" {
            assert!(
                reference.contains(&format!("## rat {command}\n")),
                "{command} is missing"
            );
        }
    }
}
