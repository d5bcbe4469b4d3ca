//! From an HTTP answer of the catalog to a value or a typed error.

use rat_types::TableIdent;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// What a request is about, which decides what a status means.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Ends the sentence "the catalog refuses to …".
    operation: String,
    sort: Sort,
}

#[derive(Debug, Clone)]
enum Sort {
    Table(TableIdent),
    Creation(TableIdent),
    Commit(TableIdent),
    Other,
}

impl Subject {
    pub(super) fn table(operation: String, ident: &TableIdent) -> Self {
        Self {
            operation,
            sort: Sort::Table(ident.clone()),
        }
    }

    pub(super) fn creation(operation: String, ident: &TableIdent) -> Self {
        Self {
            operation,
            sort: Sort::Creation(ident.clone()),
        }
    }

    pub(super) fn commit(operation: String, ident: &TableIdent) -> Self {
        Self {
            operation,
            sort: Sort::Commit(ident.clone()),
        }
    }

    pub(super) fn other(operation: String) -> Self {
        Self {
            operation,
            sort: Sort::Other,
        }
    }

    /// What a request that got no complete answer means.
    fn unanswered(&self, source: reqwest::Error) -> Error {
        // A connection that was never made carried no request; everything else may have.
        let sent = !source.is_connect() && !source.is_builder();
        let error = Error::Unavailable {
            operation: self.operation.clone(),
            source,
        };
        if sent {
            self.perhaps_applied(error)
        } else {
            error
        }
    }

    /// The status of a refused or failed request.
    fn failed(&self, status: StatusCode, body: &[u8]) -> Error {
        let message = message(body);
        let operation = self.operation.clone();
        match (status.as_u16(), &self.sort) {
            (401 | 419, _) => Error::Unauthenticated { message },
            (403, _) => Error::Forbidden { operation, message },
            (404, Sort::Table(table) | Sort::Commit(table)) => Error::TableNotFound {
                table: table.clone(),
            },
            (409, Sort::Creation(table)) => Error::TableExists {
                table: table.clone(),
            },
            (409, Sort::Commit(table)) => Error::Conflict {
                table: table.clone(),
                message,
            },
            (400 | 406 | 413 | 415 | 422, _) => Error::Refused { operation, message },
            (507, Sort::Table(table) | Sort::Creation(table) | Sort::Commit(table)) => {
                Error::StorageFull {
                    table: table.clone(),
                }
            }
            (429 | 503, _) => Error::Busy { operation, message },
            (status @ (500 | 502 | 504), _) => self.perhaps_applied(Error::Upstream {
                operation,
                status,
                message,
            }),
            (status, _) => Error::Upstream {
                operation,
                status,
                message,
            },
        }
    }

    fn perhaps_applied(&self, error: Error) -> Error {
        match &self.sort {
            Sort::Commit(table) => Error::CommitStateUnknown {
                table: table.clone(),
                source: Box::new(error),
            },
            _ => error,
        }
    }
}

/// Sends a request and reads its answer.
pub(super) async fn read<T: DeserializeOwned>(
    request: RequestBuilder,
    subject: &Subject,
) -> Result<T, Error> {
    let answer = request
        .send()
        .await
        .map_err(|source| subject.unanswered(source))?;
    let status = answer.status();
    let body = answer
        .bytes()
        .await
        .map_err(|source| subject.unanswered(source))?;
    if !status.is_success() {
        return Err(subject.failed(status, &body));
    }
    serde_json::from_slice(&body).map_err(|source| {
        let operation = subject.operation.clone();
        subject.perhaps_applied(Error::Answer { operation, source })
    })
}

#[derive(Deserialize)]
struct Body {
    error: Model,
}

#[derive(Deserialize)]
struct Model {
    message: String,
}

/// The catalog's own words, or the beginning of whatever came instead of them.
fn message(body: &[u8]) -> String {
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error.message,
        Err(_) => String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(300)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(subject: &Subject, status: u16) -> &'static str {
        let body = br#"{"error":{"message":"m","type":"t","code":409}}"#;
        subject
            .failed(StatusCode::from_u16(status).unwrap(), body)
            .reason()
    }

    #[test]
    fn a_status_means_what_the_request_was_about() {
        let ident: TableIdent = "a.gold.b".parse().unwrap();
        let load = Subject::table("x".into(), &ident);
        let create = Subject::creation("x".into(), &ident);
        let commit = Subject::commit("x".into(), &ident);
        assert_eq!(reason(&load, 404), "TABLE_NOT_FOUND");
        assert_eq!(reason(&create, 409), "TABLE_EXISTS");
        assert_eq!(reason(&create, 404), "CATALOG_FAILED");
        for subject in [&load, &create, &commit] {
            assert_eq!(reason(subject, 507), "STORAGE_FULL");
        }
        assert_eq!(reason(&commit, 409), "CONFLICT");
        assert_eq!(reason(&commit, 404), "TABLE_NOT_FOUND");
        for status in [500, 502, 504] {
            assert_eq!(reason(&commit, status), "COMMIT_STATE_UNKNOWN");
            assert_eq!(reason(&load, status), "CATALOG_FAILED");
        }
        for subject in [load, create, commit] {
            assert_eq!(reason(&subject, 401), "CATALOG_UNAUTHENTICATED");
            assert_eq!(reason(&subject, 403), "CATALOG_FORBIDDEN");
            assert_eq!(reason(&subject, 400), "CATALOG_REFUSED");
            assert_eq!(reason(&subject, 503), "CATALOG_UNAVAILABLE");
        }
    }

    #[test]
    fn an_answer_that_is_no_error_body_is_quoted_in_part() {
        assert_eq!(
            message(br#"{"error":{"message":"no","type":"t","code":1}}"#),
            "no"
        );
        assert_eq!(message(b" <html> "), "<html>");
        assert_eq!(message(&[b'x'; 1000]).len(), 300);
    }
}
