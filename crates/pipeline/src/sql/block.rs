//! One SELECT, of which all parts are added up.

use std::collections::BTreeSet;
use std::rc::Rc;

use sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, JoinOperator, ObjectName, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, Visit, WildcardAdditionalOptions,
};

use super::expanded::{Environment, Measure};
use super::expression::{self, Size};
use super::limits::{Counted, MAX_SQL_COLUMNS, TooComplex};
use super::relation::{Relation, Scope};

/// What a SELECT reads, and the name under which it does.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) relation: Rc<Relation>,
}

/// A SELECT of which all parts are added up.
pub(super) struct Block<'a> {
    measure: &'a Measure<'a>,
    environment: &'a Environment<'a>,
    pub(super) total: Relation,
    joined: u64,
    calls: u64,
    pub(super) windows: BTreeSet<u64>,
}

pub(super) fn relations(sources: &[Source]) -> impl Iterator<Item = &Relation> {
    sources.iter().map(|source| &*source.relation)
}

pub(super) fn condition(join: &JoinOperator) -> Option<&Expr> {
    let constraint = match join {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::AsOf { constraint, .. }
        | JoinOperator::StraightJoin(constraint) => constraint,
        JoinOperator::CrossApply | JoinOperator::OuterApply => return None,
    };
    match constraint {
        JoinConstraint::On(condition) => Some(condition),
        JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => None,
    }
}

impl<'a> Block<'a> {
    pub(super) fn new(measure: &'a Measure<'a>, environment: &'a Environment<'a>) -> Self {
        Self {
            measure,
            environment,
            total: Relation::nothing(),
            joined: 0,
            calls: 0,
            windows: BTreeSet::new(),
        }
    }

    pub(super) fn tables(
        &mut self,
        tables: &TableWithJoins,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<(), TooComplex> {
        self.factor(&tables.relation, sources, outer)?;
        for join in &tables.joins {
            self.factor(&join.relation, sources, outer)?;
        }
        Ok(())
    }

    pub(super) fn factor(
        &mut self,
        factor: &TableFactor,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<(), TooComplex> {
        let measure = self.measure;
        let (relation, alias) = match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                self.nested(table_with_joins, sources, outer)?;
                return Ok(());
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let mut inner = Vec::new();
                self.nested(table_with_joins, &mut inner, outer)?;
                let scope = Scope::new(relations(&inner), outer);
                let mut relation = Relation {
                    arms: scope.arms,
                    ..Relation::nothing()
                };
                wildcard(&mut relation, inner.iter());
                (Rc::new(relation), alias)
            }
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => match self.environment.find(name) {
                Some(known) => (Rc::clone(known), alias),
                None => {
                    let width = (measure.width)(name).unwrap_or(1);
                    (Rc::new(Relation::table(width as u64)), alias)
                }
            },
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => {
                let beside = lateral.then(|| Scope::new(relations(sources), outer));
                let scope = beside.as_ref().or(outer);
                let relation = measure.query(subquery, self.environment, scope)?;
                (Rc::new(relation), alias)
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                let scope = Scope::new(relations(sources), outer);
                self.write(factor, &scope)?;
                let mut relation = Relation::table(1);
                relation.rest = Some(scope.largest());
                (Rc::new(relation), alias)
            }
            // Not supported by the engine, which says so.
            _ => (Rc::new(Relation::table(1)), &None),
        };
        self.read(&relation)?;
        let relation = match alias {
            Some(alias) if !alias.columns.is_empty() => {
                Rc::new(Relation::clone(&relation).named(Some(alias)))
            }
            _ => relation,
        };
        let name = match (alias, factor) {
            (Some(alias), _) => alias.name.value.to_lowercase(),
            (None, TableFactor::Table { name, .. }) => last(name),
            (None, _) => String::new(),
        };
        sources.push(Source { name, relation });
        Ok(())
    }

    fn nested(
        &mut self,
        tables: &TableWithJoins,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<(), TooComplex> {
        let before = sources.len();
        self.tables(tables, sources, outer)?;
        let scope = Scope::new(relations(&sources[before..]), outer);
        for join in &tables.joins {
            if let Some(condition) = condition(&join.join_operator) {
                self.condition(condition, &scope)?;
            }
        }
        Ok(())
    }

    /// Adds a table that is read; joins have the columns of all tables before them.
    pub(super) fn read(&mut self, relation: &Relation) -> Result<(), TooComplex> {
        self.joined += 1;
        Counted::Joined.check(self.joined)?;
        self.total.add(relation);
        self.total.width = self.total.width.saturating_add(relation.width);
        if self.joined > 1 {
            self.total.cells = self.total.cells.saturating_add(self.total.width);
        }
        self.total.check()
    }

    /// What SELECT makes of its sources.
    pub(super) fn output(
        &mut self,
        items: &[SelectItem],
        sources: &[Source],
        scope: &Scope<'_>,
    ) -> Result<Relation, TooComplex> {
        let mut result = Relation::nothing();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let size = self.column(expr, scope)?;
                    match expr {
                        Expr::Identifier(name) => result.column(&name.value, size),
                        Expr::CompoundIdentifier(names) => match names.last() {
                            Some(name) => result.column(&name.value, size),
                            None => result.unnamed(size),
                        },
                        _ => result.unnamed(size),
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let size = self.column(expr, scope)?;
                    result.column(&alias.value, size);
                }
                SelectItem::Wildcard(options) => {
                    wildcard(&mut result, sources.iter());
                    self.replaced(&mut result, options, scope)?;
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let name = match kind {
                        SelectItemQualifiedWildcardKind::ObjectName(name) => last(name),
                        SelectItemQualifiedWildcardKind::Expr(_) => String::new(),
                    };
                    if sources.iter().any(|source| source.name == name) {
                        let named = sources.iter().filter(|source| source.name == name);
                        wildcard(&mut result, named);
                    } else {
                        wildcard(&mut result, sources.iter());
                    }
                    self.replaced(&mut result, options, scope)?;
                }
            }
            Counted::Columns.check(result.width)?;
        }
        Ok(result)
    }

    /// Columns that a wildcard replaces or gives other names.
    fn replaced(
        &mut self,
        result: &mut Relation,
        options: &WildcardAdditionalOptions,
        scope: &Scope<'_>,
    ) -> Result<(), TooComplex> {
        for item in options
            .opt_replace
            .iter()
            .flat_map(|replaced| &replaced.items)
        {
            let size = self.column(&item.expr, scope)?;
            result.column(&item.column_name.value, size);
        }
        if options.opt_rename.is_some() {
            result.rest = result.rest.max(Some(result.largest()));
        }
        Ok(())
    }

    /// The size of a column that SELECT makes.
    fn column(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<u64, TooComplex> {
        let size = expression::size(expr, self.measure, self.environment, scope)?;
        let inlined = size.inlined.max(1);
        Counted::Growth.check(inlined)?;
        self.add(size)?;
        Ok(inlined)
    }

    /// A condition, which is moved down as far as it goes.
    pub(super) fn condition(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<(), TooComplex> {
        let size = expression::size(expr, self.measure, self.environment, scope)?;
        let (own, inlined, constants) = (size.own, size.inlined, size.constants);
        self.add(size)?;
        let more = scope.arms.saturating_sub(1);
        let constants = constants.saturating_mul(more);
        self.total.constants = self.total.constants.saturating_add(constants);
        self.grow(own.saturating_mul(more).saturating_add(inlined), 1)
    }

    /// Grouping sets are groupings of their own, each with all columns.
    pub(super) fn group(
        &mut self,
        group: &GroupByExpr,
        scope: &Scope<'_>,
    ) -> Result<(), TooComplex> {
        let (exprs, modifiers) = match group {
            GroupByExpr::All(modifiers) => (&[][..], modifiers),
            GroupByExpr::Expressions(exprs, modifiers) => (exprs.as_slice(), modifiers),
        };
        let power = |count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            1_u64.checked_shl(count).unwrap_or(u64::MAX)
        };
        let mut sets = match modifiers.is_empty() {
            true => 1,
            false => power(exprs.len()),
        };
        for expr in exprs {
            let count = match expr {
                Expr::Cube(parts) => power(parts.len()),
                Expr::Rollup(parts) => parts.len() as u64 + 1,
                Expr::GroupingSets(parts) => parts.len() as u64,
                _ => 1,
            };
            sets = sets.saturating_mul(count.max(1));
        }
        let size = expression::size(group, self.measure, self.environment, scope)?;
        let own = size.own;
        self.add(size)?;
        self.grow(own, sets.saturating_sub(1))
    }

    /// Expressions that stay where they are.
    pub(super) fn write(
        &mut self,
        exprs: &impl Visit,
        scope: &Scope<'_>,
    ) -> Result<(), TooComplex> {
        let size = expression::size(exprs, self.measure, self.environment, scope)?;
        self.add(size)
    }

    pub(super) fn add(&mut self, size: Size) -> Result<(), TooComplex> {
        let total = &mut self.total;
        total.expressions = total.expressions.saturating_add(size.own);
        total.constants = total.constants.saturating_add(size.constants);
        self.calls = self.calls.saturating_add(size.calls);
        self.windows.extend(size.windows);
        for subquery in &size.subqueries {
            self.read(subquery)?;
        }
        self.total.check()
    }

    pub(super) fn grow(&mut self, expressions: u64, times: u64) -> Result<(), TooComplex> {
        let more = expressions.saturating_mul(times);
        self.total.expressions = self.total.expressions.saturating_add(more);
        self.total.check()
    }

    /// Puts the work into the relation that is the result of it.
    pub(super) fn finish(self, result: &mut Relation) -> Result<(), TooComplex> {
        Counted::Calls.check(self.calls)?;
        Counted::Windows.check(self.windows.len() as u64)?;
        result.add(&self.total);
        result.cells = result.cells.saturating_add(result.width);
        result.check()
    }
}

/// All columns of the sources.
fn wildcard<'s>(result: &mut Relation, sources: impl Iterator<Item = &'s Source>) {
    for Source { relation, .. } in sources {
        result.width = result.width.saturating_add(relation.width);
        result.rest = result.rest.max(relation.rest);
        if result.width <= MAX_SQL_COLUMNS {
            result.columns.extend_from_slice(&relation.columns);
        }
    }
}

fn last(name: &ObjectName) -> String {
    let ident = name.0.last().and_then(|part| part.as_ident());
    ident.map_or_else(String::new, |ident| ident.value.to_lowercase())
}
