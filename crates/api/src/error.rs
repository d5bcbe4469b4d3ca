//! From the errors of RAT's libraries to answers.

use crate::fault::Fault;

macro_rules! fault_from {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::of(error.kind(), error.reason(), &error)
            }
        }
    )+};
}

fault_from!(
    rat_catalog::Error,
    rat_scheduler::Error,
    rat_scheduler::TooManyQueries,
    rat_store::Error,
);
