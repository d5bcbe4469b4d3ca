//! How contracts are written: the standard rules of buf, as far as they are cheap to check.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{EnumDescriptor, FileDescriptor};

use crate::support::{contracts, is_ours};

/// Methods that share messages with another package on purpose.
const SHARED_MESSAGES: [&str; 1] = ["rat.cloud.v1.CloudService.GetCredentials"];

fn files() -> Vec<FileDescriptor> {
    let files = contracts();
    let files: Vec<_> = files
        .files()
        .filter(|file| is_ours(file.package_name()))
        .collect();
    assert!(files.len() >= 8);
    files
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|char| char.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}

fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (position, char) in name.chars().enumerate() {
        if char.is_ascii_uppercase() && position > 0 {
            text.push('_');
        }
        text.push(char.to_ascii_uppercase());
    }
    text
}

#[test]
fn a_file_lies_where_its_package_says_and_has_one_service() {
    for file in files() {
        let package = file.package_name();
        let parts: Vec<_> = package.split('.').collect();
        let ["rat", name, version] = parts.as_slice() else {
            panic!("{package} is not rat.<name>.<version>");
        };
        assert_eq!(file.name(), format!("{name}/{version}/{name}.proto"));
        assert_eq!(file.services().count(), 1, "{package}");
    }
}

#[test]
fn services_and_methods_are_named_alike() {
    for service in files().iter().flat_map(FileDescriptor::services) {
        assert!(
            service.name().ends_with("Service"),
            "{}",
            service.full_name()
        );
        for method in service.methods() {
            assert!(is_pascal(method.name()), "{}", method.full_name());
            if SHARED_MESSAGES.contains(&method.full_name()) {
                continue;
            }
            let own = |suffix| format!("{}.{}{suffix}", service.package_name(), method.name());
            assert_eq!(method.input().full_name(), own("Request"));
            assert_eq!(method.output().full_name(), own("Response"));
        }
    }
}

#[test]
fn messages_fields_and_values_are_named_alike() {
    let contracts = contracts();
    for message in contracts
        .all_messages()
        .filter(|message| is_ours(message.package_name()))
    {
        assert!(is_pascal(message.name()), "{}", message.full_name());
        for field in message.fields() {
            assert!(is_snake(field.name()), "{}", field.full_name());
        }
    }
    for kind in contracts
        .all_enums()
        .filter(|kind| is_ours(kind.package_name()))
    {
        values_are_named_alike(&kind);
    }
}

fn values_are_named_alike(kind: &EnumDescriptor) {
    assert!(is_pascal(kind.name()), "{}", kind.full_name());
    let prefix = screaming(kind.name());
    for value in kind.values() {
        assert!(
            value.name().starts_with(&format!("{prefix}_")),
            "{}",
            value.full_name()
        );
        let is_zero = value.number() == 0;
        assert_eq!(
            is_zero,
            value.name() == format!("{prefix}_UNSPECIFIED"),
            "{}",
            value.full_name()
        );
    }
}

/// Elements of a file by their place in its description.
fn elements(file: &FileDescriptorProto) -> BTreeMap<Vec<i32>, String> {
    const MESSAGES: i32 = 4;
    const ENUMS: i32 = 5;
    const SERVICES: i32 = 6;
    const MEMBERS: i32 = 2;
    let place = |index: usize| i32::try_from(index).unwrap();
    let mut found = BTreeMap::new();
    for (at, service) in file.service.iter().enumerate() {
        found.insert(vec![SERVICES, place(at)], service.name().to_owned());
        for (inner, method) in service.method.iter().enumerate() {
            let name = format!("{}.{}", service.name(), method.name());
            found.insert(vec![SERVICES, place(at), MEMBERS, place(inner)], name);
        }
    }
    for (at, message) in file.message_type.iter().enumerate() {
        // What a request or a response is, its method says.
        let is_of_method = ["Request", "Response"]
            .iter()
            .any(|suffix| message.name().ends_with(suffix));
        if !is_of_method {
            found.insert(vec![MESSAGES, place(at)], message.name().to_owned());
        }
        for (inner, field) in message.field.iter().enumerate() {
            let name = format!("{}.{}", message.name(), field.name());
            found.insert(vec![MESSAGES, place(at), MEMBERS, place(inner)], name);
        }
    }
    for (at, kind) in file.enum_type.iter().enumerate() {
        found.insert(vec![ENUMS, place(at)], kind.name().to_owned());
    }
    found
}

#[test]
fn everything_has_a_comment() {
    for file in files() {
        let file = file.file_descriptor_proto();
        let source = file.source_code_info.as_ref().unwrap();
        let commented: BTreeSet<_> = source
            .location
            .iter()
            .filter(|location| !location.leading_comments().trim().is_empty())
            .map(|location| location.path.clone())
            .collect();
        for (path, name) in elements(file) {
            assert!(
                commented.contains(&path),
                "{}: {name} has no comment",
                file.name()
            );
        }
    }
}
