//! What a message looks like on the wire.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use tonic::Status;

/// Format and framing of a call's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) format: Format,
    pub(super) shape: Shape,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Proto,
}

/// Whether messages stand alone or in envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Unary,
    Streaming,
}

impl Shape {
    /// The content types of this shape.
    pub(super) fn content_types(self) -> [&'static str; 2] {
        match self {
            Self::Unary => ["application/json", "application/proto"],
            Self::Streaming => ["application/connect+json", "application/connect+proto"],
        }
    }
}

impl Codec {
    /// The codec of a request to a method of this shape; `None` for another content type.
    pub(super) fn of(headers: &HeaderMap, shape: Shape) -> Option<Self> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let is_utf8 = parts.all(|part| match part.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        });
        let [json, proto] = shape.content_types();
        let format = match name {
            name if name == json && is_utf8 => Format::Json,
            name if name == proto => Format::Proto,
            _ => return None,
        };
        Some(Self { format, shape })
    }

    pub(super) fn content_type(self) -> &'static str {
        let [json, proto] = self.shape.content_types();
        match self.format {
            Format::Json => json,
            Format::Proto => proto,
        }
    }

    /// A message from the caller, as protobuf.
    pub(super) fn read(self, bytes: Bytes, kind: MessageDescriptor) -> Result<Bytes, Status> {
        match self.format {
            Format::Json => from_json(&bytes, kind).map(|message| message.encode_to_vec().into()),
            Format::Proto => match DynamicMessage::decode(kind.clone(), bytes.clone()) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(Status::invalid_argument(format!(
                    "the body is not a {}: {error}",
                    kind.full_name()
                ))),
            },
        }
    }

    /// A message of the plugin, for the caller.
    pub(super) fn write(self, bytes: Bytes, kind: MessageDescriptor) -> Result<Bytes, Status> {
        match self.format {
            Format::Proto => Ok(bytes),
            Format::Json => {
                let failed = |error: &dyn std::fmt::Display| {
                    tracing::error!(%error, "an answer cannot be written as JSON");
                    Status::internal("the answer cannot be written as JSON")
                };
                let message =
                    DynamicMessage::decode(kind, bytes).map_err(|error| failed(&error))?;
                let json = serde_json::to_vec(&message).map_err(|error| failed(&error))?;
                Ok(json.into())
            }
        }
    }
}

fn from_json(bytes: &[u8], kind: MessageDescriptor) -> Result<DynamicMessage, Status> {
    let name = kind.full_name().to_owned();
    let refused = |error: serde_json::Error| {
        Status::invalid_argument(format!("the body is not a {name} in JSON: {error}"))
    };
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let message = DynamicMessage::deserialize_with_options(kind, &mut deserializer, &options)
        .map_err(refused)?;
    deserializer.end().map_err(refused)?;
    Ok(message)
}
