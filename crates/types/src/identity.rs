//! Who a request comes from.

use serde::{Deserialize, Serialize};

/// The authenticated caller of a request, as the auth slot established it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Unique user identifier.
    pub user_id: String,
    /// Email address; empty where unknown.
    pub email: String,
    /// Name to show to people; empty where unknown.
    pub display_name: String,
    /// Roles, exactly as the identity provider calls them.
    pub roles: Vec<String>,
}

impl Identity {
    /// The caller of an installation without authentication: role `admin`.
    pub fn anonymous() -> Self {
        Self::admin("anonymous")
    }

    /// The caller that presented the installation's API key: role `admin`.
    pub fn api_key() -> Self {
        Self::admin("api-key")
    }

    fn admin(user_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            email: String::new(),
            display_name: String::new(),
            roles: vec!["admin".to_owned()],
        }
    }
}
