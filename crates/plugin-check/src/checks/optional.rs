//! Describe and Configure: a plugin may do without them; what it has of them must be right.

use rat_config::Slot;
use rat_proto::plugin::v1::{
    ConfigureRequest, ConfigureResponse, DescribeRequest, DescribeResponse,
};
use rat_types::Secret;

use super::PLUGIN_PROTO;
use crate::check::{Check, Miss, Outcome, broken, not_checked};
use crate::judge::Judge;
use crate::session::{Failure, Session, quote};
use crate::wire::Code;

pub(crate) const DESCRIBE: &str = "/rat.plugin.v1.PluginService/Describe";
const CONFIGURE: &str = "/rat.plugin.v1.PluginService/Configure";

pub(crate) const CHECKS: &[Check] = &[
    Check::advised(
        "describe.answers",
        |judge| Box::pin(answers(judge)),
        "Describe tells what the plugin is: its name and its version.",
    )
    .from(PLUGIN_PROTO),
    Check::required(
        "describe.slots",
        |judge| Box::pin(slots(judge)),
        "The slots that Describe names are those that the plugin can fill.",
    )
    .from(PLUGIN_PROTO),
    Check::advised(
        "describe.config-schema",
        |judge| Box::pin(schema(judge)),
        "config_schema is a JSON Schema of the configuration, or empty.",
    )
    .from(PLUGIN_PROTO),
    Check::required(
        "configure.refuses-garbage",
        |judge| Box::pin(garbage(judge)),
        "Configure refuses what is no configuration with INVALID_ARGUMENT and keeps the one that it had.",
    )
    .from(PLUGIN_PROTO)
    .nasty(),
    Check::required(
        "configure.no-secret-echo",
        |judge| Box::pin(no_echo(judge)),
        "The configuration may hold secrets: no error message repeats its values.",
    )
    .from(PLUGIN_PROTO),
    Check::required(
        "configure.idempotent",
        |judge| Box::pin(idempotent(judge)),
        "Sending the same configuration twice changes nothing.",
    )
    .from(PLUGIN_PROTO)
    .nasty(),
];

const NONE: &str = "Describe is not implemented, which is allowed";

async fn described(judge: &Judge) -> Result<DescribeResponse, Failure> {
    let session = judge.connect().await?;
    session.unary(DESCRIBE, &DescribeRequest {}).await
}

async fn answers(judge: &Judge) -> Outcome {
    match described(judge).await {
        Err(failure) if failure.is_unimplemented() => broken(format!(
            "{NONE}; ratd then shows the name of rat.yaml, and no version"
        )),
        Err(failure) => Err(failure.into()),
        Ok(answer) if answer.name.is_empty() => broken("the name is empty"),
        Ok(answer) if answer.version.is_empty() => broken("the version is empty"),
        Ok(answer) => Ok(format!(
            "{} {}",
            quote(&answer.name),
            quote(&answer.version)
        )),
    }
}

async fn slots(judge: &Judge) -> Outcome {
    let answer = match described(judge).await {
        Ok(answer) => answer,
        Err(failure) if failure.is_unimplemented() => return not_checked(NONE),
        Err(failure) => return Err(failure.into()),
    };
    if answer.slots.is_empty() {
        return Err(Miss::Doubt("it names none".to_owned()));
    }
    let is_slot = |name: &String| Slot::ALL.iter().any(|slot| slot.as_str() == name);
    if let Some(unknown) = answer.slots.iter().find(|name| !is_slot(name)) {
        return broken(format!("there is no slot {:?}", quote(unknown)));
    }
    let has = |slot: &Slot| answer.slots.iter().any(|name| name == slot.as_str());
    if let Some(slot) = judge.slots.iter().find(|slot| !has(slot)) {
        return broken(format!(
            "it names [{}] and not {slot}",
            answer.slots.join(", ")
        ));
    }
    let is_served = |name: &&String| judge.served.iter().any(|slot| slot.as_str() == *name);
    match answer.slots.iter().find(|name| !is_served(name)) {
        Some(name) => broken(format!("it names {name}, whose service is not there")),
        None => Ok(answer.slots.join(", ")),
    }
}

async fn schema(judge: &Judge) -> Outcome {
    let answer = match described(judge).await {
        Ok(answer) => answer,
        Err(failure) if failure.is_unimplemented() => return not_checked(NONE),
        Err(failure) => return Err(failure.into()),
    };
    if answer.config_schema.is_empty() {
        return Ok("empty: there is no configuration".to_owned());
    }
    let schema: serde_json::Value = match serde_json::from_str(&answer.config_schema) {
        Ok(schema) => schema,
        Err(error) => return broken(format!("it is no JSON: {error}")),
    };
    let validator = match jsonschema::draft202012::new(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            return broken(format!(
                "it is no JSON Schema: {}",
                quote(&error.to_string())
            ));
        }
    };
    let Some(config) = &judge.options.config else {
        return Ok("a JSON Schema".to_owned());
    };
    let config = serde_json::from_str(config.expose()).unwrap_or_default();
    match validator.is_valid(&config) {
        true => Ok("a JSON Schema that takes the given configuration".to_owned()),
        false => broken("it does not take the given configuration"),
    }
}

async fn configure(session: &Session, config: &Secret) -> Result<ConfigureResponse, Failure> {
    let request = ConfigureRequest {
        config: config.expose().to_owned(),
    };
    session.unary(CONFIGURE, &request).await
}

/// How a plugin may decline to be configured.
fn declines(failure: &Failure) -> Option<&'static str> {
    if failure.is_unimplemented() {
        return Some("Configure is not implemented, which is allowed");
    }
    (failure.code() == Some(Code::PERMISSION_DENIED))
        .then_some("PERMISSION_DENIED: it takes its configuration from elsewhere")
}

/// Not JSON, so that a plugin that takes it is wrong whatever it is configured by.
fn broken_config(judge: &Judge) -> Secret {
    Secret::new(format!("{{\"password\": \"{}\", ", judge.marker))
}

async fn garbage(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    match configure(&session, &broken_config(judge)).await {
        Ok(_) => broken("it took a text that is no JSON"),
        Err(failure) => match declines(&failure) {
            Some(why) => not_checked(why),
            None if failure.code() == Some(Code::INVALID_ARGUMENT) => {
                Ok("INVALID_ARGUMENT".to_owned())
            }
            None => broken(failure.to_string()),
        },
    }
}

async fn no_echo(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    match configure(&session, &broken_config(judge)).await {
        Ok(_) => not_checked("it took a text that is no JSON"),
        Err(Failure::Refused(refusal)) => {
            if refusal.message.contains(&judge.marker) || refusal.metadata.contains(&judge.marker) {
                return broken("the answer repeats a value of the configuration");
            }
            match declines(&Failure::Refused(refusal)) {
                Some(why) => not_checked(why),
                None => Ok("the answer repeats nothing".to_owned()),
            }
        }
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn idempotent(judge: &Judge) -> Outcome {
    let Some(config) = &judge.options.config else {
        return not_checked("no configuration was given (--config FILE)");
    };
    let session = judge.connect().await?;
    for time in ["first", "second"] {
        if let Err(failure) = configure(&session, config).await {
            return match declines(&failure) {
                Some(why) => not_checked(why),
                None => broken(format!("the {time} time: {failure}")),
            };
        }
        let health = judge.alive().await?.status;
        if judge
            .health
            .as_ref()
            .is_some_and(|before| before.status == "healthy")
            && health != "healthy"
        {
            return Err(Miss::Broken(format!(
                "it was healthy and is {} after the {time} time",
                quote(&health)
            )));
        }
    }
    Ok("taken twice".to_owned())
}
