//! Rules for texts that more than one crate has to agree on.

/// Folders of a landing zone that RAT keeps for itself: samples for people, and files that were
/// processed.
const RESERVED: [&str; 2] = ["_samples", "_processed"];

/// Whether `c` is a mark of writing direction, which shows a text in another order than it has.
pub fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a path within a landing zone has a segment that RAT keeps for itself, in whatever case,
/// so that a file system that does not tell case apart makes no difference. Nobody uploads there,
/// and no run reads what lies there.
pub fn is_reserved_in_landing(path: &str) -> bool {
    let is_reserved = |segment: &str| {
        RESERVED
            .iter()
            .any(|name| segment.eq_ignore_ascii_case(name))
    };
    path.split('/').any(is_reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_one_at_any_place_and_in_any_case() {
        for reserved in [
            "_samples",
            "_samples/a.csv",
            "2026/_Processed/a.csv",
            "a/_SAMPLES",
        ] {
            assert!(is_reserved_in_landing(reserved), "{reserved}");
        }
        for free in ["", "a.csv", "samples/a.csv", "_samples2/a.csv", "a_samples"] {
            assert!(!is_reserved_in_landing(free), "{free}");
        }
    }
}
