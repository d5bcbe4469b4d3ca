//! Whether a rendered template is one query, by its syntax alone.
//!
//! The parser is the one that the engine uses, with the engine's dialect and limits, so that
//! nothing is refused here that would run. Names, types and functions are not looked at.

mod block;
mod dialect;
mod expanded;
mod expression;
mod limits;
mod relation;
mod tokens;

use sqlparser::ast::Statement;
use sqlparser::parser::{Parser, ParserError};

pub use self::dialect::SqlDialect;
pub use self::expanded::check_sql_tree;
pub use self::limits::{MAX_SQL_NESTING, TooComplex};
pub use self::tokens::check_sql_text;
use crate::problem::{Problem, Topic};

/// What is wrong with the syntax of `rendered`, which `file` with the text `template` became.
pub(crate) fn check(file: &str, template: &str, rendered: &str) -> Option<Problem> {
    let message = mistake(rendered)?;
    let (message, line) = match placed(&message) {
        // A template that spans lines shifts them.
        Some((text, line)) if template.lines().count() != rendered.lines().count() => {
            (format!("{text} (line {line} of the rendered SQL)"), None)
        }
        Some((text, line)) => (text.to_owned(), Some(line)),
        None => (message, None),
    };
    Some(Problem {
        file: file.to_owned(),
        line,
        message,
        topic: Topic::Sql,
    })
}

fn mistake(sql: &str) -> Option<String> {
    if let Err(error) = check_sql_text(sql) {
        return Some(error.to_string());
    }
    let dialect = SqlDialect::new(sql);
    let parsed = Parser::new(&dialect)
        .with_recursion_limit(MAX_SQL_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    if let Err(error) = dialect.check() {
        return Some(error.to_string());
    }
    match parsed.as_deref() {
        Ok([statement @ Statement::Query(_)]) => {
            // How many columns a table has is not known here, but to the engine.
            let error = check_sql_tree(statement, &|_| None).err()?;
            Some(error.to_string())
        }
        Ok([]) => Some("there is no statement".to_owned()),
        Ok([_]) => Some(
            "only a query is allowed here (SELECT, WITH or VALUES): RAT writes its rows to the table"
                .to_owned(),
        ),
        Ok(more) => Some(format!(
            "there are {} statements, write exactly one",
            more.len()
        )),
        Err(ParserError::RecursionLimitExceeded) => Some(format!(
            "the statement is nested deeper than {MAX_SQL_NESTING} levels"
        )),
        Err(ParserError::ParserError(text) | ParserError::TokenizerError(text)) => {
            Some(text.clone())
        }
    }
}

/// Takes the place off the end of a parser's message.
fn placed(message: &str) -> Option<(&str, usize)> {
    let (text, place) = message.rsplit_once(" at Line: ")?;
    let (line, _) = place.split_once(',')?;
    Some((text, line.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
