//! Where a request goes: gRPC to its method, Connect through the translation, a probe to its answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;

use crate::call::Guard;
use crate::connect::Translation;

/// Prefix of the path that proves that a listener is this process's own.
pub(crate) const PROBE: &str = "/.rat/alive/";

/// The service behind every listener of a plugin.
#[derive(Clone)]
pub(crate) struct Front {
    inner: Arc<Inner>,
}

struct Inner {
    guard: Guard,
    connect: Translation,
    probe: String,
}

impl Front {
    /// `secret` is what only this process knows.
    pub(crate) fn new(guard: Guard, connect: Translation, secret: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                guard,
                connect,
                probe: format!("{PROBE}{secret}"),
            }),
        }
    }
}

impl Inner {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if is_grpc(request.headers()) {
            return self.guard.call(request, None, None).await;
        }
        if request.method() == Method::GET && request.uri().path() == self.probe {
            return Response::new(Body::empty());
        }
        self.connect.call(&self.guard, request).await
    }
}

/// gRPC itself; gRPC-Web and others that begin alike are not spoken.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    content_type.is_some_and(|text| {
        text == b"application/grpc"
            || text.starts_with(b"application/grpc+")
            || text.starts_with(b"application/grpc;")
    })
}

impl tower::Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.answer(request.map(Body::new)).await) })
    }
}
