//! The beginning of every connection: the plugin says what it is, and hears how it is configured.
//!
//! Both methods are optional. What cannot be is a plugin that refuses its configuration: it is
//! down until one of them changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use rat_proto::plugin::v1::{ConfigureRequest, DescribeRequest, DescribeResponse};
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use crate::call::{Cause, Who};
use crate::method;
use crate::session::Session;
use crate::text::printable;

/// How long every caller of a new connection waits for what is only good to know.
const DESCRIBING: Duration = Duration::from_secs(1);

/// What a plugin is told, and asked, at the beginning.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) who: Arc<Who>,
    /// The `ConfigureRequest`; `None` where the way to the plugin is not fit for it.
    pub(crate) configuration: Option<Bytes>,
    pub(crate) limit: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The plugin's version; `None` where it does not say.
    pub(crate) version: Option<String>,
    /// What is worth telling the operator.
    pub(crate) warning: Option<String>,
    /// Why the plugin does not take its configuration.
    pub(crate) refused: Option<String>,
}

/// The request that carries `config`, a JSON object.
pub(crate) fn configuration(config: &serde_json::Map<String, serde_json::Value>) -> Bytes {
    let config = serde_json::Value::Object(config.clone()).to_string();
    ConfigureRequest { config }.encode_to_vec().into()
}

impl Greeter {
    /// # Errors
    /// Nothing was said: the connection is of no use.
    pub(crate) async fn greet(&self, session: &Session) -> Result<Greeting, Cause> {
        let deadline = Instant::now() + self.limit;
        let patience = deadline.min(Instant::now() + DESCRIBING);
        let (configured, described) = tokio::join!(
            timeout_at(deadline, self.configure(session, deadline)),
            timeout_at(patience, self.describe(session, patience)),
        );
        let mut greeting = Greeting::default();
        match configured {
            Ok(Ok(refused)) => greeting.refused = refused,
            Ok(Err(cause)) => return Err(cause),
            Err(_) => {
                let message = format!("Configure: no answer within {:?}", self.limit);
                return Err(Cause::Unreachable(message));
            }
        }
        match described {
            Ok(Ok(description)) => self.read(&description, &mut greeting),
            // The connection has ended.
            Ok(Err(cause @ (Cause::Refused(_) | Cause::Broken(_)))) => return Err(cause),
            Ok(Err(_)) | Err(_) => {}
        }
        Ok(greeting)
    }

    /// Why the plugin refuses, if it does.
    async fn configure(
        &self,
        session: &Session,
        deadline: Instant,
    ) -> Result<Option<String>, Cause> {
        let Some(message) = &self.configuration else {
            return Ok(None);
        };
        let cause = match session.unary(method::CONFIGURE, message, deadline).await {
            Ok(_) => return Ok(None),
            Err(cause) => cause,
        };
        match cause {
            // It takes its configuration from elsewhere.
            Cause::Answered {
                code: Code::Unimplemented,
                ..
            } => Ok(None),
            Cause::Answered {
                code: Code::PermissionDenied,
                message: reason,
            } => {
                if *message != configuration(&serde_json::Map::new()) {
                    tracing::warn!(
                        target: "rat::plugins", plugin = %self.who, reason,
                        "the plugin does not take the configuration that rat.yaml has for it"
                    );
                }
                Ok(None)
            }
            Cause::Answered {
                code: Code::InvalidArgument,
                message,
            } => Ok(Some(message)),
            // The connection has ended.
            Cause::Refused(_) | Cause::Broken(_) => Err(cause),
            Cause::Unreachable(message) => Err(Cause::Unreachable(message)),
            // Perhaps it will take it another time. Nothing of this connection was used yet:
            // whoever waits for it was not heard.
            cause => Err(Cause::Unreachable(format!("Configure: {cause}"))),
        }
    }

    async fn describe(
        &self,
        session: &Session,
        deadline: Instant,
    ) -> Result<DescribeResponse, Cause> {
        let message = DescribeRequest {}.encode_to_vec().into();
        let answer = session.unary(method::DESCRIBE, &message, deadline).await?;
        DescribeResponse::decode(answer).map_err(|error| Cause::Garbage(error.to_string()))
    }

    fn read(&self, description: &DescribeResponse, greeting: &mut Greeting) {
        let version = printable(&description.version);
        greeting.version = Some(version).filter(|version| !version.is_empty());
        let slots = &description.slots;
        let fits = slots.is_empty() || slots.iter().any(|slot| slot == self.who.slot.as_str());
        if !fits {
            let (slot, said) = (self.who.slot, printable(&slots.join(", ")));
            let warning = format!("it says that it fills {said}, and is configured for {slot}");
            let plugin = &self.who;
            tracing::warn!(target: "rat::plugins", %plugin, warning, "this may be another plugin");
            greeting.warning = Some(warning);
        }
    }
}
