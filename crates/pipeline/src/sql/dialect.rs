//! The dialect of SQL, with an end to how often a text is tried to be read.
//!
//! Where something may be read in several ways, the parser tries one after the other, and within
//! each of them again: `NOT (NOT (NOT (…` with a mistake at its end is read twice as often for
//! each level, for hours in all. It cannot be stopped from outside, but it asks its dialect before
//! each expression.
//!
//! It also asks before each operator, which is how `IS DISTINCT FROM` gets the precedence that
//! `IS` has: by itself the parser takes all that follows for its right side, with `AND` and `OR`.

use std::any::TypeId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

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
    /// What is read next is the right side of `IS DISTINCT FROM`.
    begins: AtomicBool,
    /// That right side has just been read, and nothing more belongs to it.
    ends: AtomicBool,
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
            begins: AtomicBool::new(false),
            ends: AtomicBool::new(false),
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

/// Whether the operator that comes next is `IS [NOT] DISTINCT FROM`.
fn is_distinct_from(parser: &Parser<'_>) -> bool {
    let is = |place: usize, keyword: Keyword| match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) => word.keyword == keyword,
        _ => false,
    };
    if !is(0, Keyword::IS) {
        return false;
    }
    let after = 1 + usize::from(is(1, Keyword::NOT));
    is(after, Keyword::DISTINCT) && is(after + 1, Keyword::FROM)
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

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let read = self.read.fetch_add(1, Ordering::Relaxed);
        // From then on every way of reading fails at once.
        if read >= self.limit {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        if !self.begins.swap(false, Ordering::Relaxed) {
            return None;
        }
        let side = parser.parse_subexpr(self.prec_value(Precedence::Is));
        self.ends.store(side.is_ok(), Ordering::Relaxed);
        Some(side)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        _: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        // What the parser does next is to read these words and then the right side.
        self.begins
            .store(is_distinct_from(parser), Ordering::Relaxed);
        None
    }

    fn get_next_precedence(&self, _: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.ends
            .swap(false, Ordering::Relaxed)
            .then(|| Ok(self.prec_unknown()))
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
mod tests;
