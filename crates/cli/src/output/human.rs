//! Numbers, sizes and times for people.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A count with thousands separators: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of rows: `1 row`, `1,234 rows`.
pub fn row_count(number: u64) -> String {
    match number {
        1 => "1 row".to_owned(),
        number => format!("{} rows", count(number)),
    }
}

/// A size in binary units: `1.4 MiB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration with the precision that matters: `340 ms`, `2.1 s`, `3 m 05 s`, `2 h 10 m`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", (time.as_millis() / 100) as f64 / 10.0),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago `then` was, seen from `now`: `just now`, `5 m ago`, `3 d ago`.
pub fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds();
    match seconds {
        ..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} m ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// `text` in one line of at most `width` characters, with `…` where something was cut.
pub fn shorten(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let shown: Vec<String> = [0, 999, 1000, 12_345, 1_234_567].map(count).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn one_row_is_one_row() {
        assert_eq!(
            [0, 1, 2000].map(row_count),
            ["0 rows", "1 row", "2,000 rows"]
        );
    }

    #[test]
    fn sizes_change_their_unit_before_they_reach_1024() {
        let shown: Vec<String> = [0, 1023, 1024, 1536, 1_048_575, 1 << 30, u64::MAX]
            .map(bytes)
            .to_vec();
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 GiB", "16.0 EiB"
            ]
        );
    }

    #[test]
    fn durations_have_the_precision_that_matters() {
        let shown: Vec<String> = [0, 340, 999, 2199, 59_999, 185_000, 7_800_000]
            .map(|ms| duration(Duration::from_millis(ms)))
            .to_vec();
        assert_eq!(
            shown,
            [
                "0 ms", "340 ms", "999 ms", "2.1 s", "59.9 s", "3 m 05 s", "2 h 10 m"
            ]
        );
    }

    #[test]
    fn long_texts_become_one_short_line() {
        assert_eq!(shorten("a\n  b", 10), "a b");
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äöüß", 4), "äöüß");
    }
}
