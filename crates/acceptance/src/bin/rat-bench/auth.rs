//! What the validation of a token costs, beside the bare verification of its signature.
//!
//! The plugin is a process of its own, so that the time and the memory that it takes can be told from
//! those of who asks. Time on the processor is compared besides time on the clock: on a machine with
//! few cores whoever asks takes as much of it as the plugin. The same judgement is measured in this
//! process, too: the difference is what gRPC costs.

mod process;
mod provider;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rat_acceptance::{private_folder, wait_for};
use rat_config::Address;
use rat_plugin_auth_keycloak::Keycloak;
use rat_plugin_sdk::{Auth as _, Plugin as _};
use rat_proto::auth::v1::AuthenticateRequest;
use rat_proto::auth::v1::auth_service_client::AuthServiceClient;
use rat_proto::plugin::v1::HealthCheckRequest;
use rat_proto::plugin::v1::plugin_service_client::PluginServiceClient;
use rat_service::grpc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::figures::{build, cores, percentile};
use crate::page;
use process::Process;
use provider::{Kind, Provider};

/// Tokens that the figures of time are taken from, one after the other.
const TOKENS: usize = 1000;
/// Calls at a time for the calls per second.
const AT_ONCE: usize = 32;
const ROUNDS: usize = 10;
/// Of the rate at which signatures are verified, on one core.
const AIM_RATE: f64 = 0.8;
const AIM_P50_US: f64 = 150.0;
/// Growth over all distinct tokens that counts as none.
const AIM_GROWTH_KIB: u64 = 2048;
/// Tokens before the memory is looked at for the first time: buffers have their size then.
const WARM: usize = 20_000;

#[derive(clap::Args)]
pub(crate) struct AuthArguments {
    /// Calls to measure one after the other, and as many signatures.
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
    /// Seconds to call as fast as possible.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Distinct tokens between the two looks at the memory.
    #[arg(long, default_value_t = 1_000_000)]
    distinct: usize,
    /// Print only; leave docs/benchmarks.md alone.
    #[arg(long)]
    print_only: bool,
}

/// What was measured.
#[derive(Default)]
struct Figures {
    /// Microseconds of each signature, of each judgement in this process, and of each call.
    bare: Vec<f64>,
    judged: Vec<f64>,
    calls: Vec<f64>,
    /// Microseconds on the processor that the plugin took for a call, one after the other and many at a time.
    alone: f64,
    busy: f64,
    per_second: f64,
    /// KiB that the plugin had before and after the distinct tokens.
    before: u64,
    after: u64,
}

pub(crate) fn bench(arguments: &AuthArguments) -> Result<()> {
    ensure!(
        arguments.calls >= ROUNDS,
        "--calls must be at least {ROUNDS}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(measure(arguments))?;
    page::write(&report(arguments, figures), arguments.print_only)
}

async fn measure(arguments: &AuthArguments) -> Result<Figures> {
    let folder = private_folder()?;
    let provider = Provider::start().await?;
    let socket = folder.path().join("auth.sock");
    let process = Process::start(&socket, &provider.config(), folder.path())?;
    let channel = grpc::channel(&Address::Unix(socket))?;
    is_healthy(&channel).await?;
    let client = AuthServiceClient::new(channel);
    let tokens: Vec<String> = (0..TOKENS)
        .map(|number| provider.token(Kind::Rsa, number))
        .collect();

    let config = serde_json::from_value(provider.config())?;
    let judge = Keycloak::configure(config).await;
    let judge =
        judge.map_err(|invalid| anyhow!("the plugin refuses its configuration: {invalid:?}"))?;
    let mut figures = Figures::default();
    one_by_one(&client, &tokens, arguments.calls / 10, &mut Vec::new()).await?;
    wait_for("the keys to be here", async || {
        judge_all(&judge, &tokens, 1, &mut Vec::new()).await?;
        Ok(Some(()))
    })
    .await?;
    let (mut alone, mut busy) = (Duration::ZERO, Duration::ZERO);
    let (mut answered, mut took) = (0, Duration::ZERO);
    // In turns, so that what else the machine does meets all of them.
    for _ in 0..ROUNDS {
        provider.verify(&tokens, arguments.calls / ROUNDS, &mut figures.bare)?;
        judge_all(
            &judge,
            &tokens,
            arguments.calls / ROUNDS,
            &mut figures.judged,
        )
        .await?;
        let before = process.time()?;
        one_by_one(
            &client,
            &tokens,
            arguments.calls / ROUNDS,
            &mut figures.calls,
        )
        .await?;
        alone += process.time()? - before;
        let (before, begun) = (process.time()?, Instant::now());
        let limit = Duration::from_millis(arguments.seconds * 1000 / ROUNDS as u64);
        answered += at_once(&client, &tokens, limit).await?;
        took += begun.elapsed();
        busy += process.time()? - before;
    }
    figures.alone = microseconds(alone) / figures.calls.len() as f64;
    figures.busy = microseconds(busy) / answered as f64;
    figures.per_second = answered as f64 / took.as_secs_f64();

    // Each signed for itself, which takes too long with RSA.
    distinct(&client, &provider, 0..WARM).await?;
    figures.before = process.memory()?;
    distinct(&client, &provider, WARM..WARM + arguments.distinct).await?;
    figures.after = process.memory()?;
    Ok(figures)
}

async fn is_healthy(channel: &Channel) -> Result<()> {
    let client = PluginServiceClient::new(channel.clone());
    wait_for("the plugin to have keys", async || {
        let answer = client.clone().health_check(HealthCheckRequest {}).await?;
        let answer = answer.into_inner();
        ensure!(
            answer.status == "healthy",
            "{} {}",
            answer.status,
            answer.message
        );
        Ok(Some(()))
    })
    .await
}

async fn call(client: &mut AuthServiceClient<Channel>, token: String) -> Result<()> {
    let answer = client.authenticate(AuthenticateRequest { token }).await?;
    ensure!(!answer.into_inner().user_id.is_empty(), "nobody");
    Ok(())
}

/// The plugin's own work, without a connection.
async fn judge_all(
    judge: &Keycloak,
    tokens: &[String],
    calls: usize,
    times: &mut Vec<f64>,
) -> Result<()> {
    for token in tokens.iter().cycle().take(calls) {
        let request = rat_plugin_sdk::auth::AuthenticateRequest {
            token: token.clone(),
        };
        let begun = Instant::now();
        let answer = judge.authenticate(request).await;
        times.push(microseconds(begun.elapsed()));
        ensure!(answer.is_ok(), "the token was refused: {answer:?}");
    }
    Ok(())
}

async fn one_by_one(
    client: &AuthServiceClient<Channel>,
    tokens: &[String],
    calls: usize,
    times: &mut Vec<f64>,
) -> Result<()> {
    let mut client = client.clone();
    for token in tokens.iter().cycle().take(calls) {
        let token = token.clone();
        let begun = Instant::now();
        call(&mut client, token).await?;
        times.push(microseconds(begun.elapsed()));
    }
    Ok(())
}

async fn at_once(
    client: &AuthServiceClient<Channel>,
    tokens: &[String],
    limit: Duration,
) -> Result<usize> {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..AT_ONCE {
        let mut client = client.clone();
        let tokens: Vec<String> = tokens
            .iter()
            .skip(number)
            .step_by(AT_ONCE)
            .cloned()
            .collect();
        callers.spawn(async move {
            let mut answered = 0;
            for token in tokens.iter().cycle() {
                if begun.elapsed() >= limit {
                    break;
                }
                call(&mut client, token.clone()).await?;
                answered += 1;
            }
            Ok::<usize, anyhow::Error>(answered)
        });
    }
    let mut answered = 0;
    while let Some(ended) = callers.join_next().await {
        answered += ended.context("a caller ended in a panic")??;
    }
    Ok(answered)
}

async fn distinct(
    client: &AuthServiceClient<Channel>,
    provider: &Provider,
    numbers: std::ops::Range<usize>,
) -> Result<()> {
    let mut callers = JoinSet::new();
    for number in numbers {
        if callers.len() >= AT_ONCE
            && let Some(ended) = callers.join_next().await
        {
            ended.context("a caller ended in a panic")??;
        }
        let (mut client, token) = (client.clone(), provider.token(Kind::Edwards, number));
        callers.spawn(async move { call(&mut client, token).await });
    }
    while let Some(ended) = callers.join_next().await {
        ended.context("a caller ended in a panic")??;
    }
    Ok(())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn report(arguments: &AuthArguments, mut figures: Figures) -> String {
    let (cores, build) = (cores(), build());
    let bare = [50, 99].map(|percent| percentile(&mut figures.bare, percent));
    let judged = [50, 99].map(|percent| percentile(&mut figures.judged, percent));
    let calls = [50, 99].map(|percent| percentile(&mut figures.calls, percent));
    let share = |cost: f64| bare[0] / cost;
    let growth = figures.after.saturating_sub(figures.before);
    let verdict = |is_met: bool| if is_met { "met" } else { "missed" };
    format!(
        "## Validating a token, `Authenticate` of auth-keycloak\n\n\
         `cargo xtask bench auth`; {build}, {cores} cores. RS256 with 2048 bits, {TOKENS} tokens of about 1 KB in turn. The plugin is a \
         process of its own behind a Unix socket; who asks runs on the same cores. p50 and p99 are of {} calls one after the \
         other on one connection, calls/s of {AT_ONCE} at a time during {} s. The bare verification is ring's, in a loop, \
         as is the judgement: for these, time on a core is the p50. For calls it is what the plugin's process took of the \
         processor, the whole of gRPC included.\n\n\
         | | p50 | p99 | on a core | per second and core |\n|---|---:|---:|---:|---:|\n\
         | bare verification | {:.1} µs | {:.1} µs | {:.1} µs | {:.0} |\n\
         | the plugin's judgement, in a loop | {:.1} µs | {:.1} µs | {:.1} µs | {:.0} |\n\
         | `Authenticate`, one after the other | {:.0} µs | {:.0} µs | {:.1} µs | {:.0} |\n\
         | `Authenticate`, {AT_ONCE} at a time: {:.0} calls/s | | | {:.1} µs | {:.0} |\n\n\
         Memory: {} KiB after {WARM} distinct tokens, {} KiB after {} more (Ed25519, which is signed faster).\n\n\
         Aims: {:.0} % of the bare rate on one core: {:.0} % for the judgement ({}), {:.0} % with gRPC ({}); p50 under \
         {AIM_P50_US:.0} µs: {:.0} µs ({}); memory flat: {growth} KiB more ({}).\n",
        figures.calls.len(),
        arguments.seconds,
        bare[0],
        bare[1],
        bare[0],
        1e6 / bare[0],
        judged[0],
        judged[1],
        judged[0],
        1e6 / judged[0],
        calls[0],
        calls[1],
        figures.alone,
        1e6 / figures.alone,
        figures.per_second,
        figures.busy,
        1e6 / figures.busy,
        figures.before,
        figures.after,
        arguments.distinct,
        AIM_RATE * 100.0,
        share(judged[0]) * 100.0,
        verdict(share(judged[0]) >= AIM_RATE),
        share(figures.busy) * 100.0,
        verdict(share(figures.busy) >= AIM_RATE),
        calls[0],
        verdict(calls[0] < AIM_P50_US),
        verdict(growth <= AIM_GROWTH_KIB),
    )
}
