//! Conversions between the messages of `rat.runner.v1` and the domain types.
//!
//! Into a message is infallible; out of one checks every field and names the first that is wrong,
//! because the other side may be another version or another program.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use rat_types as domain;

use crate::runner::v1 as wire;

/// A message that breaks its contract.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field that must be set is not.
    #[error("field {field} is missing")]
    Missing {
        /// Name of the field.
        field: &'static str,
    },
    /// A field has a value that it must not have.
    #[error("field {field} has the invalid value {value:?}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// The value, as text.
        value: String,
    },
    /// A name or id does not follow its pattern.
    #[error("field {field} is not valid")]
    Name {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: domain::InvalidName,
    },
}

fn named<T>(field: &'static str, text: &str) -> Result<T, Error>
where
    T: std::str::FromStr<Err = domain::InvalidName>,
{
    text.parse().map_err(|source| Error::Name { field, source })
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::Missing { field })
}

fn to_timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999);
    Timestamp {
        seconds: at.timestamp(),
        nanos,
    }
}

fn from_timestamp(field: &'static str, at: Option<Timestamp>) -> Result<DateTime<Utc>, Error> {
    let at = required(field, at)?;
    u32::try_from(at.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(at.seconds, nanos))
        .ok_or_else(|| Error::Invalid {
            field,
            value: format!("{}.{}", at.seconds, at.nanos),
        })
}

macro_rules! enum_conversion {
    ($wire:ident <=> $domain:ident, $field:literal { $($w:ident <=> $d:ident,)+ }) => {
        impl From<domain::$domain> for wire::$wire {
            fn from(value: domain::$domain) -> Self {
                match value { $(domain::$domain::$d => Self::$w,)+ }
            }
        }

        impl TryFrom<wire::$wire> for domain::$domain {
            type Error = Error;
            fn try_from(value: wire::$wire) -> Result<Self, Error> {
                match value {
                    $(wire::$wire::$w => Ok(Self::$d),)+
                    wire::$wire::Unspecified => Err(Error::Missing { field: $field }),
                }
            }
        }
    };
}

enum_conversion!(RunState <=> RunState, "state" {
    Queued <=> Queued,
    Running <=> Running,
    Succeeded <=> Succeeded,
    Failed <=> Failed,
    Cancelled <=> Cancelled,
});
enum_conversion!(Severity <=> Severity, "severity" {
    Warn <=> Warn,
    Error <=> Error,
});
enum_conversion!(QualityStatus <=> QualityStatus, "status" {
    Pass <=> Pass,
    Fail <=> Fail,
    Error <=> Error,
});
enum_conversion!(LogLevel <=> LogLevel, "level" {
    Debug <=> Debug,
    Info <=> Info,
    Warn <=> Warn,
    Error <=> Error,
});

/// Reads an enum field that a newer peer may have filled with a number unknown here.
fn known<W>(field: &'static str, value: i32) -> Result<W, Error>
where
    W: TryFrom<i32, Error = prost::UnknownEnumValue>,
{
    W::try_from(value).map_err(|_| Error::Invalid {
        field,
        value: value.to_string(),
    })
}

/// Reads the `state` field of an answer.
///
/// # Errors
/// The number is unknown or 0.
pub fn run_state(value: i32) -> Result<domain::RunState, Error> {
    known::<wire::RunState>("state", value)?.try_into()
}

/// Reads a run id.
///
/// # Errors
/// It is not a UUID.
pub fn run_id(text: &str) -> Result<domain::RunId, Error> {
    named("run_id", text)
}

impl From<&domain::TableIdent> for wire::TableIdent {
    fn from(ident: &domain::TableIdent) -> Self {
        Self {
            namespace: ident.namespace.to_string(),
            layer: ident.layer.to_string(),
            name: ident.name.to_string(),
        }
    }
}

impl TryFrom<wire::TableIdent> for domain::TableIdent {
    type Error = Error;
    fn try_from(ident: wire::TableIdent) -> Result<Self, Error> {
        Ok(Self {
            namespace: named("pipeline.namespace", &ident.namespace)?,
            layer: named("pipeline.layer", &ident.layer)?,
            name: named("pipeline.name", &ident.name)?,
        })
    }
}

impl From<&domain::LandingFile> for wire::LandingFile {
    fn from(file: &domain::LandingFile) -> Self {
        Self {
            namespace: file.zone.namespace.to_string(),
            zone: file.zone.name.to_string(),
            path: file.path.clone(),
            location: file.location.clone(),
            size_bytes: file.size_bytes,
        }
    }
}

impl TryFrom<wire::LandingFile> for domain::LandingFile {
    type Error = Error;
    fn try_from(file: wire::LandingFile) -> Result<Self, Error> {
        let zone = domain::ZoneIdent {
            namespace: named("landing_files.namespace", &file.namespace)?,
            name: named("landing_files.zone", &file.zone)?,
        };
        Ok(Self {
            zone,
            path: file.path,
            location: file.location,
            size_bytes: file.size_bytes,
        })
    }
}

impl From<&domain::RunRequest> for wire::SubmitPipelineRequest {
    fn from(request: &domain::RunRequest) -> Self {
        Self {
            run_id: request.run_id.to_string(),
            pipeline: Some((&request.pipeline).into()),
            attempt: request.attempt,
            run_started_at: Some(to_timestamp(request.run_started_at)),
            sources: request.sources.clone().into_iter().collect(),
            source_hash: request.source_hash.clone(),
            landing_files: request.landing_files.iter().map(Into::into).collect(),
            control_plane: request.control_plane.clone(),
            token: request.token.expose().to_owned(),
        }
    }
}

impl TryFrom<wire::SubmitPipelineRequest> for domain::RunRequest {
    type Error = Error;
    fn try_from(request: wire::SubmitPipelineRequest) -> Result<Self, Error> {
        Ok(Self {
            run_id: run_id(&request.run_id)?,
            pipeline: required("pipeline", request.pipeline)?.try_into()?,
            attempt: request.attempt,
            run_started_at: from_timestamp("run_started_at", request.run_started_at)?,
            sources: request.sources.into_iter().collect(),
            source_hash: request.source_hash,
            landing_files: request
                .landing_files
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            control_plane: request.control_plane,
            token: domain::Secret::new(request.token),
        })
    }
}

impl From<&domain::RunOutcome> for wire::RunOutcome {
    fn from(outcome: &domain::RunOutcome) -> Self {
        Self {
            failure: outcome.failure.as_ref().map(|failure| wire::Failure {
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
            rows_written: outcome.rows_written,
            bytes_written: outcome.bytes_written,
            snapshot_id: outcome.snapshot_id,
            phases: outcome.phases.iter().map(Into::into).collect(),
            quality: outcome.quality.iter().map(Into::into).collect(),
            finished_at: Some(to_timestamp(outcome.finished_at)),
        }
    }
}

/// Puts the outcome of an ended run together from the parts of a status answer.
///
/// # Errors
/// A field is missing or invalid, or `state` is not one in which a run has ended.
pub fn outcome(
    run_id: domain::RunId,
    state: domain::RunState,
    outcome: Option<wire::RunOutcome>,
) -> Result<domain::RunOutcome, Error> {
    if !state.is_terminal() {
        return Err(Error::Invalid {
            field: "state",
            value: state.to_string(),
        });
    }
    let outcome = required("outcome", outcome)?;
    Ok(domain::RunOutcome {
        run_id,
        state,
        failure: outcome
            .failure
            .map(|f| domain::RunFailure::new(f.code, f.message)),
        rows_written: outcome.rows_written,
        bytes_written: outcome.bytes_written,
        snapshot_id: outcome.snapshot_id,
        phases: outcome.phases.into_iter().map(Into::into).collect(),
        quality: outcome
            .quality
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?,
        // Who asks learns of the end now.
        finished_at: match outcome.finished_at {
            Some(_) => from_timestamp("finished_at", outcome.finished_at)?,
            None => chrono::Utc::now(),
        },
    })
}

impl From<&domain::Phase> for wire::Phase {
    fn from(phase: &domain::Phase) -> Self {
        Self {
            name: phase.name.clone(),
            duration_us: phase.duration_us,
        }
    }
}

impl From<wire::Phase> for domain::Phase {
    fn from(phase: wire::Phase) -> Self {
        Self {
            name: phase.name,
            duration_us: phase.duration_us,
        }
    }
}

impl From<&domain::QualityResult> for wire::QualityResult {
    fn from(result: &domain::QualityResult) -> Self {
        Self {
            name: result.name.clone(),
            severity: wire::Severity::from(result.severity).into(),
            status: wire::QualityStatus::from(result.status).into(),
            violations: result.violations,
            duration_us: result.duration_us,
            message: result.message.clone(),
            samples: result.samples.clone(),
        }
    }
}

impl TryFrom<wire::QualityResult> for domain::QualityResult {
    type Error = Error;
    fn try_from(result: wire::QualityResult) -> Result<Self, Error> {
        Ok(Self {
            severity: known::<wire::Severity>("severity", result.severity)?.try_into()?,
            status: known::<wire::QualityStatus>("status", result.status)?.try_into()?,
            name: result.name,
            violations: result.violations,
            duration_us: result.duration_us,
            message: result.message,
            samples: result.samples,
        })
    }
}

impl From<&domain::LogEntry> for wire::LogEntry {
    fn from(entry: &domain::LogEntry) -> Self {
        Self {
            seq: entry.seq,
            at: Some(to_timestamp(entry.at)),
            level: wire::LogLevel::from(entry.level).into(),
            message: entry.message.clone(),
        }
    }
}

impl TryFrom<wire::LogEntry> for domain::LogEntry {
    type Error = Error;
    fn try_from(entry: wire::LogEntry) -> Result<Self, Error> {
        Ok(Self {
            seq: entry.seq,
            at: from_timestamp("at", entry.at)?,
            level: known::<wire::LogLevel>("level", entry.level)?.try_into()?,
            message: entry.message,
        })
    }
}

#[cfg(test)]
mod tests {
    use rat_types::{
        LandingFile, Phase, QualityResult, QualityStatus, RunFailure, RunId, RunOutcome,
        RunRequest, RunState, Secret, Severity,
    };

    use super::*;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap()
    }

    #[test]
    fn a_request_survives_the_wire() {
        let request = RunRequest {
            run_id: RunId::new_at(at()),
            pipeline: "shop.gold.daily".parse().unwrap(),
            attempt: 2,
            run_started_at: at(),
            sources: [("pipeline.sql".to_owned(), "SELECT 1".to_owned())].into(),
            source_hash: "ab".into(),
            landing_files: vec![LandingFile {
                zone: domain::ZoneIdent {
                    namespace: "shop".parse().unwrap(),
                    name: "raw".parse().unwrap(),
                },
                path: "a/b.csv".into(),
                location: "file:///lake/shop/landing/raw/a/b.csv".into(),
                size_bytes: 7,
            }],
            control_plane: "unix:/run/rat/internal.sock".into(),
            token: Secret::new("t"),
        };
        let wire = wire::SubmitPipelineRequest::from(&request);
        assert_eq!(RunRequest::try_from(wire).unwrap(), request);
    }

    #[test]
    fn an_outcome_survives_the_wire() {
        let expected = RunOutcome {
            run_id: RunId::new_at(at()),
            state: RunState::Failed,
            failure: Some(RunFailure::new("QUALITY_FAILED", "1 test failed")),
            rows_written: 3,
            bytes_written: 4,
            snapshot_id: Some(-1),
            phases: vec![Phase {
                name: "write".into(),
                duration_us: 5,
            }],
            quality: vec![QualityResult {
                name: "positive".into(),
                severity: Severity::Error,
                status: QualityStatus::Fail,
                violations: 1,
                duration_us: 9,
                message: "no negative prices".into(),
                samples: vec!["{}".into()],
            }],
            finished_at: at(),
        };
        let wire = wire::RunOutcome::from(&expected);
        assert_eq!(
            outcome(expected.run_id, RunState::Failed, Some(wire)).unwrap(),
            expected
        );
    }

    #[test]
    fn what_a_peer_got_wrong_is_named() {
        let empty = RunRequest::try_from(wire::SubmitPipelineRequest::default()).unwrap_err();
        assert_eq!(empty.to_string(), "field run_id is not valid");
        assert_eq!(
            run_state(0).unwrap_err().to_string(),
            "field state is missing"
        );
        assert_eq!(
            run_state(99).unwrap_err().to_string(),
            "field state has the invalid value \"99\""
        );
    }
}
