//! 10,000 tokens of keys that nobody knows, and what everybody else notices of them.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Plugin, encode, usual};

/// Ten tokens every ten milliseconds.
const TICKS: u32 = 1000;
const TICK: Duration = Duration::from_millis(10);
const PER_TICK: u32 = 10;
/// How much later the slowest hundredth of honest requests may be answered under the flood. It is
/// about twice as late in a test build on two cores that do something else besides; behind a
/// refresh or a lock it would be hundreds of times.
const MOST: u32 = 10;
/// Below this nobody can tell.
const UNNOTICED: Duration = Duration::from_millis(5);

/// Times of honest requests, until the flood is over.
async fn honest(plugin: &Plugin, token: &str, until: impl Future<Output = ()>) -> Vec<Duration> {
    let mut times = Vec::new();
    let ask = async {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            let begun = Instant::now();
            plugin.accepts(token).await;
            times.push(begun.elapsed());
        }
    };
    tokio::select! {
        () = ask => {}
        () = until => {}
    }
    times.sort_unstable();
    times
}

fn slowest_hundredth(times: &[Duration]) -> Duration {
    assert!(times.len() > 100, "only {} requests", times.len());
    times[times.len() * 99 / 100]
}

async fn flood(plugin: &Plugin, claims: &Value) {
    let payload = encode(claims.to_string());
    let mut ticks = tokio::time::interval(TICK);
    for tick in 0..TICKS {
        ticks.tick().await;
        let tokens: Vec<_> = (0..PER_TICK)
            .map(|number| {
                let header = json!({"alg": "RS256", "kid": format!("{tick}-{number}")});
                format!("{}.{payload}.AAAA", encode(header.to_string()))
            })
            .collect();
        join_all(tokens.iter().map(|token| plugin.refuses(token))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_unknown_keys_are_one_question_to_the_provider_and_harm_nobody() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "1h"})).await;
    let token = pair.token(&provider.claims());
    let calm = tokio::time::sleep(Duration::from_secs(4));
    let calm = slowest_hundredth(&honest(&plugin, &token, calm).await);
    let asked = provider.asked();
    let claims = provider.claims();
    let flooded = flood(&plugin, &claims);
    let flooded = slowest_hundredth(&honest(&plugin, &token, flooded).await);
    assert_eq!(provider.asked() - asked, 1);
    println!("p99 of honest requests: {calm:?}, under the flood {flooded:?}");
    assert!(
        flooded < (calm * MOST).max(UNNOTICED),
        "{flooded:?} under the flood, {calm:?} without it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_keys_at_a_provider_that_hangs_harm_nobody() {
    let (provider, pair, plugin) = usual(json!({"refresh_interval": "1h"})).await;
    provider.now_serves(Answer::Hangs);
    let token = pair.token(&provider.claims());
    let claims = provider.claims();
    // Those that may wait are bounded in number and time, the others are refused at once.
    let unknown = |number: u32| {
        let header = json!({"alg": "RS256", "kid": number.to_string()});
        pair.sign_text(&header.to_string(), &claims.to_string())
    };
    let many: Vec<_> = (0..200).map(unknown).collect();
    let begun = Instant::now();
    let all = join_all(many.iter().map(|token| plugin.refuses(token)));
    let times = honest(&plugin, &token, async { drop(all.await) }).await;
    let elapsed = begun.elapsed();
    assert!(
        elapsed < Duration::from_secs(9),
        "ratd would not have waited {elapsed:?}"
    );
    assert!(
        elapsed > Duration::from_secs(4),
        "nobody waited for the provider: {elapsed:?}"
    );
    assert!(slowest_hundredth(&times) < Duration::from_secs(1));
    // Once the wish has come to nothing, the next one is refused at once.
    plugin.becomes("degraded").await;
    let begun = Instant::now();
    plugin.refuses(&unknown(1000)).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
}
