//! Telling ratd that a run has ended.
//!
//! The callback only saves time: ratd also asks every few seconds. So it is tried a few times and
//! then left.

use std::time::Duration;

use rat_types::{RunOutcome, RunRequest};
use reqwest::StatusCode;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Why ratd was not told.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{address:?} is not the address of a control plane")]
    Address { address: String },
    #[error("failed to reach ratd")]
    Call(#[from] reqwest::Error),
    #[error("ratd answers {status}")]
    Refused { status: StatusCode },
}

impl Error {
    fn may_pass(&self) -> bool {
        match self {
            Self::Address { .. } => false,
            Self::Call(_) => true,
            Self::Refused { status } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

/// Tells ratd, trying again for a few seconds.
pub(crate) async fn push(request: &RunRequest, outcome: &RunOutcome) {
    let mut pauses = PAUSES.into_iter();
    loop {
        let error = match post(request, outcome).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let pause = pauses.next().filter(|_| error.may_pass());
        let error = rat_service::ErrorChain(&error).to_string();
        let run_id = request.run_id;
        let Some(pause) = pause else {
            tracing::warn!(%run_id, error, "ratd was not told of the end of a run");
            return;
        };
        tracing::debug!(%run_id, error, "telling ratd of the end of a run is tried again");
        tokio::time::sleep(pause).await;
    }
}

async fn post(request: &RunRequest, outcome: &RunOutcome) -> Result<(), Error> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .no_proxy();
    let address = request.control_plane.as_str();
    let (client, base) = match address.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => {
            (builder.unix_socket(path).build()?, "http://ratd".to_owned())
        }
        None if address.starts_with("http://") || address.starts_with("https://") => {
            (builder.build()?, address.trim_end_matches('/').to_owned())
        }
        _ => {
            return Err(Error::Address {
                address: address.to_owned(),
            });
        }
    };
    let url = format!("{base}/internal/v1/runs/{}/outcome", request.run_id);
    let answer = client
        .post(url)
        .bearer_auth(request.token.expose())
        .json(outcome)
        .send()
        .await?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(Error::Refused { status })
    }
}
