//! The HTTP client of ratd's REST API.
//!
//! Every request has a deadline. Only GETs are repeated, a few times, when nobody answered or the
//! answer was that of an overloaded or restarting service; anything else might happen twice. A
//! request that was over the rate limit has not happened, so it is sent again when the server says.
//! Answers are kept as text next to their parsed form, so that `-o json` shows what ratd said and
//! numbers keep all their digits.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::login::Session;

mod error;
mod model;
mod server;
mod stream;

pub use error::Error;
pub use model::{
    AuditEntry, AuditList, Features, Grant, GrantList, Me, Moved, Place, Plugin, PluginList,
    Reloaded, TransferList,
};
pub use model::{
    ColumnInfo, Created, Depends, FileContent, FileEntry, FileList, Health, LogLine, LogPage,
    Namespace, NamespaceList, Page, Pipeline, PipelineList, QueryAnswer, Readiness, Run, RunList,
    RunProblem, TableDetail, TableEntry, TableList, Zone, ZoneFile, ZoneFileList, ZoneList,
};
pub use server::Server;
pub(crate) use server::is_loopback;
pub use stream::{Event, EventParser};

/// Largest page that the API gives.
pub const PAGE: usize = 200;
/// Time for an ordinary request, answer included.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time for a query: the server's own limit is shorter, and its error is better than ours.
const QUERY_DEADLINE: Duration = Duration::from_secs(150);
/// Time to reach the server.
const DIAL: Duration = Duration::from_secs(5);
/// Attempts of a GET.
const ATTEMPTS: u32 = 3;
/// Time that a request waits, in all, where the server asks to come back later.
const RATE_LIMIT_PATIENCE: Duration = Duration::from_secs(30);
/// Pause before the second attempt; it doubles.
const BACKOFF: Duration = Duration::from_millis(150);

/// A connection to one ratd.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: Server,
    credentials: Credentials,
    retry: bool,
}

/// By what ratd knows the caller.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// By nothing.
    None,
    /// By an API key, or a token that stays as it is.
    Key(rat_types::Secret),
    /// By a login, which is renewed meanwhile.
    Login(Arc<Session>),
}

/// Paths that everybody may ask for: they work while the login provider is away.
const OPEN: [&str; 4] = ["/health", "/health/live", "/health/ready", "/features"];

/// An answer: the text that ratd sent, which parses into `T` on demand.
#[derive(Debug, Clone)]
pub struct Answer {
    text: String,
    method: &'static str,
    path: String,
}

impl Answer {
    /// The JSON as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The JSON as a value.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not what the API promises.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.text).map_err(|source| Error::Malformed {
            method: self.method,
            path: self.path.clone(),
            source,
        })
    }
}

impl Client {
    /// A client of `server`; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Client`] when TLS cannot be set up.
    pub fn new(server: Server, credentials: Credentials) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("rat/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(DIAL)
            .redirect(reqwest::redirect::Policy::none());
        if server.is_local() {
            builder = builder.no_proxy();
        }
        if let Server::Unix(path) = &server {
            builder = builder.unix_socket(path.clone());
        }
        let http = builder.build().map_err(Error::Client)?;
        Ok(Self {
            http,
            server,
            credentials,
            retry: true,
        })
    }

    /// The same client without repeated attempts, for whoever polls anyway.
    #[must_use]
    pub fn without_retry(&self) -> Self {
        Self {
            retry: false,
            ..self.clone()
        }
    }

    /// Where it sends to.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `GET path`, repeated while nobody answers.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Error> {
        let attempts = if self.retry { ATTEMPTS } else { 1 };
        let mut pause = BACKOFF;
        let mut attempt = 1;
        loop {
            let request = self.request(Method::GET, path).await?.query(query);
            match self.send(Method::GET, path, request, DEADLINE).await {
                Err(error) if error.is_transient() && attempt < attempts => {
                    tracing::debug!(%error, attempt, path, "the request is repeated");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn list<P>(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<P::Item>, Error>
    where
        P: Page + DeserializeOwned,
    {
        let mut items = Vec::new();
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE.to_string()));
            query.push(("offset", items.len().to_string()));
            let (page, total) = self.get(path, &query).await?.parse::<P>()?.into_parts();
            let received = page.len();
            items.extend(page);
            // A list without paging answers with everything at once.
            if received == 0 || received > PAGE || items.len() >= total {
                return Ok(items);
            }
        }
    }

    /// `method path` with a JSON body; never repeated.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn send_json<B: serde::Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<Answer, Error> {
        let request = self.request(method.clone(), path).await?.json(body);
        self.send(method, path, request, DEADLINE).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn post<B: serde::Serialize + ?Sized>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Answer, Error> {
        self.send_json(Method::POST, path, body).await
    }

    /// `DELETE path`; a thing that is gone already counts as deleted.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let request = self.request(Method::DELETE, path).await?;
        match self.send(Method::DELETE, path, request, DEADLINE).await {
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Executes a query, with the time that queries get.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn query<B: serde::Serialize + ?Sized>(&self, body: &B) -> Result<Answer, Error> {
        let path = "/api/v1/query";
        let request = self.request(Method::POST, path).await?.json(body);
        self.send(Method::POST, path, request, QUERY_DEADLINE).await
    }

    /// `POST path` with a multipart form, within `deadline`.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn upload(
        &self,
        path: &str,
        form: reqwest::multipart::Form,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let request = self.request(Method::POST, path).await?.multipart(form);
        self.send(Method::POST, path, request, deadline).await
    }

    /// Opens an event stream; the caller reads it and sees to deadlines between events.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn open_stream(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<reqwest::Response, Error> {
        let request = self
            .request(Method::GET, path)
            .await?
            .query(query)
            .header(reqwest::header::ACCEPT, "text/event-stream");
        let answer = tokio::time::timeout(DEADLINE, request.send()).await;
        let response = match answer {
            Err(_) => return Err(self.deadline(&Method::GET, path, DEADLINE)),
            Ok(sent) => sent.map_err(|source| self.failed(&Method::GET, path, DEADLINE, source))?,
        };
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refused(&Method::GET, path, response).await),
        }
    }

    async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.server.base()));
        Ok(match &self.credentials {
            Credentials::Key(key) => request.bearer_auth(key.expose()),
            Credentials::Login(session) if !OPEN.contains(&path) => {
                request.bearer_auth(session.token().await?.expose())
            }
            Credentials::Login(_) | Credentials::None => request,
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let failed = |source| self.failed(&method, path, deadline, source);
        let mut request = request.timeout(deadline);
        let mut patience = RATE_LIMIT_PATIENCE;
        let response = loop {
            // A streamed body cannot be sent twice.
            let again = request.try_clone();
            let response = request.send().await.map_err(failed)?;
            let wait = retry_after(&response).filter(|wait| *wait <= patience);
            let (Some(wait), Some(next)) = (wait, again) else {
                break response;
            };
            tokio::time::sleep(wait).await;
            patience -= wait;
            request = next;
        };
        if !response.status().is_success() {
            return Err(self.refused(&method, path, response).await);
        }
        let text = response
            .text()
            .await
            .map_err(|source| self.failed(&method, path, deadline, source))?;
        Ok(Answer {
            text,
            method: name_of(&method),
            path: path.to_owned(),
        })
    }

    async fn refused(&self, method: &Method, path: &str, response: reqwest::Response) -> Error {
        let status = response.status();
        let request_id = response
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        match tokio::time::timeout(DEADLINE, response.text()).await {
            Ok(Ok(body)) => Error::from_answer(status, request_id, self.hint(status), &body),
            Ok(Err(source)) => self.failed(method, path, DEADLINE, source),
            Err(_) => self.deadline(method, path, DEADLINE),
        }
    }

    /// What to do about an answer, starting with a separator.
    fn hint(&self, status: StatusCode) -> &'static str {
        match (status, &self.credentials) {
            (StatusCode::UNAUTHORIZED, Credentials::None) => "; log in with rat login",
            (StatusCode::UNAUTHORIZED, Credentials::Login(_)) => "; log in again with rat login",
            _ => "",
        }
    }

    fn failed(
        &self,
        method: &Method,
        path: &str,
        deadline: Duration,
        source: reqwest::Error,
    ) -> Error {
        if source.is_timeout() && !source.is_connect() {
            return self.deadline(method, path, deadline);
        }
        let hint = match source.is_connect() {
            true => "; is it running, and is --server (RAT_URL) right?",
            false => "",
        };
        Error::Unreachable {
            server: self.server.clone(),
            hint,
            source: source.without_url(),
        }
    }

    fn deadline(&self, method: &Method, path: &str, deadline: Duration) -> Error {
        Error::Deadline {
            method: name_of(method),
            path: path.to_owned(),
            seconds: deadline.as_secs(),
        }
    }
}

/// How long to wait before a request that was over the rate limit is sent again.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let header = response.headers().get(reqwest::header::RETRY_AFTER)?;
    let seconds: u64 = header.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.max(1)))
}

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "request",
    }
}
