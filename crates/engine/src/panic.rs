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

    /// Functions that count bytes where they should count characters.
    fn is_within_text(&self) -> bool {
        self.0.contains("is not a char boundary") || self.0.contains("is out of bounds of `")
    }

    /// Only builds that check every sum and product panic with it.
    fn is_arithmetic(&self) -> bool {
        self.0.starts_with("attempt to ")
            && (self.0.ends_with(" with overflow") || self.0.ends_with(" zero"))
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
        if panic.is_arithmetic() {
            let message = "a function was given a number or a time that is beyond what it can \
                           compute with";
            return Self::Execution {
                message: message.to_owned(),
            };
        }
        if panic.is_within_text() {
            let message = "a function was given a place in a text at which it cannot cut; \
                           overlay() takes places from 1, and only ASCII";
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
        for text in [
            "attempt to multiply with overflow",
            "attempt to calculate the remainder with a divisor of zero",
            "start byte index 9 is out of bounds of `abc`",
            "end byte index 1 is not a char boundary; it is inside 'ä' (bytes 0..2) of `äbc`",
        ] {
            let error = Error::from(Panic::of(&text));
            assert_eq!(error.reason(), "EXECUTION_FAILED", "{text}");
            assert!(!error.to_string().contains("panicked"), "{error}");
        }
        let error = Error::from(Panic::of(&"index out of bounds".to_owned()));
        assert_eq!(error.reason(), "INTERNAL");
        assert_eq!(
            error.to_string(),
            "the engine panicked: index out of bounds"
        );
    }
}
