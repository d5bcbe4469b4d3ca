//! What is asked of a plugin, and the ways in which that fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rat_config::Slot;
use rat_proto::code::{connect_name, grpc_name};
use tonic::Code;

/// A method of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Method {
    /// `/rat.auth.v1.AuthService/Authenticate`.
    pub(crate) path: &'static str,
    /// Whether it may be executed twice: then it is sent again when the connection broke while
    /// it was under way.
    pub(crate) idempotent: bool,
}

impl Method {
    pub(crate) const fn once(path: &'static str) -> Self {
        let idempotent = false;
        Self { path, idempotent }
    }

    pub(crate) const fn idempotent(path: &'static str) -> Self {
        let idempotent = true;
        Self { path, idempotent }
    }

    /// The method without its service.
    pub(crate) fn name(self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The service without the method.
    pub(crate) fn service(self) -> &'static str {
        let path = self.path.trim_start_matches('/');
        path.split('/').next().unwrap_or(path)
    }
}

/// A plugin as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) slot: Slot,
    pub(crate) name: String,
    pub(crate) address: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} plugin {} at {}",
            self.slot, self.name, self.address
        )
    }
}

/// Why a call has no result. A text within comes from the plugin or from the system, and is
/// printable and bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// It was not asked, because it was found down before.
    #[error("it is down: {0}")]
    Down(String),
    /// No connection came about; the call was not sent.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The connection ended before the call was taken; it was not executed.
    #[error("it did not take the call: {0}")]
    Refused(String),
    /// The connection broke while the call was under way; it may have been executed.
    #[error("the connection broke during the call: {0}")]
    Broken(String),
    /// The plugin gave this one call up.
    #[error("it broke the call off: {0}")]
    Reset(String),
    /// The call may have been executed, or still is.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// A stream stood still.
    #[error("no message for {0:?}")]
    Idle(Duration),
    /// An answer is never held in memory beyond the bound.
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
    /// What came back is not of the protocol or of the contract.
    #[error("its answer is not understood: {0}")]
    Garbage(String),
    /// It refused its configuration, without which it is not asked for anything.
    #[error("it refused its configuration: {0}")]
    Misconfigured(String),
    /// The plugin's own error.
    #[error("it answered {}{}", grpc_name(*code), Colon(message))]
    Answered {
        /// Which.
        code: Code,
        /// Its words.
        message: String,
    },
}

/// `: text`, or nothing.
struct Colon<'a>(&'a str);

impl fmt::Display for Colon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            text => write!(f, ": {text}"),
        }
    }
}

impl Cause {
    /// Whether the plugin's process or the way to it is gone, as opposed to this one call having
    /// failed.
    pub(crate) fn is_about_the_connection(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Refused(_) | Self::Broken(_) | Self::Misconfigured(_) => {
                true
            }
            Self::Down(_)
            | Self::Reset(_)
            | Self::Timeout(_)
            | Self::Idle(_)
            | Self::TooLarge(_)
            | Self::Garbage(_)
            | Self::Answered { .. } => false,
        }
    }

    /// Whether the plugin said something that its contract knows as an answer. `UNAVAILABLE` and
    /// `DEADLINE_EXCEEDED` are none: they are also what stands for one in between.
    pub(crate) fn is_an_answer(&self) -> bool {
        match self {
            Self::Answered { code, .. } => {
                !matches!(code, Code::Unavailable | Code::DeadlineExceeded)
            }
            Self::Down(_)
            | Self::Unreachable(_)
            | Self::Refused(_)
            | Self::Broken(_)
            | Self::Reset(_)
            | Self::Timeout(_)
            | Self::Idle(_)
            | Self::TooLarge(_)
            | Self::Garbage(_)
            | Self::Misconfigured(_) => false,
        }
    }

    /// Whether the plugin does not have the method.
    pub(crate) fn is_unimplemented(&self) -> bool {
        matches!(
            self,
            Self::Answered {
                code: Code::Unimplemented,
                ..
            }
        )
    }

    /// The cause as metrics count it.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Down(_) => "down",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Broken(_) => "broken",
            Self::Reset(_) => "reset",
            Self::Timeout(_) | Self::Idle(_) => "timeout",
            Self::TooLarge(_) => "too_large",
            Self::Garbage(_) => "garbage",
            Self::Misconfigured(_) => "misconfigured",
            Self::Answered { code, .. } => connect_name(*code),
        }
    }
}

/// Why a call has no result, with everything that names it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{who}: {method}: {cause}")]
pub(crate) struct CallError {
    pub(crate) who: Arc<Who>,
    pub(crate) method: &'static str,
    pub(crate) cause: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_knows_its_parts() {
        let method = Method::once("/rat.auth.v1.AuthService/Authenticate");
        assert_eq!(
            (method.service(), method.name()),
            ("rat.auth.v1.AuthService", "Authenticate")
        );
    }

    #[test]
    fn an_error_names_slot_plugin_address_method_and_cause() {
        let error = CallError {
            who: Arc::new(Who {
                slot: Slot::Auth,
                name: "auth-one".into(),
                address: "unix:/run/a.sock".into(),
            }),
            method: "Authenticate",
            cause: Cause::Answered {
                code: Code::Internal,
                message: "no disk".into(),
            },
        };
        assert_eq!(
            error.to_string(),
            "the auth plugin auth-one at unix:/run/a.sock: Authenticate: it answered INTERNAL: no \
             disk"
        );
    }
}
