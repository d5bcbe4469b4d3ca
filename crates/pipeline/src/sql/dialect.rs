//! The dialect of SQL, with an end to how often a text is tried to be read.
//!
//! Where something may be read in several ways, the parser tries one after the other, and within
//! each of them again: `NOT (NOT (NOT (…` with a mistake at its end is read twice as often for
//! each level, for hours in all. It cannot be stopped from outside, but it asks its dialect before
//! each expression.

use std::any::TypeId;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Tokenizer;

use super::limits::{Counted, TooComplex};

/// Expressions that are read in any text, however short.
const ALWAYS: u64 = 20_000;
/// Expressions that are read for each word and symbol of the text.
const FOR_EACH: u64 = 2;

/// The generic dialect for one text.
#[derive(Debug)]
pub struct SqlDialect {
    read: AtomicU64,
    limit: u64,
}

impl SqlDialect {
    /// For reading `sql` once.
    pub fn new(sql: &str) -> Self {
        // What is no text of SQL is said by the parser.
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
        let tokens = tokens.map_or(0, |tokens| tokens.len() as u64);
        Self {
            read: AtomicU64::new(0),
            limit: ALWAYS.saturating_add(tokens.saturating_mul(FOR_EACH)),
        }
    }

    /// Why the text could not be read to its end, if it was tried too often.
    ///
    /// # Errors
    /// [`TooComplex`].
    pub fn check(&self) -> Result<(), TooComplex> {
        Counted::Readings(self.limit).check(self.read.load(Ordering::Relaxed))
    }
}

/// Everything that the generic dialect says in its own way.
macro_rules! as_generic {
    ($($name:ident,)*) => {
        $(fn $name(&self) -> bool {
            GenericDialect {}.$name()
        })*
    };
}

impl Dialect for SqlDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let read = self.read.fetch_add(1, Ordering::Relaxed);
        // From then on every way of reading fails at once.
        (read >= self.limit).then_some(Err(ParserError::RecursionLimitExceeded))
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect {}.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect {}.is_identifier_part(ch)
    }

    as_generic! {
        allow_extract_custom,
        allow_extract_single_quotes,
        support_map_literal_syntax,
        supports_array_typedef_with_brackets,
        supports_asc_desc_in_column_definition,
        supports_bitwise_shift_operators,
        supports_comma_separated_set_assignments,
        supports_comment_on,
        supports_comment_optimizer_hint,
        supports_connect_by,
        supports_constraint_keyword_without_name,
        supports_create_index_with_clause,
        supports_create_view_comment_syntax,
        supports_data_type_signed_suffix,
        supports_detach,
        supports_dictionary_syntax,
        supports_empty_projections,
        supports_explain_with_utility_options,
        supports_extract_comma_syntax,
        supports_filter_during_aggregation,
        supports_from_first_select,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_install,
        supports_interpolate,
        supports_interval_options,
        supports_lambda_functions,
        supports_left_associative_joins_without_parens,
        supports_limit_by,
        supports_limit_comma,
        supports_load_extension,
        supports_match_against,
        supports_match_recognize,
        supports_multiline_comment_hints,
        supports_named_fn_args_with_assignment_operator,
        supports_nested_comments,
        supports_optimize_table,
        supports_parens_around_table_factor,
        supports_parenthesized_set_variables,
        supports_pipe_operator,
        supports_prewhere,
        supports_projection_trailing_commas,
        supports_quote_delimited_string,
        supports_select_format,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_select_wildcard_replace,
        supports_set_names,
        supports_settings,
        supports_start_transaction_modifier,
        supports_string_escape_constant,
        supports_struct_literal,
        supports_try_convert,
        supports_unicode_string_literal,
        supports_user_host_grantee,
        supports_values_as_table_factor,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
        supports_with_fill,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sql::MAX_SQL_NESTING;

    fn parse(sql: &str) -> Result<usize, String> {
        let dialect = SqlDialect::new(sql);
        let parsed = Parser::new(&dialect)
            .with_recursion_limit(MAX_SQL_NESTING)
            .try_with_sql(sql)
            .and_then(|mut parser| parser.parse_statements());
        dialect.check().map_err(|error| error.to_string())?;
        parsed
            .map(|parsed| parsed.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_within_many_parentheses_is_found_or_given_up_at_once() {
        for start in [
            "NOT (",
            "CASE (",
            "CAST (",
            "TRY_CAST(",
            "EXISTS (",
            "POSITION(",
            "SUBSTRING(",
            "TRIM(",
            "CEIL(",
            "FLOOR(",
            "OVERLAY(",
            "CONVERT(",
            "CURRENT_DATE(",
            "EXTRACT(",
            "INTERVAL (",
            "MAP (",
            "STRUCT(",
            "ARRAY (",
            "LEFT(",
            "IF(",
            "f(x -> ",
            "(SELECT ",
            "(SELECT 1 FROM (",
            "(1, (CASE ",
            "1 IN (",
            "((",
            "[(",
            "a[(",
            "{'a': (",
        ] {
            for depth in [14, 26, 60] {
                for end in ["1 1 1", "1", "", "1 FROM FROM"] {
                    for close in ["", ")"] {
                        let close = close.repeat(depth);
                        let sql = format!("SELECT {}{end}{close}", start.repeat(depth));
                        let begin = Instant::now();
                        let _ = parse(&sql);
                        let took = begin.elapsed();
                        assert!(took < Duration::from_secs(1), "{took:?}: {sql}");
                    }
                }
            }
        }
        let sql = format!("SELECT {}1 1 1", "NOT (".repeat(25));
        let message = parse(&sql).unwrap_err();
        assert!(message.contains("ways of reading it"), "{message}");
    }

    #[test]
    fn what_is_right_is_read_far_fewer_times_than_allowed() {
        let case = "CASE WHEN (a = 1) THEN coalesce(nullif(trim(b), ''), 'x') ELSE NOT (c) END";
        for sql in [
            format!("SELECT {}", vec![case; 2_000].join(", ")),
            format!("SELECT {}1{}", "NOT (".repeat(25), ")".repeat(25)),
            format!("SELECT {}", vec!["f(g(h(x)), y => 1)"; 5_000].join(", ")),
            format!(
                "VALUES {}",
                vec!["(1, -2, DATE '2026-01-01')"; 20_000].join(", ")
            ),
            format!("SELECT 1 IN ({})", vec!["1"; 200_000].join(", ")),
            format!("SELECT 1 FROM {}t{}", "(".repeat(25), ")".repeat(25)),
            format!(
                "SELECT 1 FROM {}",
                vec!["(SELECT a FROM ((b JOIN c USING (d))))"; 50].join(", ")
            ),
        ] {
            let dialect = SqlDialect::new(&sql);
            let parsed = Parser::new(&dialect)
                .with_recursion_limit(MAX_SQL_NESTING)
                .try_with_sql(&sql)
                .and_then(|mut parser| parser.parse_statements());
            let shown: String = sql.chars().take(80).collect();
            assert!(parsed.is_ok(), "{shown}: {parsed:?}");
            let read = dialect.read.load(Ordering::Relaxed);
            eprintln!("{read} of {}: {shown}", dialect.limit);
            assert!(
                read < dialect.limit / 2,
                "{shown}: {read} of {}",
                dialect.limit
            );
        }
    }

    #[test]
    fn it_reads_what_the_generic_dialect_reads() {
        for sql in [
            "SELECT a::INT, b->>'x', {'x': 1}, MAP {'a': 1}, [1, 2][1], x ~ 'y', @v, #t, `q` FROM t",
            "FROM t |> WHERE a > 1 |> SELECT b",
            "SELECT * EXCEPT (a) REPLACE (b AS c) RENAME (d AS e) FROM t",
            "SELECT * EXCLUDE (a), f(x := 1, y => 2) FROM a LEFT JOIN b JOIN c ON 1 = 1 ON 2 = 2",
            "SELECT EXTRACT('year' FROM d), EXTRACT(week, d), U&'\\0041', E'\\n', q'[x]', 1 FROM t LIMIT 1, 2",
            "SELECT sum(x) FILTER (WHERE a) OVER w FROM t WINDOW w AS (ORDER BY b), w2 AS w",
            "SELECT a, FROM t GROUP BY ALL WITH ROLLUP",
            "SELECT x -> x + 1, f((a, b) -> a), TRY_CONVERT(INT, a) FROM t PREWHERE a FORMAT JSON",
            "SELECT -- comment\n 1 /* a /* b */ c */",
            "SELECT MATCH (a) AGAINST ('x'), a ! FROM t LIMIT 1 BY a SETTINGS b = 1",
        ] {
            let generic = Parser::parse_sql(&GenericDialect {}, sql);
            let dialect = SqlDialect::new(sql);
            assert_eq!(Parser::parse_sql(&dialect, sql), generic, "{sql}");
        }
    }
}
