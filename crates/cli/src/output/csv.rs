//! Comma-separated values after RFC 4180, with line feeds.

use std::borrow::Cow;

/// Header and rows as CSV. A cell that is absent stays empty; a cell that is an empty text is
/// written as `""`, so that the two can be told apart.
pub fn to_csv(header: &[String], rows: &[Vec<Option<String>>]) -> String {
    let mut text = String::new();
    let names: Vec<Option<&str>> = header.iter().map(|name| Some(name.as_str())).collect();
    push_line(&mut text, &names);
    for row in rows {
        let cells: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
        push_line(&mut text, &cells);
    }
    text
}

fn push_line(text: &mut String, cells: &[Option<&str>]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if let Some(cell) = cell {
            text.push_str(&quoted(cell));
        }
    }
    text.push('\n');
}

fn quoted(cell: &str) -> Cow<'_, str> {
    let plain = !cell.is_empty() && !cell.contains(['"', ',', '\n', '\r']);
    match plain && cell.trim() == cell {
        true => Cow::Borrowed(cell),
        false => Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_needed_and_null_differs_from_empty() {
        let header = ["a".to_owned(), "b,c".to_owned()];
        let cell = |text: &str| Some(text.to_owned());
        let rows = [
            vec![cell("1"), None],
            vec![cell(""), cell("say \"hi\"")],
            vec![cell("two\nlines"), cell(" x")],
        ];
        assert_eq!(
            to_csv(&header, &rows),
            "a,\"b,c\"\n1,\n\"\",\"say \"\"hi\"\"\"\n\"two\nlines\",\" x\"\n"
        );
    }
}
