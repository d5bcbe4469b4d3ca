//! An incompatible change of a contract fails here.
//!
//! `proto/contracts.txt` lists everything that a peer may rely on, one line each: the numbers and
//! types of fields for binary messages, their names for JSON, the methods and what they stream.
//! A line that is gone, or reads differently, is a peer that breaks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};

use crate::support::{contracts, is_ours};

const UPDATE: &str = "RAT_UPDATE_CONTRACTS";

/// Every promise that the contracts make.
fn promises(pool: &DescriptorPool) -> BTreeSet<String> {
    let methods = pool
        .services()
        .filter(|service| is_ours(service.package_name()))
        .flat_map(|service| {
            service
                .methods()
                .map(|method| of_method(&method))
                .collect::<Vec<_>>()
        });
    let fields = pool
        .all_messages()
        .filter(|message| is_ours(message.package_name()) && !message.is_map_entry())
        .flat_map(|message| of_message(&message));
    let values = pool
        .all_enums()
        .filter(|kind| is_ours(kind.package_name()))
        .flat_map(|kind| of_enum(&kind));
    methods.chain(fields).chain(values).collect()
}

fn of_method(method: &MethodDescriptor) -> String {
    let stream = |is_streaming| if is_streaming { "stream " } else { "" };
    format!(
        "method {} ({}{}) returns ({}{})",
        method.full_name(),
        stream(method.is_client_streaming()),
        method.input().full_name(),
        stream(method.is_server_streaming()),
        method.output().full_name(),
    )
}

fn of_message(message: &MessageDescriptor) -> Vec<String> {
    let itself = format!("message {}", message.full_name());
    let fields = message.fields().map(|field| of_field(&field));
    std::iter::once(itself).chain(fields).collect()
}

fn of_field(field: &FieldDescriptor) -> String {
    let oneof = field
        .containing_oneof()
        .filter(|_| !is_optional(field))
        .map(|oneof| format!(" of {}", oneof.name()))
        .unwrap_or_default();
    format!(
        "field {}.{} = {}: {}{oneof}",
        field.parent_message().full_name(),
        field.name(),
        field.number(),
        type_of(field),
    )
}

fn is_optional(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().proto3_optional()
}

fn type_of(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::Message(message) if field.is_map() => format!(
            "map<{}, {}>",
            type_of(&message.map_entry_key_field()),
            type_of(&message.map_entry_value_field())
        ),
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    match field.cardinality() {
        Cardinality::Repeated if !field.is_map() => format!("repeated {name}"),
        _ if is_optional(field) => format!("optional {name}"),
        _ => name,
    }
}

fn of_enum(kind: &EnumDescriptor) -> Vec<String> {
    let values = kind.values().map(|value| {
        format!(
            "value {}.{} = {}",
            kind.full_name(),
            value.name(),
            value.number()
        )
    });
    values.collect()
}

fn file() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../proto/contracts.txt"
    ))
}

fn recorded() -> BTreeSet<String> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// What is broken, and what is new.
fn compare(before: &BTreeSet<String>, now: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).cloned().collect::<Vec<_>>()
    };
    (only(before, now), only(now, before))
}

#[test]
fn the_contracts_keep_their_promises() {
    let now = promises(&contracts());
    let (broken, new) = compare(&recorded(), &now);
    assert!(
        broken.is_empty(),
        "peers of another version rely on this, and it is gone or has changed:\n  {}\n\
         Add something new beside it instead (another field, another method, a package v2). If it \
         was never released, or no peer can exist, delete these lines from proto/contracts.txt by \
         hand, say why in the commit, and record the rest with {UPDATE}=1.",
        broken.join("\n  ")
    );
    if std::env::var_os(UPDATE).is_some() {
        let head = "# Everything that a peer of these contracts may rely on. Lines are added by\n\
                    # `RAT_UPDATE_CONTRACTS=1 cargo test -p rat-proto` and never change.\n\n";
        let lines: Vec<_> = now.into_iter().collect();
        std::fs::write(file(), format!("{head}{}\n", lines.join("\n"))).unwrap();
        return;
    }
    assert!(
        new.is_empty(),
        "compatible, but not recorded yet:\n  {}\n\
         Record it with `{UPDATE}=1 cargo test -p rat-proto`, and commit proto/contracts.txt.",
        new.join("\n  ")
    );
}

/// What the plugin system's specification prints: never to change, released or not.
const PRINTED: [&str; 19] = [
    "method rat.plugin.v1.PluginService.HealthCheck (rat.plugin.v1.HealthCheckRequest) returns (rat.plugin.v1.HealthCheckResponse)",
    "field rat.plugin.v1.HealthCheckResponse.status = 1: string",
    "field rat.plugin.v1.HealthCheckResponse.message = 2: string",
    "method rat.auth.v1.AuthService.Authenticate (rat.auth.v1.AuthenticateRequest) returns (rat.auth.v1.AuthenticateResponse)",
    "method rat.auth.v1.AuthService.Authorize (rat.auth.v1.AuthorizeRequest) returns (rat.auth.v1.AuthorizeResponse)",
    "field rat.auth.v1.AuthenticateRequest.token = 1: string",
    "field rat.auth.v1.AuthenticateResponse.user_id = 1: string",
    "field rat.auth.v1.AuthenticateResponse.email = 2: string",
    "field rat.auth.v1.AuthenticateResponse.roles = 3: repeated string",
    "method rat.sharing.v1.SharingService.ShareResource (rat.sharing.v1.ShareResourceRequest) returns (rat.sharing.v1.ShareResourceResponse)",
    "method rat.sharing.v1.SharingService.RevokeAccess (rat.sharing.v1.RevokeAccessRequest) returns (rat.sharing.v1.RevokeAccessResponse)",
    "method rat.sharing.v1.SharingService.ListAccess (rat.sharing.v1.ListAccessRequest) returns (rat.sharing.v1.ListAccessResponse)",
    "method rat.sharing.v1.SharingService.TransferOwnership (rat.sharing.v1.TransferOwnershipRequest) returns (rat.sharing.v1.TransferOwnershipResponse)",
    "method rat.enforcement.v1.EnforcementService.CanAccess (rat.enforcement.v1.CanAccessRequest) returns (rat.enforcement.v1.CanAccessResponse)",
    "method rat.enforcement.v1.EnforcementService.GetCredentials (rat.enforcement.v1.GetCredentialsRequest) returns (rat.enforcement.v1.GetCredentialsResponse)",
    "field rat.enforcement.v1.GetCredentialsRequest.provider = 1: string",
    "field rat.enforcement.v1.GetCredentialsRequest.resource = 2: string",
    "field rat.enforcement.v1.GetCredentialsResponse.credentials = 1: map<string, string>",
    "field rat.enforcement.v1.GetCredentialsResponse.expires_at = 2: int64",
];

#[test]
fn what_the_specification_prints_is_there() {
    let now = promises(&contracts());
    for line in PRINTED {
        assert!(now.contains(line), "{line}");
    }
}

/// A contract with one field of each sort.
const BEFORE: &str = r#"
    syntax = "proto3";
    package rat.x.v1;
    service XService {
      rpc One(OneRequest) returns (OneResponse);
      rpc Many(OneRequest) returns (stream OneResponse);
    }
    message OneRequest {
      string name = 1;
      repeated int32 sizes = 2;
      map<string, bytes> parts = 3;
      optional bool sure = 4;
      oneof choice { string left = 5; string right = 6; }
      Mood mood = 7;
    }
    message OneResponse {}
    enum Mood { MOOD_UNSPECIFIED = 0; MOOD_FINE = 1; }
"#;

fn compiled(text: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.proto"), text).unwrap();
    let set = protox::compile(["x.proto"], [folder.path()]).unwrap();
    promises(&DescriptorPool::from_file_descriptor_set(set).unwrap())
}

#[test]
fn every_incompatible_change_is_seen() {
    let before = compiled(BEFORE);
    for (what, old, new) in [
        ("a removed field", "string name = 1;", ""),
        ("a renumbered field", "string name = 1;", "string name = 9;"),
        ("a retyped field", "string name = 1;", "bytes name = 1;"),
        ("a renamed field", "string name = 1;", "string title = 1;"),
        ("a field that repeats no longer", "repeated int32", "int32"),
        (
            "a map of something else",
            "map<string, bytes>",
            "map<string, string>",
        ),
        ("a field that is always present", "optional bool", "bool"),
        (
            "a field of no choice",
            "string right = 6; }",
            "} string right = 6;",
        ),
        (
            "a removed method",
            "rpc One(OneRequest) returns (OneResponse);",
            "",
        ),
        (
            "a method that streams",
            "returns (OneResponse)",
            "returns (stream OneResponse)",
        ),
        (
            "a method that streams no longer",
            "(stream OneResponse)",
            "(OneResponse)",
        ),
        (
            "a method that takes something else",
            "rpc One(OneRequest)",
            "rpc One(OneResponse)",
        ),
        ("another package", "rat.x.v1", "rat.x.v2"),
        ("another service", "XService", "YService"),
        ("a renumbered value", "MOOD_FINE = 1", "MOOD_FINE = 2"),
        ("a removed value", "MOOD_FINE = 1;", ""),
    ] {
        assert!(BEFORE.contains(old), "{old}");
        let (broken, _) = compare(&before, &compiled(&BEFORE.replacen(old, new, 1)));
        assert!(!broken.is_empty(), "{what} is not seen");
    }
}

#[test]
fn what_is_added_breaks_nothing() {
    let before = compiled(BEFORE);
    for (old, new) in [
        ("string name = 1;", "string name = 1; string title = 8;"),
        (
            "rpc One(",
            "rpc New(OneRequest) returns (OneResponse); rpc One(",
        ),
        ("MOOD_FINE = 1;", "MOOD_FINE = 1; MOOD_ILL = 2;"),
        (
            "message OneResponse {}",
            "message OneResponse {} message Other {}",
        ),
    ] {
        let (broken, added) = compare(&before, &compiled(&BEFORE.replacen(old, new, 1)));
        assert!(broken.is_empty() && !added.is_empty(), "{broken:?}");
    }
}
