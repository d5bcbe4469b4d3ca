//! Durations and sizes as people write them, and back.

use std::time::Duration;

use bytesize::ByteSize;

use crate::text::quoted;

/// The longest duration that is accepted: beyond it, adding one to a clock could overflow.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The shortest one: timers are not more precise.
const MIN_DURATION: Duration = Duration::from_millis(1);

const UNITS: [(u64, &str); 5] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1, "B"),
];

/// Parses a duration such as `30s` or `1h 30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        format!(
            "must be a duration with its unit, such as 30s, 5m or 1h, not {}",
            quoted(text)
        )
    })?;
    if duration < MIN_DURATION || duration > MAX_DURATION {
        return Err(format!(
            "must be from 1ms to 365 days, not {}",
            quoted(text)
        ));
    }
    Ok(duration)
}

/// A duration in the words that [`parse_duration`] understands.
pub(crate) fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Parses a size such as `64MiB`. The unit is required: a bare number is too often meant to be
/// something else than bytes.
pub(crate) fn parse_size(text: &str) -> Result<ByteSize, String> {
    let shape = || {
        format!(
            "must be a size with its unit, such as 64MiB, not {}",
            quoted(text)
        )
    };
    if !text.ends_with(|char: char| char.is_ascii_alphabetic()) {
        return Err(shape());
    }
    text.parse().map_err(|_| shape())
}

/// A size in the largest unit that loses nothing.
pub(crate) fn format_size(size: ByteSize) -> String {
    let bytes = size.as_u64();
    let unit = UNITS
        .into_iter()
        .find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "B"));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_sane_length() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for text in [
            "",
            "30",
            "-1s",
            "0s",
            "0",
            "soon",
            "1us",
            "366d",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(parse_size("64MiB"), Ok(ByteSize::mib(64)));
        assert_eq!(parse_size("1.5 GiB"), Ok(ByteSize::mib(1536)));
        assert_eq!(parse_size("10kB"), Ok(ByteSize::kb(10)));
        for text in ["", "64", "MiB", "-1MiB", "64 bananas", "1e3MiB", "1.2.3MiB"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_printed_is_parsed_again() {
        for text in ["1B", "1500B", "64MiB", "1GiB", "3TiB", "1025KiB"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
        for text in ["1ms", "30s", "1h 30m", "2m"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
