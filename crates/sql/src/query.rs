//! A statement and its values, with the guarantee that there are as many as it needs.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::error::beginning;
use crate::{Error, Value};

/// A statement with its values. Made by [`sql!`](crate::sql) or [`Builder`].
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// Makes a [`Query`] from a constant text and one value for each of its parameters `$1`, `$2`, …
///
/// A parameter may stand in the text more than once. That there are as many values as parameters
/// is checked when the program is compiled.
///
/// ```
/// let query = rat_sql::sql!("SELECT name FROM things WHERE id = $1 OR parent = $1", 7_i64);
/// ```
///
/// ```compile_fail
/// let query = rat_sql::sql!("SELECT name FROM things WHERE id = $1 AND size > $2", 7_i64);
/// ```
#[macro_export]
macro_rules! sql {
    ($text:expr $(, $value:expr)* $(,)?) => {{
        const TEXT: &str = $text;
        const {
            assert!(
                matches!($crate::parameters(TEXT), Some(n) if n == 0 $(+ $crate::sql!(@one $value))*),
                "the statement has another number of parameters than values",
            );
        }
        $crate::Query::new(TEXT, vec![$($crate::Value::from($value)),*])
    }};
    (@one $value:expr) => { 1 };
}

impl Query {
    /// A statement with its values. [`sql!`](crate::sql) is better: it counts them beforehand.
    pub fn new(text: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Self {
            text: text.into(),
            values,
        }
    }

    /// The statement.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the statement only reads. One that changes rows and begins with WITH does not
    /// belong here.
    pub(crate) fn reads(&self) -> bool {
        let first = self.text.split_whitespace().next().unwrap_or_default();
        first.eq_ignore_ascii_case("SELECT") || first.eq_ignore_ascii_case("WITH")
    }

    /// Refuses a query whose values do not match its parameters.
    pub(crate) fn check(&self) -> Result<(), Error> {
        // One pass, unlike `parameters`: a built text may have thousands of them.
        let text = self.text.as_bytes();
        let mut used = vec![false; self.values.len()];
        let (mut highest, mut at) = (0, 0);
        while let Some((number, next)) = next_parameter(text, at) {
            highest = highest.max(number);
            if let Some(used) = used.get_mut(number - 1) {
                *used = true;
            }
            at = next;
        }
        if highest == used.len() && used.iter().all(|used| *used) {
            return Ok(());
        }
        Err(Error::Binds {
            statement: beginning(&self.text),
            parameters: highest,
            values: self.values.len(),
        })
    }

    /// Only constant texts are kept as prepared statements: built ones come in too many forms.
    fn persistent(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    pub(crate) fn into_sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let persistent = self.persistent();
        let query = sqlx::query(AssertSqlSafe(self.text).into_sql_str());
        let query = self
            .values
            .into_iter()
            .fold(query, |query, value| value.bind_sqlite(query));
        query.persistent(persistent)
    }

    pub(crate) fn into_postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        let persistent = self.persistent();
        let query = sqlx::query(AssertSqlSafe(self.text).into_sql_str());
        let query = self
            .values
            .into_iter()
            .fold(query, |query, value| value.bind_postgres(query));
        query.persistent(persistent)
    }
}

/// A statement put together from constant pieces and values, which numbers its parameters itself.
///
/// ```
/// let mut query = rat_sql::Builder::new("SELECT * FROM things WHERE size > ");
/// query.bind(3_i64).push(" AND name = ").bind("rat");
/// assert_eq!(query.build().text(), "SELECT * FROM things WHERE size > $1 AND name = $2");
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    text: String,
    values: Vec<Value>,
}

impl Builder {
    /// A statement that begins with `text`.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds SQL. Never a value: those go through [`bind`](Self::bind).
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a parameter and its value.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// The finished query.
    pub fn build(self) -> Query {
        Query::new(self.text, self.values)
    }
}

/// The pattern for `LOWER(column) LIKE $n ESCAPE '\'` that finds rows containing `text`, where
/// `%` and `_` stand for themselves. Letters outside ASCII have to match exactly: SQLite's LOWER
/// knows no others.
pub fn like_contains(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

/// Number of parameters `$1`, `$2`, … of a statement; `None` when one in between is missing or the
/// number makes no sense. What stands in quotes is no parameter; comments are not recognised.
pub const fn parameters(text: &str) -> Option<usize> {
    let text = text.as_bytes();
    let highest = highest(text);
    let mut number = 1;
    while number <= highest {
        if !uses(text, number) {
            return None;
        }
        number += 1;
    }
    Some(highest)
}

const fn highest(text: &[u8]) -> usize {
    let (mut highest, mut at) = (0, 0);
    while let Some((number, next)) = next_parameter(text, at) {
        if number > highest {
            highest = number;
        }
        at = next;
    }
    highest
}

const fn uses(text: &[u8], wanted: usize) -> bool {
    let mut at = 0;
    while let Some((number, next)) = next_parameter(text, at) {
        if number == wanted {
            return true;
        }
        at = next;
    }
    false
}

/// The first parameter at or after `at`, which is outside quotes, and where to look on.
const fn next_parameter(text: &[u8], mut at: usize) -> Option<(usize, usize)> {
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if byte == b'\'' || byte == b'"' {
            while at < text.len() && text[at] != byte {
                at += 1;
            }
            at += 1;
        } else if byte == b'$' {
            let mut number = 0_usize;
            while at < text.len() && text[at].is_ascii_digit() {
                number = number
                    .saturating_mul(10)
                    .saturating_add((text[at] - b'0') as usize);
                at += 1;
            }
            // `$0`, or a sign without digits: a parameter that no list of values can satisfy.
            return Some((if number == 0 { usize::MAX } else { number }, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_outside_quotes() {
        assert_eq!(parameters("SELECT 1"), Some(0));
        assert_eq!(parameters("SELECT $1, $2, $1"), Some(2));
        assert_eq!(parameters("SELECT '$9', \"$8\", 'it''s $7', $1"), Some(1));
        assert_eq!(parameters("SELECT $12 + $1"), None);
    }

    #[test]
    fn a_query_with_too_few_or_too_many_values_is_refused() {
        let check = |text, count| Query::new(text, vec![Value::from(1_i64); count]).check();
        assert!(check("SELECT $1, $2", 2).is_ok());
        for (text, count) in [
            ("SELECT $1, $2", 1),
            ("SELECT $1", 2),
            ("SELECT $2", 1),
            ("SELECT $x", 0),
        ] {
            let error = check(text, count).unwrap_err();
            assert_eq!(error.reason(), "DATABASE_BIND_MISMATCH", "{text}");
        }
    }

    #[test]
    fn wildcards_in_a_search_stand_for_themselves() {
        assert_eq!(like_contains(r"50%_A\"), r"%50\%\_a\\%");
    }

    #[test]
    fn only_queries_go_to_connections_that_read() {
        let reads = |text: &'static str| Query::new(text, Vec::new()).reads();
        assert!(reads("SELECT 1") && reads("\n  with x AS (SELECT 1) SELECT 1"));
        assert!(!reads("UPDATE t SET a = 1 RETURNING a") && !reads("INSERT INTO t SELECT 1"));
    }
}
