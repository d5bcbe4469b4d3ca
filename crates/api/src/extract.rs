//! Extractors that refuse with a [`Fault`] which names the field at fault.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::response::IntoResponse as _;
use http::StatusCode;
use http::request::Parts;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::fault::Fault;
use crate::middleware::body_limit::BodyLimit;

/// A JSON body, which is an object.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let limit = request
            .extensions()
            .get::<BodyLimit>()
            .map_or(0, |limit| limit.0);
        match axum::Json::<Object<T>>::from_request(request, state).await {
            Ok(axum::Json(Object(body))) => Ok(Self(body)),
            Err(rejection) => Err(refuse_json(rejection, limit)),
        }
    }
}

/// What is read from a JSON object, and from nothing else: a derived `Deserialize` takes a list as
/// well, with the fields in their order.
struct Object<T>(T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

fn refuse_json(rejection: JsonRejection, limit: u64) -> Fault {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            Fault::unsupported_media_type("application/json")
        }
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Fault::too_large(limit),
        JsonRejection::JsonDataError(error) => {
            Fault::invalid(tidy(&error.body_text())).because("BODY_INVALID")
        }
        JsonRejection::JsonSyntaxError(error) => {
            Fault::invalid(tidy(&error.body_text())).because("JSON_MALFORMED")
        }
        other => Fault::from_status(other.into_response().status(), "the body could not be read"),
    }
}

/// The rejection's text without the part that speaks of Rust types.
fn tidy(text: &str) -> String {
    let detail = text
        .strip_prefix("Failed to deserialize the JSON body into the target type: ")
        .or_else(|| text.strip_prefix("Failed to parse the request body as JSON: "));
    format!("invalid JSON body: {}", detail.unwrap_or(text))
}

/// A multipart form, read by the handler piece by piece.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Send + Sync> FromRequest<S> for Form<Multipart> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        match Multipart::from_request(request, state).await {
            Ok(form) => Ok(Self(form)),
            Err(_) => Err(Fault::unsupported_media_type(
                "multipart/form-data with a boundary",
            )),
        }
    }
}

/// Parameters of the path, decoded and valid.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let text = error.body_text();
                let detail = text.strip_prefix("Invalid URL: ").unwrap_or(&text);
                Err(Fault::invalid(format!("invalid path: {detail}")).because("PATH_INVALID"))
            }
            Err(other) => Err(Fault::from_status(
                other.status(),
                "the path could not be read",
            )),
        }
    }
}

/// Parameters behind the question mark. Unknown ones are refused: a misspelt filter that is
/// ignored shows everything.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = error.body_text();
                let detail = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                Err(Fault::invalid(format!("invalid query parameter: {detail}"))
                    .because("QUERY_PARAMETER_INVALID"))
            }
            Err(other) => Err(Fault::from_status(
                other.status(),
                "the query parameters could not be read",
            )),
        }
    }
}
