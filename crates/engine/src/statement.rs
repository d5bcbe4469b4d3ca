//! From SQL text to one query whose tables are known.
//!
//! The text is parsed, never searched: what a statement does is decided on its syntax tree and
//! again on its logical plan, so no way of writing it can hide anything.

mod numbers;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::TableReference;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, Ident, ObjectName, Query, SetExpr, Statement as SqlStatement, TableFactor,
    VisitMut, VisitorMut,
};
use rat_pipeline::{MAX_SQL_NESTING, SqlDialect, check_sql_text, check_sql_tree};
use rat_types::NamespaceName;

use crate::Error;
use crate::landing::Call;

/// Bytes of SQL; a template may render to no more.
const MAX_SQL_BYTES: usize = 1_000_000;
/// Table functions that compute their rows and read nothing.
const HARMLESS_FUNCTIONS: [&str; 2] = ["generate_series", "range"];

/// A parsed statement.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The statement, calls of file functions replaced by the names in `calls`.
    pub(crate) statement: Statement,
    /// What it calls file functions for, with the table name that stands for each call.
    pub(crate) calls: Vec<(String, Call)>,
    /// Tables that it names, without its own common table expressions.
    pub(crate) tables: Vec<TableReference>,
}

/// What may be done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its rows become a table or a test's verdict: file functions allowed.
    Pipeline,
    /// Its rows go to a person: EXPLAIN and DESCRIBE allowed, file functions not.
    Query,
}

impl Purpose {
    fn refuse(self, statement: impl Into<String>) -> Error {
        let allowed = match self {
            Self::Pipeline => "SELECT, WITH or VALUES",
            Self::Query => "SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW TABLES",
        };
        Error::NotAQuery {
            statement: statement.into(),
            allowed,
        }
    }
}

/// Whose tables a statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShowTables {
    /// `SHOW TABLES`
    All,
    /// `SHOW TABLES FROM namespace`
    Of(NamespaceName),
}

/// Whether `sql` asks for the names of the tables. Anything that qualifies the question in another
/// way is left to [`parse`], which refuses it.
pub(crate) fn show_tables(sql: &str) -> Option<ShowTables> {
    let words: Vec<&str> = sql
        .trim()
        .trim_end_matches(';')
        .split_whitespace()
        .collect();
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    match words.as_slice() {
        [show, tables] if is(show, "show") && is(tables, "tables") => Some(ShowTables::All),
        [show, tables, from, namespace]
            if is(show, "show") && is(tables, "tables") && (is(from, "from") || is(from, "in")) =>
        {
            let name = namespace.trim_matches('"').parse().ok()?;
            Some(ShowTables::Of(name))
        }
        _ => None,
    }
}

/// Parses exactly one query.
pub(crate) fn parse(sql: &str, purpose: Purpose) -> Result<Parsed, Error> {
    if sql.len() > MAX_SQL_BYTES {
        let length = sql.len();
        return Err(Error::sql(format!(
            "the statement has {length} bytes, at most {MAX_SQL_BYTES} are allowed"
        )));
    }
    check_sql_text(sql)?;
    let dialect = SqlDialect::new(sql);
    let parsed = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .with_recursion_limit(MAX_SQL_NESTING)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    dialect.check()?;
    let mut statements = parsed?;
    let Some(mut statement) = statements.pop_front() else {
        return Err(Error::sql("there is no statement"));
    };
    if !statements.is_empty() {
        let count = statements.len() + 1;
        return Err(Error::sql(format!(
            "there are {count} statements, write exactly one"
        )));
    }
    check_size(&statement, &|_| None)?;
    let mut visitor = FunctionVisitor {
        purpose,
        calls: Vec::new(),
        harmless: BTreeSet::new(),
    };
    let query = query_of(&mut statement, purpose)?;
    if let ControlFlow::Break(error) = query.visit(&mut visitor) {
        return Err(*error);
    }
    let FunctionVisitor {
        calls, harmless, ..
    } = visitor;
    let tables = resolve_table_references(&statement, true)?
        .0
        .into_iter()
        .filter(|table| {
            let bare = table.schema().is_none();
            let stands_for_call = calls.iter().any(|(name, _)| name == table.table());
            !(bare && (stands_for_call || harmless.contains(table.table())))
        })
        .collect();
    Ok(Parsed {
        statement,
        calls,
        tables,
    })
}

/// Refuses a statement that would take too long to plan. `width` is the number of columns of a
/// table, where it is known.
pub(crate) fn check_size(
    statement: &Statement,
    width: &dyn Fn(&ObjectName) -> Option<usize>,
) -> Result<(), Error> {
    match statement {
        Statement::Statement(statement) => Ok(check_sql_tree(statement, width)?),
        Statement::Explain(explain) => check_size(&explain.statement, width),
        // No query, which is said elsewhere.
        _ => Ok(()),
    }
}

/// The query in `statement`, which must be one.
fn query_of(statement: &mut Statement, purpose: Purpose) -> Result<&mut SqlStatement, Error> {
    let refused = purpose.refuse(first_words(&statement.to_string()));
    let (statement, describe) = match (statement, purpose) {
        (Statement::Explain(explain), Purpose::Query) => (explain.statement.as_mut(), false),
        (other, purpose) => (other, purpose == Purpose::Query),
    };
    match statement {
        Statement::Statement(inner) => match **inner {
            SqlStatement::Query(_) => Ok(inner),
            SqlStatement::ExplainTable { .. } if describe => Ok(inner),
            _ => Err(refused),
        },
        _ => Err(refused),
    }
}

fn first_words(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().take(2).collect();
    words.join(" ").chars().take(40).collect()
}

/// Takes calls of file functions out of a statement.
struct FunctionVisitor {
    purpose: Purpose,
    calls: Vec<(String, Call)>,
    harmless: BTreeSet<String>,
}

impl VisitorMut for FunctionVisitor {
    type Break = Box<Error>;

    /// A query may hold another statement: `WITH … INSERT`.
    fn pre_visit_statement(&mut self, statement: &mut SqlStatement) -> ControlFlow<Self::Break> {
        match statement {
            SqlStatement::Query(_) | SqlStatement::ExplainTable { .. } => ControlFlow::Continue(()),
            other => self.refuse(first_words(&other.to_string())),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        numbers::make_seeds_double(query);
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) if select.into.is_some() => {
                    return self.refuse("SELECT … INTO");
                }
                SetExpr::SetOperation { left, right, .. } => bodies.extend([&**left, &**right]),
                // What is nested is visited by itself.
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        numbers::make_double(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let result = match factor {
            TableFactor::Table { name, args, .. } => match args.take() {
                Some(given) => self.table_function(name, &given.args).map(|replaced| {
                    if !replaced {
                        *args = Some(given);
                    }
                }),
                None => Ok(()),
            },
            TableFactor::Function { name, .. } => self.check_lateral(name),
            _ => Ok(()),
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl FunctionVisitor {
    fn refuse(&self, statement: impl Into<String>) -> ControlFlow<Box<Error>> {
        ControlFlow::Break(Box::new(self.purpose.refuse(statement)))
    }

    /// Whether the call was replaced by a table name.
    fn table_function(
        &mut self,
        name: &mut ObjectName,
        args: &[FunctionArg],
    ) -> Result<bool, Error> {
        let function = name.to_string().to_lowercase();
        if HARMLESS_FUNCTIONS.contains(&function.as_str()) {
            self.harmless.insert(function);
            return Ok(false);
        }
        if !Call::FUNCTIONS.contains(&function.as_str()) {
            return Err(unknown_function(&function));
        }
        if self.purpose == Purpose::Query {
            return Err(self.purpose.refuse(format!("a call of {function}()")));
        }
        let call = Call::parse(&function, args)?;
        let table = format!("{function}_{}", self.calls.len() + 1);
        *name = ObjectName::from(vec![Ident::with_quote('"', &table)]);
        self.calls.push((table, call));
        Ok(true)
    }

    fn check_lateral(&mut self, name: &ObjectName) -> Result<(), Error> {
        let function = name.to_string().to_lowercase();
        if Call::FUNCTIONS.contains(&function.as_str()) {
            return Err(Error::sql(format!(
                "{function}() cannot be used with LATERAL"
            )));
        }
        if !HARMLESS_FUNCTIONS.contains(&function.as_str()) {
            return Err(unknown_function(&function));
        }
        self.harmless.insert(function);
        Ok(())
    }
}

fn unknown_function(function: &str) -> Error {
    let known = || Call::FUNCTIONS.into_iter().chain(HARMLESS_FUNCTIONS);
    let hint = rat_pipeline::nearest(function, known())
        .map(|near| format!(", did you mean {near}()?"))
        .unwrap_or_default();
    let shown: String = function.chars().take(80).collect();
    Error::sql(format!("there is no table function {shown}(){hint}"))
}

/// Refuses a plan that does anything but read, however deep the node sits.
pub(crate) fn check_plan(plan: &LogicalPlan, purpose: Purpose) -> Result<(), Error> {
    let mut refused = None;
    let body = match plan {
        LogicalPlan::DescribeTable(_) if purpose == Purpose::Query => return Ok(()),
        LogicalPlan::Explain(explain) if purpose == Purpose::Query => explain.plan.as_ref(),
        LogicalPlan::Analyze(analyze) if purpose == Purpose::Query => analyze.input.as_ref(),
        other => other,
    };
    body.apply_with_subqueries(|node| {
        let statement = match node {
            LogicalPlan::Ddl(ddl) => ddl.name().to_owned(),
            LogicalPlan::Dml(dml) => dml.op.to_string(),
            LogicalPlan::Copy(_) => "COPY".to_owned(),
            LogicalPlan::Statement(statement) => statement.name().to_owned(),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => "EXPLAIN".to_owned(),
            LogicalPlan::DescribeTable(_) => "DESCRIBE".to_owned(),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => return Ok(TreeNodeRecursion::Continue),
        };
        refused = Some(statement);
        Ok(TreeNodeRecursion::Stop)
    })?;
    match refused {
        Some(statement) => Err(purpose.refuse(statement)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
