//! Why a token is refused: for ratd's log, never for whoever sent it.

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the token has {length} bytes, {limit} are the most", limit = crate::token::MAX_BYTES)]
    TooLong { length: usize },
    #[error("the token is not three parts in base64")]
    NotJws,
    #[error("the token's {part} is not a JSON object: {problem}")]
    NotJson { part: &'static str, problem: String },
    #[error("the header's {name} is not accepted")]
    Header { name: &'static str },
    #[error("the algorithm is not one of those that are configured")]
    Algorithm,
    #[error("the key is not for this algorithm")]
    KeyForAnother,
    #[error("the token does not say which key it is signed with")]
    NoKeyNamed,
    #[error("the provider has no such key")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the claim {name} is missing")]
    Missing { name: &'static str },
    #[error("the claim {name} is not {wanted}")]
    Claim { name: String, wanted: &'static str },
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is not for this audience")]
    Audience,
    #[error("the token was issued to another client")]
    Client,
    #[error("the token is no access token")]
    NotAccess,
    #[error("the token is bound to a key of its client, which nobody has proved to have")]
    Bound,
}
