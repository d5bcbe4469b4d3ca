//! The hash that says which sources a run executed.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// SHA-256, in lower-case hex, over the files of one pipeline.
///
/// For every file in the byte order of its path within the pipeline's folder: the path, a zero
/// byte, the content's length in bytes as decimal digits, a zero byte, the content. The lengths
/// make it impossible to move text from one file to its neighbour without changing the hash.
/// `rat-pipeline` computes the same hash from the same rule: change both or neither.
pub fn source_hash<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_unstable_by_key(|(path, _)| *path);
    let mut hasher = Sha256::new();
    for (path, content) in files {
        hasher.update(path.as_bytes());
        hasher.update([0]);
        hasher.update(content.len().to_string().as_bytes());
        hasher.update([0]);
        hasher.update(content);
    }
    hex(&hasher.finalize())
}

/// SHA-256 of one blob, in lower-case hex.
pub(crate) fn blob_hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_files_are_given_does_not_matter() {
        let (a, b) = (("a.sql", b"1".as_slice()), ("b/c.sql", b"2".as_slice()));
        assert_eq!(source_hash([a, b]), source_hash([b, a]));
    }

    #[test]
    fn moving_text_between_files_changes_the_hash() {
        let one = source_hash([("a", b"xy".as_slice()), ("b", b"z".as_slice())]);
        let other = source_hash([("a", b"x".as_slice()), ("b", b"yz".as_slice())]);
        assert_ne!(one, other);
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        let bytes = b"config.yaml\x005\x00a: 1\npipeline.sql\x008\x00SELECT 1";
        let files = [
            ("pipeline.sql", b"SELECT 1".as_slice()),
            ("config.yaml", b"a: 1\n".as_slice()),
        ];
        assert_eq!(source_hash(files), blob_hash(bytes));
    }
}
