//! The [Connect protocol](https://connectrpc.com/docs/protocol) in front of gRPC, on the same
//! socket.
//!
//! Every unary and server-streaming method also answers a plain `POST /<service>/<method>`, over
//! HTTP/1.1 and HTTP/2, in JSON or binary protobuf:
//!
//! ```text
//! curl --unix-socket auth.sock http://plugin/rat.auth.v1.AuthService/Authenticate \
//!      -H 'Content-Type: application/json' -d '{"token": "…"}'
//! ```
//!
//! A request becomes a gRPC call in memory and its answer is translated back, so that whatever
//! holds for a call over gRPC (limits, deadlines, who is calling) holds here too. JSON is
//! translated by the descriptors of the contracts, in the names and defaults of protobuf's JSON
//! mapping; unknown fields are ignored, as the protocol's other implementations do.
//!
//! Deliberately not spoken: GET, compression, client streaming. Each is refused with a message that
//! says so.

mod codec;
mod envelope;
mod error;
mod frames;
mod headers;
mod request;
mod stream;
mod unary;

use std::collections::HashMap;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::call::{CallLimits, Guard};
use codec::{Codec, Shape};

pub use error::http_status;

/// How long a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The methods that are offered, with what their messages look like.
pub(crate) struct Translation {
    methods: HashMap<String, Offered>,
}

struct Offered {
    method: MethodDescriptor,
    /// Largest request, in bytes.
    limit: usize,
}

impl Translation {
    /// Offers every method of `services`.
    pub(crate) fn new(pool: &DescriptorPool, services: &[&str], limits: &CallLimits) -> Self {
        let mut methods = HashMap::new();
        for name in services {
            let limit = limits.message_of(name);
            let service = pool.get_service_by_name(name);
            for method in service.iter().flat_map(|service| service.methods()) {
                let path = format!("/{name}/{}", method.name());
                methods.insert(path, Offered { method, limit });
            }
        }
        Self { methods }
    }

    /// Answers a request that is not gRPC.
    pub(crate) async fn call(&self, guard: &Guard, request: Request<Body>) -> Response<Body> {
        let Some(offered) = self.methods.get(request.uri().path()) else {
            return error::unary(&Status::unimplemented("there is no such method"));
        };
        if request.method() != Method::POST {
            let status = Status::unimplemented("a method is called with POST");
            let mut refusal = error::unary(&status);
            *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            let post = http::HeaderValue::from_static("POST");
            refusal.headers_mut().insert(ALLOW, post);
            return refusal;
        }
        let Some(codec) = Codec::of(request.headers(), offered.shape()) else {
            return error::unsupported_media_type(
                request.headers().get(CONTENT_TYPE),
                offered.shape(),
            );
        };
        if offered.method.is_client_streaming() {
            let status = Status::unimplemented("client streaming is offered over gRPC only");
            return error::in_shape(&status, codec);
        }
        let deadline = match headers::deadline(request.headers()) {
            Ok(deadline) => deadline,
            Err(status) => return error::in_shape(&status, codec),
        };
        let exchanged = self.exchange(guard, offered, request, codec, deadline);
        match exchanged.await {
            Ok(response) => response,
            Err(status) => error::in_shape(&status, codec),
        }
    }

    async fn exchange(
        &self,
        guard: &Guard,
        offered: &Offered,
        request: Request<Body>,
        codec: Codec,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Status> {
        headers::check(request.headers(), codec)?;
        let held = guard.admit(request.uri().path(), deadline).await?;
        let call = request::translate(request, &offered.method, codec, offered.limit);
        let arrived = tokio::time::timeout_at(body_deadline(deadline), call).await;
        let call = arrived.map_err(|_| {
            Status::deadline_exceeded("the request did not arrive within the time limit")
        })??;
        let response = guard.call(call, deadline, Some(held)).await;
        match codec.shape {
            Shape::Unary => unary::answer(response, &offered.method, codec).await,
            Shape::Streaming => Ok(stream::answer(response, &offered.method, codec)),
        }
    }
}

impl Offered {
    fn shape(&self) -> Shape {
        match self.method.is_server_streaming() || self.method.is_client_streaming() {
            true => Shape::Streaming,
            false => Shape::Unary,
        }
    }
}

fn body_deadline(deadline: Option<Instant>) -> Instant {
    let limit = Instant::now() + BODY_TIMEOUT;
    deadline.map_or(limit, |deadline| deadline.min(limit))
}
