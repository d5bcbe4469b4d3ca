//! Executing SQL on ratq on behalf of a caller.
//!
//! ratd does not look at the SQL. It mints a token that lets the query read as its caller may,
//! hands both to ratq and turns the Arrow stream into JSON piece by piece, within bounds on rows,
//! bytes and time. A client that goes away drops the call, which cancels the query, and the token
//! with it.

mod encode;

use std::time::Instant;

use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use rat_proto::query::v1::ExecuteQueryRequest;
use rat_proto::query::v1::query_service_client::QueryServiceClient;
use rat_types::{Kind, NamespaceName};
use serde::Serialize;

use crate::access::Access;
use crate::blocking::blocking;
use crate::fault::Fault;
use crate::grpc;
use crate::state::AppState;
use encode::Column;

/// Bytes of rows in one answer; when there are more, the answer says `truncated`.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;
/// Bytes of one message of ratq.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;
const SERVICE: &str = "the query service";

/// A query.
#[derive(Debug)]
pub(crate) struct Query {
    /// One statement.
    pub(crate) sql: String,
    /// Where two-part names are looked up.
    pub(crate) namespace: NamespaceName,
    /// Rows after which the answer is cut.
    pub(crate) limit: u64,
}

/// Executes `query` on behalf of the caller and answers its rows.
pub(crate) async fn execute(
    state: &AppState,
    access: &Access,
    query: Query,
) -> Result<Response, Fault> {
    let started = Instant::now();
    let request_id = access.request_id().unwrap_or_default();
    let token = state
        .query_tokens
        .mint(access.identity().clone(), request_id)?;
    let limit = query.limit;
    let mut request = tonic::Request::new(ExecuteQueryRequest {
        sql: query.sql,
        namespace: query.namespace.to_string(),
        limit,
        control_plane: state.config.control_plane.clone(),
        token: token.secret().expose().to_owned(),
    });
    if let Some(Ok(id)) = access.request_id().map(str::parse) {
        request.metadata_mut().insert("x-request-id", id);
    }
    let mut client =
        QueryServiceClient::new(state.ratq.clone()).max_decoding_message_size(LARGEST_MESSAGE);
    let answer = client.execute_query(request).await;
    let mut stream = answer
        .map_err(|status| grpc::fault(SERVICE, &status))?
        .into_inner();
    let mut rows = Rows::new(limit);
    while let Some(message) = stream
        .message()
        .await
        .map_err(|status| grpc::fault(SERVICE, &status))?
    {
        rows.truncated |= message.truncated;
        rows = rows.push(message.arrow_ipc.into()).await?;
        if rows.full {
            break;
        }
    }
    rows.finish(started)
}

/// The answer under construction.
struct Rows {
    decoder: StreamDecoder,
    columns: Option<Vec<Column>>,
    json: Vec<u8>,
    count: u64,
    limit: u64,
    truncated: bool,
    full: bool,
}

#[derive(Serialize)]
struct Tail {
    total_rows: u64,
    truncated: bool,
    duration_ms: u64,
}

impl Rows {
    fn new(limit: u64) -> Self {
        Self {
            decoder: StreamDecoder::new(),
            columns: None,
            json: b"[".to_vec(),
            count: 0,
            limit,
            truncated: false,
            full: false,
        }
    }

    /// Adds the rows of one message, aside from the threads that serve.
    async fn push(mut self, message: Bytes) -> Result<Self, Fault> {
        if message.is_empty() {
            return Ok(self);
        }
        blocking(move || {
            self.decode(message)?;
            Ok(self)
        })
        .await?
    }

    fn decode(&mut self, message: Bytes) -> Result<(), Fault> {
        let mut buffer = Buffer::from(message);
        while !buffer.is_empty() && !self.full {
            let batch = self
                .decoder
                .decode(&mut buffer)
                .map_err(|error| undecodable(&error))?;
            let Some(mut batch) = batch else { continue };
            let left = usize::try_from(self.limit - self.count).unwrap_or(usize::MAX);
            if batch.num_rows() > left {
                batch = batch.slice(0, left);
                (self.truncated, self.full) = (true, true);
            }
            let columns = self
                .columns
                .get_or_insert_with(|| encode::columns_of(batch.schema_ref()));
            let written = encode::append_rows(&mut self.json, &batch, columns, LONGEST_ANSWER)
                .map_err(|error| unsayable(&error))?;
            self.count += written as u64;
            if written < batch.num_rows() {
                (self.truncated, self.full) = (true, true);
            }
        }
        Ok(())
    }

    fn finish(mut self, started: Instant) -> Result<Response, Fault> {
        let schema = self.decoder.schema();
        let columns = match (self.columns.take(), schema) {
            (Some(columns), _) => columns,
            (None, Some(schema)) => encode::columns_of(&schema),
            (None, None) => {
                let message = "the query service sent no schema";
                return Err(Fault::new(Kind::Upstream, message));
            }
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tail = Tail {
            total_rows: self.count,
            truncated: self.truncated,
            duration_ms,
        };
        let failed = |error: serde_json::Error| Fault::internal("failed to encode rows", &error);
        let mut body = b"{\"columns\":".to_vec();
        serde_json::to_writer(&mut body, &columns).map_err(failed)?;
        body.extend_from_slice(b",\"rows\":");
        body.append(&mut self.json);
        body.extend_from_slice(b"],");
        let tail = serde_json::to_vec(&tail).map_err(failed)?;
        // Without its opening brace: it continues the object.
        body.extend_from_slice(&tail[1..]);
        let mut response = Response::new(Body::from(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}

fn undecodable(error: &ArrowError) -> Fault {
    tracing::warn!(error = %error, "the query service sent something that is no Arrow stream");
    Fault::new(
        Kind::Upstream,
        "the query service sent an answer that cannot be read",
    )
}

fn unsayable(error: &ArrowError) -> Fault {
    Fault::invalid(format!("the result cannot be shown as JSON: {error}"))
        .because("RESULT_NOT_REPRESENTABLE")
}
