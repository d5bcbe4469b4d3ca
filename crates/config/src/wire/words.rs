//! Texts with a syntax of their own. The types carry no check: the schema says what is expected
//! in their place, for error messages and for the documentation.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Keyword of our schema: what a value should look like, as in "must be …".
pub(crate) const EXPECTED: &str = "x-rat-expected";

macro_rules! word {
    ($($ty:ident = $expected:literal;)+) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $ty(pub(crate) String);

        impl From<&str> for $ty {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl AsRef<str> for $ty {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $ty {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($ty).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", EXPECTED: $expected })
            }
        }
    )+};
}

word! {
    AddressText = "an address such as 127.0.0.1:8080 or unix:/run/rat/x.sock";
    PluginAddressText = "an address such as host:50060, unix:/path or https://host:50060";
    BlockText = "an IP address or a block such as 10.0.0.0/8";
    DurationText = "a duration such as 30s, 5m or 1h";
    CacheText = "a duration of up to 1m, or off";
    SizeText = "a size such as 64MiB";
    UrlText = "a URL";
    FileText = "an absolute path or the name of a credential";
    PathText = "an absolute path";
}
