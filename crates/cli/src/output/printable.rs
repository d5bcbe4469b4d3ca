//! Text from elsewhere, before it reaches a terminal.
//!
//! Log lines, error messages, column names and cells are made by whoever writes a pipeline or a
//! file. Control characters could move the cursor, change the terminal's title or hide what is
//! really there; marks of writing direction could show text in another order.

use rat_types::is_direction_mark;
use serde::{Deserialize as _, Deserializer};

/// `text` with everything visible that would act on a terminal; line breaks stay.
pub(crate) fn printable(text: String) -> String {
    if !text.chars().any(|c| acts(c) && c != '\n') {
        return text;
    }
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            '\n' => '\n',
            c if acts(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// For a field that is shown to people.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::deserialize(from).map(printable)
}

fn acts(c: char) -> bool {
    c.is_control() || is_direction_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        let evil = "a\u{1b}[31mb\u{7}\u{202e}c\td\ne".to_owned();
        assert_eq!(printable(evil), "a\u{fffd}[31mb\u{fffd}\u{fffd}c d\ne");
        assert_eq!(printable("grüße".to_owned()), "grüße");
    }
}
