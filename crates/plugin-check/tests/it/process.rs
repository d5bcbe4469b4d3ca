//! Plugins that are processes: stopped, killed, started again.
//!
//! The process is this very test program, told by its environment to be a plugin.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rat_plugin_check::{Options, Report, Silent, Verdict};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::fake::{Answer, Fault, alice, options, serve, target};

const SOCKET: &str = "RAT_CHECK_FAKE_SOCKET";
const HABIT: &str = "RAT_CHECK_FAKE_HABIT";

/// Not a test by itself: with the environment set, this program is a plugin.
#[test]
fn this_program_is_a_plugin_when_it_is_told_to_be_one() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        return;
    };
    let habit = std::env::var(HABIT).unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(be_a_plugin(&socket, &habit));
}

async fn be_a_plugin(socket: &Path, habit: &str) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let is_first = !socket.exists() && !socket.with_extension("seen").exists();
    std::fs::write(socket.with_extension("seen"), "").unwrap();
    if habit != "leaves-its-socket" {
        let _ = std::fs::remove_file(socket);
    }
    let listener = UnixListener::bind(socket).unwrap();
    let fault = Fault {
        instead: match (habit, is_first) {
            ("forgets", false) => Some(|path, _, _| {
                path.ends_with("/Authenticate")
                    .then(|| Answer::of(&alice()))
            }),
            _ => None,
        },
        ..Fault::default()
    };
    let stop = async {
        match habit {
            "does-not-stop" => std::future::pending::<()>().await,
            _ => drop(terminate.recv().await),
        }
    };
    tokio::select! {
        () = serve(listener, fault) => {}
        () = stop => {}
    }
}

struct Process {
    folder: TempDir,
    habit: &'static str,
}

impl Process {
    fn new(habit: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, habit }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("plugin.sock")
    }

    fn command(&self) -> String {
        format!(
            "{SOCKET}='{}' {HABIT}={} '{}' --exact \
             process::this_program_is_a_plugin_when_it_is_told_to_be_one",
            self.socket().display(),
            self.habit,
            std::env::current_exe().unwrap().display()
        )
    }

    async fn judge(&self) -> Report {
        let options = Options {
            start: Some(self.command()),
            ..options(&["restart", "health"])
        };
        rat_plugin_check::run(target(&self.socket()), options, &Silent)
            .await
            .unwrap()
    }
}

fn verdict(report: &Report, id: &str) -> (Verdict, String) {
    let finding = report.finding(id).unwrap();
    (finding.verdict, finding.detail.clone())
}

#[tokio::test]
async fn a_plugin_that_the_kit_starts_is_stopped_killed_and_started_again() {
    let report = Process::new("none").judge().await;
    assert!(report.is_success(true), "{:#?}", report.checks);
    assert_eq!(report.summary.not_checked, 0);
}

#[tokio::test]
async fn a_plugin_that_does_not_end_on_sigterm_is_a_warning() {
    let report = Process::new("does-not-stop").judge().await;
    let (verdict, detail) = verdict(&report, "restart.graceful-stop");
    assert_eq!(verdict, Verdict::Warn, "{detail}");
    assert!(detail.contains("still running"), "{detail}");
}

#[tokio::test]
async fn a_plugin_that_trips_over_its_old_socket_fails() {
    let report = Process::new("leaves-its-socket").judge().await;
    let (verdict, detail) = verdict(&report, "restart.after-kill");
    assert_eq!(verdict, Verdict::Fail, "{detail}");
}

#[tokio::test]
async fn a_plugin_that_forgets_over_a_restart_fails() {
    let report = Process::new("forgets").judge().await;
    let (verdict, detail) = verdict(&report, "restart.same-answers");
    assert_eq!(verdict, Verdict::Fail, "{detail}");
    assert!(detail.contains("auth.bad-token.garbage"), "{detail}");
}

#[tokio::test]
async fn nothing_of_a_started_plugin_is_left_running() {
    let process = Process::new("none");
    process.judge().await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while tokio::net::UnixStream::connect(process.socket())
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_restart_command_that_fails_is_a_failure() {
    let fake = crate::fake::Fake::start(Fault::default());
    for (command, expected) in [("true", Verdict::Pass), ("exit 3", Verdict::Fail)] {
        let options = Options {
            restart: Some(command.to_owned()),
            ..options(&["restart.same-answers"])
        };
        let report = fake.judge(options).await;
        let (verdict, detail) = verdict(&report, "restart.same-answers");
        assert_eq!(verdict, expected, "{detail}");
    }
}
