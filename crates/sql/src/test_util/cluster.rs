//! A private PostgreSQL server in a temporary folder.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::postgres::PgConnectOptions;

/// Runs the server until its standard input ends, then stops it at once and removes the folder.
/// Durability is switched off: nothing outlives the process.
const SUPERVISOR: &str = r#"
postgres=$1 folder=$2
shift 2
"$postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 \
    -c shared_buffers=32MB -c autovacuum=off -c log_min_messages=warning "$@" \
    >"$folder/log" 2>&1 </dev/null &
server=$!
trap '' INT TERM HUP
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
"#;

/// A running server.
pub(super) struct Cluster {
    folder: PathBuf,
    /// Holds the pipe open; see [`SUPERVISOR`].
    _supervisor: Child,
}

impl Cluster {
    /// Starts a server with additional settings, and with files in its data folder; or says why
    /// there is none. It may not accept connections yet.
    pub(super) fn start(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Self, String> {
        let initdb = find("initdb").ok_or("initdb was not found")?;
        let postgres = find("postgres").ok_or("postgres was not found")?;
        let user = unprivileged_user()?;
        let folder = tempfile::Builder::new()
            .prefix("rat-pg-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?
            .keep();
        // 0755, or the server's user may not be able to look up the socket in it.
        let prepared = std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))
            .and_then(|()| user.map_or(Ok(()), |(uid, gid)| chown(&folder, Some(uid), Some(gid))));
        let started = prepared
            .map_err(|error| format!("failed to prepare {}: {error}", folder.display()))
            .and_then(|()| initialise(&initdb, &folder, user))
            .and_then(|()| write(files, &folder.join("data"), user))
            .and_then(|()| supervise(&postgres, &folder, user, settings));
        match started {
            Ok(supervisor) => Ok(Self {
                folder,
                _supervisor: supervisor,
            }),
            Err(reason) => {
                // The reason is worth more than the folder.
                let _ = std::fs::remove_dir_all(&folder);
                Err(reason)
            }
        }
    }

    /// Options to connect to the administrative database.
    pub(super) fn connect(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.folder)
            .port(5432)
            .username("rat")
            .database("postgres")
    }
}

/// A program on the PATH, or where Debian keeps it, the newest version first.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort();
    std::env::split_paths(&path)
        .chain(
            versions
                .into_iter()
                .rev()
                .map(|(_, folder)| folder.join("bin")),
        )
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// PostgreSQL refuses to run as root: for root, the ids of a user who is not.
fn unprivileged_user() -> Result<Option<(u32, u32)>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
        .map(|user| Some((user.uid.as_raw(), user.gid.as_raw())))
        .ok_or_else(|| "running as root, and there is no user postgres or nobody".to_owned())
}

fn command(program: &Path, folder: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Creates the data folder, with a collation that is not "C" where the server has one: so a query
/// whose order depends on the database's collation is found out.
fn initialise(initdb: &Path, folder: &Path, user: Option<(u32, u32)>) -> Result<(), String> {
    let attempt = |locale: &[&str]| {
        command(initdb, folder, user)
            .arg("--pgdata")
            .arg(folder.join("data"))
            .args([
                "--username=rat",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ])
            .args(["--no-locale"])
            .args(locale)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("failed to start initdb: {error}"))
    };
    if attempt(&["--locale-provider=icu", "--icu-locale=en"])?
        .status
        .success()
    {
        return Ok(());
    }
    let output = attempt(&[])?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "initdb failed: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Writes `files` for the server's eyes only, as it demands of its private key.
fn write(files: &[(&str, &str)], data: &Path, user: Option<(u32, u32)>) -> Result<(), String> {
    for (name, content) in files {
        let file = data.join(name);
        std::fs::write(&file, content)
            .and_then(|()| std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)))
            .and_then(|()| user.map_or(Ok(()), |(uid, gid)| chown(&file, Some(uid), Some(gid))))
            .map_err(|error| format!("failed to write {}: {error}", file.display()))?;
    }
    Ok(())
}

fn supervise(
    postgres: &Path,
    folder: &Path,
    user: Option<(u32, u32)>,
    settings: &[(&str, &str)],
) -> Result<Child, String> {
    let settings = settings
        .iter()
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
    command(Path::new("/bin/sh"), Path::new("/"), user)
        .args(["-c", SUPERVISOR, "rat-test-postgres"])
        .arg(postgres)
        .arg(folder)
        .args(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal is for the tests; the end of the pipe is what ends the server.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("failed to start the supervisor: {error}"))
}
