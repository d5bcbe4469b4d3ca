//! One hash for a set of source files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// SHA-256 over the sources, in lower-case hex.
///
/// The rule, which other programs may implement: for each file in order of its path (compared as
/// bytes) the path, a zero byte, the content's length in bytes as decimal digits, a zero byte,
/// the content. No byte separates one file from the next; the lengths do.
pub fn source_hash(sources: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (path, content) in sources {
        hasher.update(path.as_bytes());
        hasher.update([0]);
        hasher.update(content.len().to_string().as_bytes());
        hasher.update([0]);
        hasher.update(content.as_bytes());
    }
    hasher
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(files: &[(&str, &str)]) -> String {
        source_hash(
            &files
                .iter()
                .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn the_rule_is_the_documented_one() {
        // printf 'a\0001\000x' | sha256sum
        assert_eq!(
            hash(&[("a", "x")]),
            "87898619c5d0f3bfb6e8917ff8d8477e56456331d07ec0a674183ca9aad95a93"
        );
    }

    #[test]
    fn moving_a_byte_from_one_file_to_another_changes_the_hash() {
        assert_ne!(
            hash(&[("a", "xy"), ("b", "z")]),
            hash(&[("a", "x"), ("b", "yz")])
        );
        assert_ne!(hash(&[("ab", "x")]), hash(&[("a", "bx")]));
        assert_eq!(
            hash(&[("b", "1"), ("a", "2")]),
            hash(&[("a", "2"), ("b", "1")])
        );
    }
}
