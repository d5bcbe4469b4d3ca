//! Messages that no honest client sends.

use rat_config::Slot;

use super::slot;
use crate::check::{Check, Miss, Outcome, broken};
use crate::judge::Judge;
use crate::session::{Failure, HEALTH, Session, refuse};
use crate::wire::{Code, NoAnswer, Sent};

pub(crate) const CHECKS: &[Check] = &[
    Check::required(
        "message.unknown-field",
        |judge| Box::pin(unknown_field(judge)),
        "A plugin ignores fields that it does not know: a later ratd may send some.",
    ),
    Check::required(
        "message.unknown-method",
        |judge| Box::pin(unknown(judge, "/rat.plugin.v1.PluginService/RatCheckNoSuchMethod")),
        "A method that a plugin does not have is answered with an error.",
    )
    .nasty(),
    Check::required(
        "message.unknown-service",
        |judge| Box::pin(unknown(judge, "/rat.check.v1.NoSuchService/NoSuchMethod")),
        "A service that a plugin does not have is answered with an error.",
    )
    .nasty(),
    Check::advised(
        "message.unimplemented",
        |judge| Box::pin(unimplemented(judge)),
        "The error for a method or service that is not there is UNIMPLEMENTED: by it ratd knows what is optional.",
    ),
    Check::required(
        "message.malformed",
        |judge| Box::pin(malformed(judge)),
        "A message that is no protobuf is answered with an error, and the plugin lives on.",
    )
    .nasty(),
    Check::required(
        "message.cut-short",
        |judge| Box::pin(cut_short(judge)),
        "A message that ends before its announced length is not acted upon, and the plugin lives on.",
    )
    .nasty(),
    Check::required(
        "message.5-mib",
        |judge| Box::pin(large(judge, 5)),
        "A message of 5 MiB is answered or refused, and the plugin lives on.",
    )
    .nasty(),
    Check::required(
        "message.20-mib",
        |judge| Box::pin(large(judge, 20)),
        "A message of 20 MiB is answered or refused, and the plugin lives on.",
    )
    .nasty(),
    Check::advised(
        "message.limit",
        |judge| Box::pin(limit(judge)),
        "A message of 20 MiB is refused, so that nobody fills the plugin's memory.",
    )
    .nasty(),
];

/// Field 1000, a string of `length` bytes.
fn unknown_bytes(length: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(length + 16);
    prost::encoding::bytes::encode(1_000, &vec![b'r'; length], &mut message);
    message
}

async fn unknown_field(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    match session.bytes(HEALTH, &unknown_bytes(16)).await {
        Ok(_) => Ok("HealthCheck with an unknown field is answered".to_owned()),
        Err(failure) => broken(failure.to_string()),
    }
}

async fn unknown(judge: &Judge, path: &str) -> Outcome {
    let session = judge.connect().await?;
    match session.bytes(path, &[]).await {
        Ok(_) => broken("it was answered as if it were there"),
        Err(Failure::Refused(refusal)) => Ok(refusal.to_string()),
        // An HTTP error is one, too.
        Err(Failure::None(error @ (NoAnswer::NotGrpc(_) | NoAnswer::NotConnect(_)))) => {
            Ok(error.to_string())
        }
        Err(Failure::None(error)) => broken(error.to_string()),
    }
}

async fn unimplemented(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    let paths = [
        "/rat.plugin.v1.PluginService/RatCheckNoSuchMethod",
        "/rat.check.v1.NoSuchService/NoSuchMethod",
    ];
    for path in paths {
        match session.bytes(path, &[]).await {
            Err(failure) if failure.code() == Some(Code::UNIMPLEMENTED) => {}
            Err(failure) => return broken(format!("{path}: {failure}")),
            Ok(_) => return broken(format!("{path} was answered")),
        }
    }
    Ok("UNIMPLEMENTED".to_owned())
}

/// The methods to send nonsense to: HealthCheck and the first one of each slot.
fn victims(judge: &Judge) -> Vec<String> {
    let of_slots = judge
        .served
        .iter()
        .flat_map(|slot: &Slot| slot::probes(*slot, &judge.marker))
        .map(|(path, _)| path);
    std::iter::once(HEALTH.to_owned()).chain(of_slots).collect()
}

async fn malformed(judge: &Judge) -> Outcome {
    // A field of wire type 7, which does not exist; a length without its bytes; a varint without end.
    let texts: [&[u8]; 3] = [b"\x0f", b"\x0a\xff\x01", &[0xff; 32]];
    let mut count = 0;
    for path in victims(judge) {
        let session = judge.connect().await?;
        for text in texts {
            match session.bytes(&path, text).await {
                Ok(_) => return broken(format!("{path} answered OK to bytes that are no message")),
                Err(Failure::Refused(_)) => count += 1,
                Err(Failure::None(error)) => return broken(format!("{path}: {error}")),
            }
        }
    }
    Ok(format!("{count} errors for {count} malformed messages"))
}

async fn cut_short(judge: &Judge) -> Outcome {
    let mut count = 0;
    for path in victims(judge) {
        let session = judge.connect().await?;
        let limit = judge.options.limits.call;
        match session
            .raw(&path, Sent::CutShort(b"short"), None, limit)
            .await
        {
            Ok(reply) if reply.code == Code::OK => {
                return broken(format!("{path} answered OK to half a message"));
            }
            Err(error @ (NoAnswer::TimedOut(_) | NoAnswer::Dial(_))) => {
                return broken(format!("{path}: {error}"));
            }
            // Whether by an error or by closing the stream: it was not acted upon.
            Ok(_) | Err(_) => count += 1,
        }
    }
    Ok(format!("{count} halves of messages are not acted upon"))
}

async fn send_large(judge: &Judge, session: &Session, mebibytes: usize) -> Result<(), Failure> {
    let message = unknown_bytes(mebibytes << 20);
    let limit = judge.options.limits.call;
    refuse(
        session
            .raw(HEALTH, Sent::Whole(&message), None, limit)
            .await?,
    )
    .map(drop)
}

async fn large(judge: &Judge, mebibytes: usize) -> Outcome {
    let session = judge.connect().await?;
    match send_large(judge, &session, mebibytes).await {
        Ok(()) => Ok("answered".to_owned()),
        Err(Failure::None(error @ (NoAnswer::TimedOut(_) | NoAnswer::Dial(_)))) => {
            broken(error.to_string())
        }
        Err(failure) => Ok(failure.to_string()),
    }
}

async fn limit(judge: &Judge) -> Outcome {
    let session = judge.connect().await?;
    match send_large(judge, &session, 20).await {
        Ok(()) => broken("it was read and answered"),
        Err(Failure::None(error @ (NoAnswer::TimedOut(_) | NoAnswer::Dial(_)))) => {
            Err(Miss::from(error))
        }
        Err(failure) => Ok(failure.to_string()),
    }
}
