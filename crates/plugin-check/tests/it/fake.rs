//! A plugin for every slot, written by hand so that it can be wrong in every way.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rat_plugin_check::{Limits, Options, Report, Silent, Target, TlsTexts};
use rat_types::Secret;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

mod answers;

pub(crate) use answers::{Answer, alice, batch, refuse};

/// The token that the plugin accepts.
pub(crate) const TOKEN: &str = "alice-token";
/// Largest message.
const MAX: usize = 4 << 20;
/// The code for a call whose client has gone.
const GIVEN_UP: u32 = 1;
/// After this time without a request a connection is closed.
const SILENCE: Duration = Duration::from_millis(600);

/// What is wrong with the plugin; by default nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fault {
    /// Answers instead of the plugin: path, message, how many calls there were and are under way.
    pub(crate) instead: Option<Instead>,
    /// Sees a request's head; `true` kills the plugin.
    pub(crate) dies_of: Option<fn(&HeaderMap, usize) -> bool>,
    /// Fields and bytes that are no protobuf are fine.
    pub(crate) takes_malformed: bool,
    /// Half a message is a message.
    pub(crate) takes_half: bool,
    /// Any number of bytes.
    pub(crate) takes_large: bool,
    /// Deadlines are nobody's business.
    pub(crate) ignores_deadlines: bool,
    /// A connection is closed when a call on it is given up.
    pub(crate) resents_cancelling: bool,
    /// Connections at a time.
    pub(crate) max_connections: Option<usize>,
    /// Connections that say nothing stay.
    pub(crate) is_patient: bool,
    /// HTTP/1.1 is answered like this: JSON, status, body.
    pub(crate) http1: Option<Http1>,
}

/// An answer to path and message, where the plugin would have another.
pub(crate) type Instead = fn(&str, &[u8], Load) -> Option<Answer>;
/// Status, content type and body by the content type of the request.
type Http1 = fn(&str) -> Option<(u16, &'static str, &'static str)>;

/// How much is going on.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) calls: usize,
    pub(crate) under_way: usize,
}

/// The plugin's state.
struct State {
    calls: AtomicUsize,
    under_way: AtomicUsize,
    connections: AtomicUsize,
    is_dead: watch::Sender<bool>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            calls: AtomicUsize::default(),
            under_way: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            is_dead: watch::Sender::new(false),
        }
    }
}

/// What is known of a connection.
#[derive(Default)]
struct Link {
    has_begun: AtomicBool,
    close: Notify,
}

/// Counts down when it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running plugin.
pub(crate) struct Fake {
    _folder: TempDir,
    pub(crate) socket: PathBuf,
    _tasks: JoinSet<()>,
}

impl Fake {
    pub(crate) fn start(fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("plugin.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, fault));
        Self {
            _folder: folder,
            socket,
            _tasks: tasks,
        }
    }

    /// What the judge says of it.
    pub(crate) async fn judge(&self, options: Options) -> Report {
        let report = rat_plugin_check::run(target(&self.socket), options, &Silent).await;
        report.unwrap()
    }
}

pub(crate) fn target(socket: &Path) -> Target {
    let address = format!("unix:{}", socket.display());
    Target::new(address.parse().unwrap(), &TlsTexts::default()).unwrap()
}

/// Short times, the accepted token, and only some checks.
pub(crate) fn options(only: &[&str]) -> Options {
    Options {
        only: only.iter().map(|id| (*id).to_owned()).collect(),
        token: Some(Secret::new(TOKEN)),
        config: Some(Secret::new("{\"realm\": \"rat\"}")),
        limits: Limits {
            dial: Duration::from_secs(1),
            health: Duration::from_millis(1_500),
            call: Duration::from_secs(3),
            silence: Duration::from_secs(2),
            restart: Duration::from_secs(5),
            stop: Duration::from_secs(2),
            parallel: 100,
        },
        ..Options::default()
    }
}

/// Serves connections until it is dropped.
pub(crate) async fn serve(listener: UnixListener, fault: Fault) {
    let state = Arc::new(State::default());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(connection(stream, fault, state.clone()));
    }
}

/// Serves one connection.
pub(crate) async fn serve_stream(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    connection(stream, Fault::default(), Arc::default()).await;
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    fault: Fault,
    state: Arc<State>,
) {
    let _counted = Counted::new(&state.connections);
    let limit = fault.max_connections.unwrap_or(usize::MAX);
    if state.connections.load(Ordering::SeqCst) > limit {
        return;
    }
    let link = Arc::new(Link::default());
    let service = service_fn(|request| {
        link.has_begun.store(true, Ordering::SeqCst);
        let (state, link) = (state.clone(), link.clone());
        async move { Ok::<_, Infallible>(respond(request, fault, &state, &link).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(400);
    let patience = async {
        tokio::time::sleep(SILENCE).await;
        if link.has_begun.load(Ordering::SeqCst) || fault.is_patient {
            std::future::pending::<()>().await;
        }
    };
    let mut dead = state.is_dead.subscribe();
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        () = patience => {}
        () = link.close.notified() => {}
        _ = dead.wait_for(|is_dead| *is_dead) => {}
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn respond(
    request: Request<Incoming>,
    fault: Fault,
    state: &State,
    link: &Arc<Link>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let kind = head.headers.get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let limit = deadline(&head.headers).filter(|_| !fault.ignores_deadlines);
    if fault.dies_of.is_some_and(|of| of(&head.headers, 0)) {
        state.is_dead.send_replace(true);
    }
    let resentment = Resentment(fault.resents_cancelling.then(|| link.clone()));
    let path = head.uri.path().to_owned();
    let is_grpc = kind.starts_with("application/grpc");
    let work = async {
        let message = match is_grpc {
            true => read(body, fault, state).await?,
            // The judge sends no JSON that says anything.
            false if kind == "application/json" => Vec::new(),
            false => match Limited::new(body, MAX).collect().await {
                Ok(body) => unframed(&kind, &body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(refuse(8, "the message is too large"));
                }
                Err(_) => return Err(refuse(GIVEN_UP, "given up")),
            },
        };
        let _under_way = Counted::new(&state.under_way);
        let load = Load {
            calls: state.calls.fetch_add(1, Ordering::SeqCst),
            under_way: state.under_way.load(Ordering::SeqCst),
        };
        // Calls of one moment shall see each other.
        tokio::task::yield_now().await;
        let answer = fault
            .instead
            .and_then(|instead| instead(&path, &message, load));
        let answer =
            answer.unwrap_or_else(|| answers::answer(&path, &message, fault.takes_malformed));
        tokio::time::sleep(answer.delay).await;
        Ok(answer)
    };
    let done = match limit {
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(refuse(4, "too late"))),
        None => work.await,
    };
    if !matches!(&done, Err(answer) if answer.code == GIVEN_UP) {
        resentment.forget();
    }
    let answer = done.unwrap_or_else(|answer| answer);
    match is_grpc {
        true => grpc(answer),
        false => connect(&path, &kind, answer, fault),
    }
}

/// Closes the connection when a call is given up.
struct Resentment(Option<Arc<Link>>);

impl Resentment {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Resentment {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.close.notify_one();
        }
    }
}

/// The message of a request of Connect, which has a frame only where the answer is a stream.
fn unframed(kind: &str, body: &[u8]) -> Vec<u8> {
    match kind {
        "application/connect+proto" => body[5..].to_vec(),
        _ => body.to_vec(),
    }
}

fn deadline(headers: &HeaderMap) -> Option<Duration> {
    if let Some(millis) = headers.get("connect-timeout-ms") {
        let millis = millis.to_str().unwrap().parse().unwrap();
        return Some(Duration::from_millis(millis));
    }
    let text = headers.get("grpc-timeout")?.to_str().unwrap();
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    Some(match unit {
        "n" => Duration::from_nanos(number),
        "m" => Duration::from_millis(number),
        "S" => Duration::from_secs(number),
        unit => panic!("the judge sends no {unit}"),
    })
}

/// The message of a call.
async fn read(mut body: Incoming, fault: Fault, state: &State) -> Result<Vec<u8>, Answer> {
    let mut bytes = BytesMut::new();
    let mut announced = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(refuse(GIVEN_UP, "given up"));
        };
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        if announced.is_none() && bytes.len() >= 5 {
            let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
            announced = Some(length);
            if fault
                .dies_of
                .is_some_and(|of| of(&HeaderMap::new(), length))
            {
                state.is_dead.send_replace(true);
            }
            if length > MAX && !fault.takes_large {
                return Err(refuse(8, "the message is too large"));
            }
        }
    }
    match announced {
        Some(length) if bytes.len() == 5 + length || fault.takes_half => Ok(bytes[5..].to_vec()),
        _ => Err(refuse(13, "the message is not whole")),
    }
}

fn grpc(answer: Answer) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(answer.code));
    let message = answer.message.replace('%', "%25").replace('\n', "%0A");
    trailers.insert("grpc-message", HeaderValue::from_str(&message).unwrap());
    let mut bytes = BytesMut::new();
    if answer.code == 0 {
        bytes.extend_from_slice(&[0]);
        bytes.extend_from_slice(&(answer.body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&answer.body);
    }
    let body = Full::new(bytes.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::builder()
        .header("content-type", "application/grpc")
        .body(body.boxed_unsync())
        .unwrap()
}

fn connect(path: &str, kind: &str, answer: Answer, fault: Fault) -> Response<Body> {
    let (status, kind, text) = match fault.http1.and_then(|http1| http1(kind)) {
        Some((status, kind, text)) => (status, kind, Bytes::from_static(text.as_bytes())),
        None => answers::connect(path, kind, &answer),
    };
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::new(text).boxed_unsync())
        .unwrap()
}
