//! What becomes of a panic in a dependency.

use std::any::Any;

use crate::Error;

/// Arrow's arrays of text, binary and lists count with 32 bits, and its kernels panic when a batch
/// has more than fits.
const OVERFLOWS: [&str; 3] = ["offset overflow", "overflow offset", "Offset overflow"];

/// A panic, as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine panicked: {0}")]
pub(crate) struct Panic(String);

impl Panic {
    /// What was caught.
    pub(crate) fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("without a message");
        Self(text.chars().take(500).collect())
    }

    fn is_overflow(&self) -> bool {
        OVERFLOWS.iter().any(|overflow| self.0.contains(overflow))
    }
}

impl From<Panic> for Error {
    fn from(panic: Panic) -> Self {
        if panic.is_overflow() {
            let message = "the values of one column take more than 2 GiB in a single batch of \
                           rows: make them shorter, or compute fewer of them at a time";
            return Self::Execution {
                message: message.to_owned(),
            };
        }
        Self::internal(panic.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_text_is_told_and_anything_else_is_a_fault_of_ours() {
        let error = Error::from(Panic::of(&"offset overflow"));
        assert_eq!(error.reason(), "EXECUTION_FAILED");
        let error = Error::from(Panic::of(&"index out of bounds".to_owned()));
        assert_eq!(error.reason(), "INTERNAL");
        assert_eq!(
            error.to_string(),
            "the engine panicked: index out of bounds"
        );
    }
}
