//! Why a login does not come about, or has ended.

use std::io;
use std::path::PathBuf;

use url::Url;

use super::provider::HttpError;

/// A failed login, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there, or too late.
    #[error("cannot reach the login provider at {url}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the connection said.
        #[source]
        source: HttpError,
    },
    /// It answers, but is no OpenID Connect provider, or not of that name.
    #[error("{url} does not describe a login provider: {problem}")]
    NoProvider {
        /// Where it should describe itself.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The provider has no such way to log in.
    #[error("{issuer} has no {name}{hint}")]
    NoEndpoint {
        /// The provider.
        issuer: String,
        /// What is missing.
        name: &'static str,
        /// What to do instead, starting with a separator.
        hint: &'static str,
    },
    /// Somebody said no.
    #[error("the login was denied")]
    Denied,
    /// Nobody logged in in time.
    #[error("nobody logged in in time; run rat login again")]
    Expired,
    /// The provider does not want to.
    #[error("the login provider refused: {0}")]
    Refused(String),
    /// The browser brought an answer that is not to our question.
    #[error("the browser brought the answer to another login ({0}); run rat login again")]
    Foreign(&'static str),
    /// The provider's answer cannot be used.
    #[error("the login provider's answer cannot be used: {0}")]
    Answer(String),
    /// The ID token is not for us, or not of now.
    #[error("the ID token is not the one that was asked for: {0}")]
    IdToken(&'static str),
    /// There is no port to be had on loopback.
    #[error("cannot listen on loopback for the browser; use rat login --device")]
    Listen(#[source] io::Error),
    /// The login is over, and cannot be renewed.
    #[error("the login at {server} has ended ({reason}); run rat login")]
    Ended {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// There is no folder to keep logins in.
    #[error("there is no folder to keep logins in: neither HOME nor XDG_STATE_HOME is set")]
    NoFolder,
    /// The file or its folder cannot be used.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may have read the tokens.
    #[error(
        "others can read the login in {path}; run rat logout, then rat login, to be given new tokens"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("the login in {path} cannot be read; run rat login to make a new one")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it stopped making sense.
        #[source]
        source: serde_json::Error,
    },
    /// Another process does not come to an end with the login.
    #[error("another rat has been renewing the login at {server} for {seconds} s")]
    Busy {
        /// The server.
        server: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl Error {
    pub(super) fn no_provider(url: &Url, problem: impl Into<String>) -> Self {
        Self::NoProvider {
            url: url.to_string(),
            problem: problem.into(),
        }
    }

    /// Whether the provider could not be asked, so that it may be tried again.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
