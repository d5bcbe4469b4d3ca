//! Whether a rendered template is one query, by its syntax alone.
//!
//! The parser is the one that the engine uses, with the engine's dialect and limits, so that
//! nothing is refused here that would run. Names, types and functions are not looked at.

use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::problem::{Problem, Topic};

/// Nesting of expressions and subqueries of one statement.
pub const MAX_SQL_NESTING: usize = 64;
/// Operators of one statement. A chain of them is a tree as deep as it is long, which is planned in
/// quadratic time and walked recursively: without a bound a short text could use up a thread's
/// stack and with it the process.
pub const MAX_SQL_OPERATORS: usize = 4000;

/// Counts what makes a statement's tree deep before there is a tree. `None`: this is no text of
/// SQL, which a parser says better.
pub fn count_sql_operators(sql: &str) -> Option<usize> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    Some(tokens.iter().filter(|token| chains(token)).count())
}

/// Whether a token joins what stands before it with what comes after it.
fn chains(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
        ),
        Token::EOF
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon => false,
        _ => true,
    }
}

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
    if let Some(count) = count_sql_operators(sql).filter(|count| *count > MAX_SQL_OPERATORS) {
        return Some(format!(
            "the statement has {count} operators and joins, at most {MAX_SQL_OPERATORS} are \
             allowed; write long lists of conditions as IN (…) or as a table"
        ));
    }
    let parsed = Parser::new(&GenericDialect {})
        .with_recursion_limit(MAX_SQL_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    match parsed.as_deref() {
        Ok([Statement::Query(_)]) => None,
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
mod tests {
    use super::*;

    fn told(template: &str, rendered: &str) -> Option<String> {
        check("pipeline.sql", template, rendered).map(|problem| problem.to_string())
    }

    #[test]
    fn what_the_engine_reads_is_accepted() {
        for sql in [
            "SELECT 1",
            "SELECT 1;",
            "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3",
            "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT * FROM c",
            "VALUES (1, 'a'), (2, 'b')",
            "FROM \"shop\".\"bronze\".\"orders\" SELECT id",
            "FROM t",
            "SELECT * EXCLUDE (a) FROM t",
            "SELECT * FROM read_csv('landing://n/z/**', header => false, delim := ';', \
             types => {'n': 'TIMESTAMPTZ'}, nullstr = ['', 'NA']) AS t",
            "SELECT * FROM read_csv(['landing://n/z/a', 'landing://n/z/b'])",
            "SELECT a::INT, b->>'x', {'x': 1}, [1, 2][1], INTERVAL '1' DAY, DATE '2026-01-01', \
             TIMESTAMPTZ '2020-01-01 00:00:00+02', x ~ 'y', EXTRACT(year FROM d), \
             row_number() OVER (PARTITION BY a ORDER BY b DESC NULLS LAST) FROM t \
             QUALIFY row_number() OVER (ORDER BY a) = 1",
            "SELECT count(*) FILTER (WHERE a > 1), array_agg(a ORDER BY b) FROM t \
             GROUP BY GROUPING SETS ((a), ()) HAVING count(*) > 1",
            "SELECT * FROM a LEFT JOIN b USING (id), LATERAL (SELECT 1), UNNEST([1]) AS u(x)",
            "-- a comment\nSELECT 'it''s', \"x\"\"y\", E'\\n', $$text$$ /* another */",
        ] {
            assert_eq!(told(sql, sql), None, "{sql}");
        }
    }

    #[test]
    fn a_mistake_has_its_line() {
        let sql = "SELECT 1,\n2 AS b\nFROM WHERE a = 1";
        let message = told(sql, sql).unwrap();
        assert!(
            message.starts_with("pipeline.sql:3: ") && !message.contains("Line:"),
            "{message}"
        );
        let message = told(&format!("{{#\n#}}{sql}"), sql).unwrap();
        assert!(
            message.starts_with("pipeline.sql: ") && message.contains("line 3 of the rendered SQL"),
            "{message}"
        );
        assert!(told("SELECT 'open", "SELECT 'open").is_some());
    }

    #[test]
    fn exactly_one_query_is_accepted() {
        for (sql, expected) in [
            ("SELECT 1; SELECT 2", "there are 2 statements"),
            ("-- nothing", "there is no statement"),
            ("INSERT INTO t VALUES (1)", "only a query"),
            ("EXPLAIN SELECT 1", "only a query"),
        ] {
            let message = told(sql, sql).unwrap();
            assert!(message.contains(expected), "{sql}: {message}");
        }
    }

    #[test]
    fn a_tree_that_would_be_too_deep_is_not_made() {
        let chain = format!("SELECT {}1", "1+".repeat(200_000));
        assert!(
            told(&chain, &chain)
                .unwrap()
                .contains("operators and joins")
        );
        let nested = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(told(&nested, &nested).unwrap().contains("nested deeper"));
    }
}
