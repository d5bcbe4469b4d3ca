//! The size of expressions.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, UnaryOperator, Visit, Visitor, WindowSpec, WindowType};

use super::expanded::{Environment, Measure};
use super::limits::{Counted, TooComplex};
use super::relation::{Relation, Scope};

/// Whether an expression is a constant, which takes next to no work.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => matches!(**expr, Expr::Value(_)),
        _ => false,
    }
}

/// What a whole statement has, as it is written.
#[derive(Debug, Default)]
pub(super) struct Written {
    common_tables: u64,
    expressions: u64,
    constants: u64,
    depth: u64,
}

impl Visitor for Written {
    type Break = TooComplex;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooComplex> {
        let tables = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        self.common_tables += tables as u64;
        flow(Counted::CommonTables.check(self.common_tables))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<TooComplex> {
        self.depth += 1;
        match is_constant(expr) {
            true => self.constants += 1,
            false => self.expressions += 1,
        }
        let result = Counted::Chain
            .check(self.depth)
            .and_then(|()| Counted::Expressions.check(self.expressions))
            .and_then(|()| Counted::Constants.check(self.constants));
        flow(result)
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<TooComplex> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn flow(result: Result<(), TooComplex>) -> ControlFlow<TooComplex> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// What one or several expressions of a SELECT have.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// Names, functions and operators.
    pub(super) own: u64,
    pub(super) constants: u64,
    /// The same with the expressions that the named columns stand for.
    pub(super) inlined: u64,
    pub(super) calls: u64,
    pub(super) windows: BTreeSet<u64>,
    pub(super) subqueries: Vec<Relation>,
}

/// Measures an expression, or anything that has some.
pub(super) fn size(
    measured: &impl Visit,
    measure: &Measure<'_>,
    environment: &Environment<'_>,
    scope: &Scope<'_>,
) -> Result<Size, TooComplex> {
    let mut meter = Meter {
        measure,
        environment,
        scope,
        within: 0,
        size: Size::default(),
    };
    match measured.visit(&mut meter) {
        ControlFlow::Continue(()) => Ok(meter.size),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Meter<'a> {
    measure: &'a Measure<'a>,
    environment: &'a Environment<'a>,
    scope: &'a Scope<'a>,
    /// Subqueries around what is visited, which are measured by themselves.
    within: u64,
    size: Size,
}

impl Visitor for Meter<'_> {
    type Break = TooComplex;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooComplex> {
        self.within += 1;
        if self.within > 1 {
            return ControlFlow::Continue(());
        }
        match self
            .measure
            .query(query, self.environment, Some(self.scope))
        {
            Ok(relation) => {
                let inlined = relation.expressions.saturating_add(relation.largest());
                self.size.inlined = self.size.inlined.saturating_add(inlined);
                self.size.subqueries.push(relation);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<TooComplex> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<TooComplex> {
        if self.within > 0 {
            return ControlFlow::Continue(());
        }
        if is_constant(expr) {
            self.size.constants += 1;
            return ControlFlow::Continue(());
        }
        self.size.own += 1;
        let stands_for = match expr {
            Expr::Identifier(name) => self.scope.size(&name.value),
            // Any of its parts may be the column, the others being a table or a field.
            Expr::CompoundIdentifier(names) => {
                let sizes = names.iter().map(|name| self.scope.size(&name.value));
                sizes.max().unwrap_or(1)
            }
            Expr::Function(function) => {
                self.size.calls += 1;
                if let Some(WindowType::WindowSpec(spec)) = &function.over {
                    self.size.windows.insert(window(spec));
                }
                1
            }
            _ => 1,
        };
        self.size.inlined = self.size.inlined.saturating_add(stands_for);
        ControlFlow::Continue(())
    }
}

/// What tells windows apart: by what their rows are divided and sorted.
pub(super) fn window(spec: &WindowSpec) -> u64 {
    let mut print = Print::default();
    let _: ControlFlow<()> = spec.partition_by.visit(&mut print);
    "ORDER BY".hash(&mut print.hasher);
    let _: ControlFlow<()> = spec.order_by.visit(&mut print);
    print.hasher.finish()
}

/// A fingerprint of expressions. Hashing the tree itself would be a recursion as deep as it is.
#[derive(Default)]
struct Print {
    hasher: DefaultHasher,
}

impl Visitor for Print {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        std::mem::discriminant(expr).hash(&mut self.hasher);
        match expr {
            Expr::Identifier(name) => name.value.to_lowercase().hash(&mut self.hasher),
            Expr::CompoundIdentifier(names) => {
                for name in names {
                    name.value.to_lowercase().hash(&mut self.hasher);
                }
            }
            Expr::Value(value) => value.value.hash(&mut self.hasher),
            Expr::Function(function) => function.name.hash(&mut self.hasher),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        ")".hash(&mut self.hasher);
        ControlFlow::Continue(())
    }
}
