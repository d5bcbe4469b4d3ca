//! What handlers take from a request, with the specification's errors.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::access::Gate;
use crate::{AccessControl, Caller, Error};

use super::MAX_BODY_BYTES;
use super::answer::Failure;

/// Who makes the request, before the access control of this place; without either, no handler is
/// reached.
pub(crate) struct By(pub(crate) Gate);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let access = parts.extensions.get::<Arc<dyn AccessControl>>().cloned();
        match (caller, access) {
            (Some(caller), Some(access)) => Ok(Self(Gate { caller, access })),
            _ => Err(Failure(Error::Unauthenticated)),
        }
    }
}

/// Variables of the path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(variables)) => Ok(Self(variables)),
            Err(rejection) => Err(Failure(Error::invalid(rejection.body_text()))),
        }
    }
}

/// Parameters after the question mark.
#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Failure(Error::invalid(rejection.body_text()))),
        }
    }
}

/// A JSON body, whatever the request says its type is.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = read(request, state).await?;
        let parsed = serde_json::from_slice(&bytes);
        parsed
            .map(Self)
            .map_err(|error| Failure(Error::invalid(format!("request body: {error}"))))
    }
}

/// A body that is read and not looked at.
#[derive(Debug)]
pub(crate) struct Ignored;

impl<S: Send + Sync> FromRequest<S> for Ignored {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        read(request, state).await.map(|_| Self)
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Failure> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            Failure(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge {
                    limit: MAX_BODY_BYTES,
                },
                _ => Error::invalid(rejection.body_text()),
            })
        })
}
