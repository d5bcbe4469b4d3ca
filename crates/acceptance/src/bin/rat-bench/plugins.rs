//! What an auth plugin costs a request.
//!
//! Three ratd run side by side and are measured in turns, so that what else the machine does meets
//! all of them: without a plugin, with one whose answers may not be remembered, and with one whose
//! answers may. The bare call that ratd makes of the plugin is measured beside them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rat_acceptance::{AuthPlugin, ControlPlane, private_folder, users};
use rat_config::Address;
use rat_proto::auth::v1::AuthenticateRequest;
use rat_proto::auth::v1::auth_service_client::AuthServiceClient;
use rat_service::grpc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::figures::{build, cores, percentile};
use crate::page;

/// Connections that ask as fast as they can for the requests per second.
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 10;
/// What a call may cost beside the plugin's own work, in microseconds.
const AIM_US: f64 = 150.0;
const AIM_WARM: f64 = 1.05;

#[derive(clap::Args)]
pub(crate) struct PluginsArguments {
    /// Requests to measure, one after the other, of each kind.
    #[arg(long, default_value_t = 10_000)]
    requests: usize,
    /// Seconds to ask as fast as possible, of each kind.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Print only; leave docs/benchmarks.md alone.
    #[arg(long)]
    print_only: bool,
}

/// A ratd, with a plugin or without.
struct Subject {
    name: &'static str,
    control_plane: ControlPlane,
    latencies: Vec<f64>,
    answered: usize,
    took: Duration,
    plugin: Option<AuthPlugin>,
    folder: TempDir,
}

impl Subject {
    async fn start(name: &'static str, cache_seconds: Option<u32>) -> Result<Self> {
        let folder = private_folder()?;
        let socket = folder.path().join("auth.sock");
        let (plugin, settings) = match cache_seconds {
            None => (None, String::new()),
            Some(seconds) => {
                let address = format!("unix:{}", socket.display());
                let log = folder.path().join("plugin.log");
                let plugin = AuthPlugin::listening(&address, &log, &[])?;
                let config = users(1, seconds);
                let settings = format!(
                    "plugins:\n  auth:\n    name: auth-static\n    image: local/auth-static\n    \
                     address: {address}\n    config:\n{config}"
                );
                (Some(plugin), settings)
            }
        };
        let control_plane = ControlPlane::start(folder.path(), &settings, &[]).await?;
        if plugin.is_some() {
            let token = Some("token-0");
            let healthy = control_plane.plugin_is("auth-static", "healthy", token);
            healthy.await?;
        }
        Ok(Self {
            name,
            control_plane,
            latencies: Vec::new(),
            answered: 0,
            took: Duration::ZERO,
            plugin,
            folder,
        })
    }

    fn connect(&self) -> Result<Connection> {
        let host = self.control_plane.url().trim_start_matches("http://");
        Connection::open(host)
    }

    /// One after the other on one connection.
    fn one_by_one(&mut self, requests: usize) -> Result<()> {
        let mut connection = self.connect()?;
        for _ in 0..requests / 10 {
            connection.ask()?;
        }
        for _ in 0..requests {
            let begun = Instant::now();
            connection.ask()?;
            self.latencies.push(microseconds(begun.elapsed()));
        }
        Ok(())
    }

    /// As many as possible.
    fn at_once(&mut self, duration: Duration) -> Result<()> {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|_| self.connect())
            .collect::<Result<_>>()?;
        let begun = Instant::now();
        let asked = std::thread::scope(|scope| {
            let threads: Vec<_> = connections
                .into_iter()
                .map(|mut connection| {
                    scope.spawn(move || {
                        let mut answered = 0;
                        while begun.elapsed() < duration {
                            connection.ask()?;
                            answered += 1;
                        }
                        Ok::<usize, anyhow::Error>(answered)
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| {
                let ended = thread.join();
                ended.map_err(|_| anyhow::anyhow!("a connection ended in a panic"))?
            });
            joined.sum::<Result<usize>>()
        })?;
        self.answered += asked;
        self.took += begun.elapsed();
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

/// A connection that is kept, with no more around it than has to be.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    read: Vec<u8>,
}

impl Connection {
    fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let request = format!(
            "GET /api/v1/me HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer token-0\r\n\r\n"
        );
        Ok(Self {
            stream,
            request: request.into_bytes(),
            read: Vec::with_capacity(4096),
        })
    }

    fn ask(&mut self) -> Result<()> {
        self.stream.write_all(&self.request)?;
        self.read.clear();
        let mut piece = [0; 4096];
        loop {
            let length = self.stream.read(&mut piece)?;
            ensure!(length > 0, "ratd closed the connection");
            self.read.extend_from_slice(&piece[..length]);
            if is_whole(&self.read)? {
                break;
            }
        }
        ensure!(
            self.read.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(&self.read)
        );
        Ok(())
    }
}

/// Whether an answer has ended.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .context("an answer without its length")?;
    Ok(answer.len() >= end + 4 + length.parse::<usize>()?)
}

pub(crate) fn bench(arguments: &PluginsArguments) -> Result<()> {
    ensure!(
        arguments.requests >= ROUNDS,
        "--requests must be at least {ROUNDS}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut subjects = runtime.block_on(async {
        Ok::<_, anyhow::Error>([
            Subject::start("no auth plugin", None).await?,
            Subject::start("plugin, cold token cache", Some(0)).await?,
            Subject::start("plugin, warm token cache", Some(3600)).await?,
        ])
    })?;
    let mut bare = Vec::new();
    let requests = arguments.requests / ROUNDS;
    let duration = Duration::from_millis(arguments.seconds * 1000 / ROUNDS as u64);
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            subject.one_by_one(requests)?;
            subject.at_once(duration)?;
        }
        let cold = &subjects[1];
        ensure!(cold.plugin.is_some(), "the plugin is not there");
        bare_calls(
            &runtime,
            &cold.folder.path().join("auth.sock"),
            requests,
            &mut bare,
        )?;
    }
    page::write(
        &report(arguments, &mut subjects, &mut bare),
        arguments.print_only,
    )
}

/// The call that ratd makes, one after the other on one connection.
fn bare_calls(runtime: &Runtime, socket: &Path, calls: usize, took: &mut Vec<f64>) -> Result<()> {
    runtime.block_on(async {
        let channel = grpc::channel(&Address::Unix(socket.to_owned()))?;
        let mut client = AuthServiceClient::new(channel);
        for number in 0..calls + calls / 10 {
            let token = "token-0".to_owned();
            let begun = Instant::now();
            client.authenticate(AuthenticateRequest { token }).await?;
            if number >= calls / 10 {
                took.push(microseconds(begun.elapsed()));
            }
        }
        Ok(())
    })
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn report(arguments: &PluginsArguments, subjects: &mut [Subject], bare: &mut [f64]) -> String {
    let (cores, build) = (cores(), build());
    let mut text = format!(
        "## An auth plugin, `GET /api/v1/me`\n\n\
         `cargo xtask bench plugins`; {build}, {cores} cores. The plugin is `examples/plugins/auth-static` behind a \
         Unix socket. p50 and p99 are of {} requests one after the other on a connection that is kept, requests/s of \
         {CONNECTIONS} such connections during {} s. All are measured in {ROUNDS} turns; what asks runs on the same cores. \
         With a cold cache each request is a call of the plugin; the bare call beside it is the same call without \
         ratd, made with tonic.\n\n\
         | | p50 | p99 | requests/s | p50 to no plugin | requests/s to no plugin |\n|---|---:|---:|---:|---:|---:|\n",
        arguments.requests, arguments.seconds,
    );
    let mut medians = Vec::new();
    let noop_rate = subjects[0].per_second();
    for subject in subjects {
        let (p50, p99) = (
            percentile(&mut subject.latencies, 50),
            percentile(&mut subject.latencies, 99),
        );
        medians.push(p50);
        text.push_str(&format!(
            "| {} | {p50:.0} µs | {p99:.0} µs | {:.0} | {:.2} | {:.2} |\n",
            subject.name,
            subject.per_second(),
            p50 / medians[0],
            subject.per_second() / noop_rate,
        ));
    }
    let (p50, p99) = (percentile(bare, 50), percentile(bare, 99));
    text.push_str(&format!(
        "| bare gRPC call of the plugin | {p50:.0} µs | {p99:.0} µs | | {:.2} | |\n\n",
        p50 / medians[0]
    ));
    let (cold, warm) = (medians[1] - medians[0], medians[2] / medians[0]);
    let verdict = |is_met: bool| if is_met { "met" } else { "missed" };
    text.push_str(&format!(
        "Aims: cold within {AIM_US:.0} µs of no plugin at p50, plus the plugin's own work: {cold:.0} µs with that work, which \
         is {:.1} bare calls ({}); warm within 5 % of no plugin at p50: {:+.1} % ({}).\n",
        cold / p50,
        verdict(cold <= AIM_US),
        (warm - 1.0) * 100.0,
        verdict(warm <= AIM_WARM),
    ));
    text
}
