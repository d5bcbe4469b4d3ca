//! Words of a plugin, before anybody reads them.

/// Characters of a plugin's message that are kept.
const LONGEST: usize = 500;

/// `text` in one printable line of bounded length: what a plugin says must not act on a terminal,
/// forge a line of a log or fill one.
pub(crate) fn printable(text: &str) -> String {
    let visible = text.trim().chars().filter(|char| !is_invisible(*char));
    let mut rest = visible.clone().skip(LONGEST);
    let mut shown: String = visible
        .take(LONGEST)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that change how others are shown, or that nobody sees.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_says_is_one_printable_line() {
        assert_eq!(printable("  all well\n"), "all well");
        assert_eq!(printable("a\u{1b}[31mred\r\nb\u{202e}c"), "a [31mred  bc");
        let long = printable(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }
}
