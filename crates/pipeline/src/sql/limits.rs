//! How large a statement may be.
//!
//! A planner answers a short text with a lot of work: common table expressions and subqueries are
//! put in wherever they are named, conditions are moved down through the columns that they are
//! made of, and several of its passes take quadratic or cubic time. None of that can be stopped
//! once it has begun. So each of these limits bounds one way of making planning slow, with ample
//! room for what people write.

use rat_types::Kind;

/// Nesting of expressions and subqueries of one statement.
pub const MAX_SQL_NESTING: usize = 64;
/// Operators, joins and set operations, as written.
pub(super) const MAX_SQL_OPERATORS: u64 = 2_000;
/// Operators that follow each other in one expression. Such a chain is a tree as deep as it is
/// long, which is planned in quadratic time and walked recursively: without a bound a short text
/// could use up a thread's stack and with it the process.
pub(super) const MAX_SQL_CHAIN: u64 = 1_000;
/// Common table expressions, as written.
pub(super) const MAX_SQL_COMMON_TABLES: u64 = 100;
/// Tables and subqueries of one SELECT; joins are put in order in cubic time.
pub(super) const MAX_SQL_JOINED: u64 = 100;
/// Tables after common table expressions are put in wherever they are named.
pub(super) const MAX_SQL_TABLES: u64 = 1_000;
/// Common table expressions and subqueries that are made of each other.
pub(super) const MAX_SQL_LEVELS: u64 = 200;
/// Names, functions and operators after the same, and after conditions are moved down.
pub(super) const MAX_SQL_EXPRESSIONS: u64 = 20_000;
/// Constants after the same.
pub(super) const MAX_SQL_CONSTANTS: u64 = 1_000_000;
/// Columns of one SELECT.
pub(super) const MAX_SQL_COLUMNS: u64 = 5_000;
/// Columns of all SELECTs and joins together.
pub(super) const MAX_SQL_ALL_COLUMNS: u64 = 200_000;
/// Calls of functions of one SELECT; aggregates are compared with each other.
pub(super) const MAX_SQL_CALLS: u64 = 2_500;
/// Different windows of one SELECT.
pub(super) const MAX_SQL_WINDOWS: u64 = 200;

const AS_TABLE: &str =
    "write long lists of conditions as IN (…) or join a table that has them as rows";
const IN_STEPS: &str = "let another pipeline make a part of it a table";

/// A statement that would take too long, or too much memory, to plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the statement has {count} {what}, at most {limit} are allowed; {hint}")]
pub struct TooComplex {
    what: &'static str,
    count: u64,
    limit: u64,
    hint: &'static str,
}

impl TooComplex {
    /// Always the caller's mistake.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }

    /// Stable code.
    pub fn reason(&self) -> &'static str {
        "SQL_TOO_COMPLEX"
    }
}

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// With the limit.
    Readings(u64),
    Operators,
    Chain,
    CommonTables,
    Joined,
    Tables,
    Levels,
    Expressions,
    Growth,
    Constants,
    Columns,
    AllColumns,
    Calls,
    Windows,
}

impl Counted {
    /// Refuses a count above the limit.
    pub(super) fn check(self, count: u64) -> Result<(), TooComplex> {
        let (what, limit, hint) = self.limit();
        if count <= limit {
            return Ok(());
        }
        Err(TooComplex {
            what,
            count,
            limit,
            hint,
        })
    }

    fn limit(self) -> (&'static str, u64, &'static str) {
        match self {
            Self::Readings(limit) => (
                "ways of reading it, because of a mistake within nested parentheses",
                limit,
                "look for it in a part of the statement",
            ),
            Self::Operators => ("operators and joins", MAX_SQL_OPERATORS, AS_TABLE),
            Self::Chain => (
                "operators in a row in one expression",
                MAX_SQL_CHAIN,
                AS_TABLE,
            ),
            Self::CommonTables => (
                "common table expressions (WITH)",
                MAX_SQL_COMMON_TABLES,
                IN_STEPS,
            ),
            Self::Joined => (
                "tables and subqueries in one SELECT",
                MAX_SQL_JOINED,
                IN_STEPS,
            ),
            Self::Tables => (
                "tables, each counted as often as it is read through WITH and subqueries",
                MAX_SQL_TABLES,
                IN_STEPS,
            ),
            Self::Levels => (
                "levels of common table expressions and subqueries that read each other",
                MAX_SQL_LEVELS,
                IN_STEPS,
            ),
            Self::Expressions => (
                "names, functions and operators, each counted as often as it is read through \
                 WITH and subqueries",
                MAX_SQL_EXPRESSIONS,
                IN_STEPS,
            ),
            Self::Growth => (
                "names, functions and operators in a column that is made of columns that are \
                 made of others",
                MAX_SQL_EXPRESSIONS,
                IN_STEPS,
            ),
            Self::Constants => (
                "constants, each counted as often as it is read through WITH and subqueries",
                MAX_SQL_CONSTANTS,
                "read them from a landing file",
            ),
            Self::Columns => (
                "columns in one SELECT",
                MAX_SQL_COLUMNS,
                "select only those that are needed",
            ),
            Self::AllColumns => (
                "columns in all its SELECTs and joins together",
                MAX_SQL_ALL_COLUMNS,
                "select only those that are needed",
            ),
            Self::Calls => ("calls of functions in one SELECT", MAX_SQL_CALLS, IN_STEPS),
            Self::Windows => (
                "different windows (OVER) in one SELECT",
                MAX_SQL_WINDOWS,
                IN_STEPS,
            ),
        }
    }
}
