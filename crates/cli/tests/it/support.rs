//! The program under test, and a server that answers what a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The program, without anything of this process's environment that changes its behaviour.
pub(crate) fn rat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rat"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAT_") {
            command.env_remove(name);
        }
    }
    command
        .env("NO_COLOR", "1")
        // Nobody is logged in.
        .env("XDG_STATE_HOME", "/nowhere/state")
        .env_remove("RAT_LOG")
        .stdin(Stdio::null());
    command
}

/// Output of a command as text: exit code, standard output, standard error.
pub(crate) fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Runs the program to its end.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    text(&command.output().unwrap())
}

/// Waits until `check` gives a value.
pub(crate) fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{what} did not happen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    /// `METHOD /path`, for matching.
    pub(crate) fn route(&self) -> (&str, &str) {
        (&self.method, &self.path)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An answer: status, extra header lines, body.
pub(crate) type Answer = (u16, &'static str, String);

pub(crate) fn ok(body: serde_json::Value) -> Answer {
    (200, "", body.to_string())
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = serde_json::json!({"error": {"code": code, "type": "T", "message": message}});
    (status, "x-request-id: 0199-test\r\n", body.to_string())
}

/// A server that lives as long as the test's process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request with what `answer` says.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Self {
            url,
            seen: Arc::clone(&seen),
        };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &seen, answer.as_ref()));
            }
        });
        server
    }

    /// The program, talking to this server.
    pub(crate) fn rat(&self, arguments: &[&str]) -> (i32, String, String) {
        run(rat().args(["--server", &self.url]).args(arguments))
    }

    /// `METHOD /path` of every request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect()
    }

    /// Every request so far that changes something.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .filter(|line| !line.starts_with("GET "))
            .collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let (status, extra, body) = answer(&request);
    seen.lock().unwrap().push(request);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{extra}\r\n"
    );
    // A client that went away is no concern of the server.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()));
}
