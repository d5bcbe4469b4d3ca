//! How values are shown in messages, and which word was probably meant.

use std::borrow::Cow;

/// The longest excerpt of a value in a message, in characters.
const MAX_EXCERPT: usize = 80;

/// `value` in quotes, without control characters, cut where it is long, and without what stands
/// before the host of a URL: it may be a password.
pub(crate) fn quoted(value: &str) -> String {
    let value = without_user(value);
    let mut shown: String = value.chars().take(MAX_EXCERPT).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

fn without_user(value: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.into();
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}").into(),
        None => value.into(),
    }
}

/// The one of `known` that `word` probably was meant to be.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().count() > 64 {
        return None;
    }
    let word = normal(word);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &normal(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters without case, `-` as `_`: `max-connections` is `max_connections`.
fn normal(word: &str) -> Vec<char> {
    word.to_lowercase()
        .chars()
        .map(|char| if char == '-' { '_' } else { char })
        .collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(a != b);
            let mut best = substituted.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_find_the_word() {
        let known = ["listen", "internal_socket", "max_connections", "url"];
        assert_eq!(closest("lisetn", known), Some("listen"));
        assert_eq!(closest("Listen", known), Some("listen"));
        assert_eq!(closest("max-connections", known), Some("max_connections"));
        assert_eq!(closest("maxConnections", known), Some("max_connections"));
        assert_eq!(closest("uri", known), Some("url"));
        assert_eq!(closest("storage", known), None);
        assert_eq!(closest(&"l".repeat(1000), known), None);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(
            quoted("https://user:pass@word@host:1"),
            "\"https://…@host:1\""
        );
        assert_eq!(quoted("a\u{1b}[2Jb"), "\"a\\u{1b}[2Jb\"");
        assert_eq!(quoted(&"é".repeat(100)).chars().count(), MAX_EXCERPT + 3);
    }
}
