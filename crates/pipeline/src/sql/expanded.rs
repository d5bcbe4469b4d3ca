//! How large a statement becomes when it is planned.
//!
//! Common table expressions and subqueries are planned wherever they are named, so their sizes add
//! up along the references, which are counted here without being followed again and again. Where
//! it is not clear what a name means, the largest thing that it may mean counts.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::{
    NamedWindowExpr, ObjectName, PipeOperator, Query, Select, SetExpr, Statement, Visit,
};

use super::block::{Block, Source, condition, relations};
use super::expression::{self, Written};
use super::limits::TooComplex;
use super::relation::{Relation, Scope};

/// Refuses a statement that would take too long, or too much memory, to plan. `width` is the
/// number of columns of a table, where it is known.
///
/// # Errors
/// [`TooComplex`].
pub fn check_sql_tree(
    statement: &Statement,
    width: &dyn Fn(&ObjectName) -> Option<usize>,
) -> Result<(), TooComplex> {
    if let ControlFlow::Break(error) = statement.visit(&mut Written::default()) {
        return Err(error);
    }
    let Statement::Query(query) = statement else {
        return Ok(());
    };
    let nothing = Environment::default();
    Measure { width }.query(query, &nothing, None).map(drop)
}

/// The common table expressions that can be named.
#[derive(Default)]
pub(super) struct Environment<'a> {
    tables: HashMap<String, Rc<Relation>>,
    outer: Option<&'a Environment<'a>>,
}

impl Environment<'_> {
    pub(super) fn find(&self, name: &ObjectName) -> Option<&Rc<Relation>> {
        let [part] = name.0.as_slice() else {
            return None;
        };
        let name = part.as_ident()?.value.to_lowercase();
        let mut environment = Some(self);
        while let Some(here) = environment {
            if let Some(found) = here.tables.get(&name) {
                return Some(found);
            }
            environment = here.outer;
        }
        None
    }
}

pub(super) struct Measure<'a> {
    pub(super) width: &'a dyn Fn(&ObjectName) -> Option<usize>,
}

impl Measure<'_> {
    pub(super) fn query(
        &self,
        query: &Query,
        outer: &Environment<'_>,
        scope: Option<&Scope<'_>>,
    ) -> Result<Relation, TooComplex> {
        let mut environment = Environment {
            tables: HashMap::new(),
            outer: Some(outer),
        };
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = table.alias.name.value.to_lowercase();
            if query.with.as_ref().is_some_and(|with| with.recursive) {
                // Within itself it is the rows of the step before.
                let before = Rc::new(Relation::table(1));
                environment.tables.insert(name.clone(), before);
            }
            let relation = self.query(&table.query, &environment, scope)?;
            let relation = relation.named(Some(&table.alias));
            environment.tables.insert(name, Rc::new(relation));
        }
        let mut relation = self.body(&query.body, &environment, scope)?;
        let columns = Scope::new(std::iter::once(&relation), scope);
        let mut block = Block::new(self, &environment);
        block.write(&query.order_by, &columns)?;
        block.finish(&mut relation)?;
        for operator in &query.pipe_operators {
            relation = self.pipe(operator, relation, &environment, scope)?;
        }
        relation.check()?;
        Ok(relation)
    }

    /// Set operations are a tree as deep as there are many, which is not walked recursively.
    fn body(
        &self,
        body: &SetExpr,
        environment: &Environment<'_>,
        scope: Option<&Scope<'_>>,
    ) -> Result<Relation, TooComplex> {
        let (mut open, mut united): (Vec<&SetExpr>, Option<Relation>) = (vec![body], None);
        while let Some(next) = open.pop() {
            let arm = match next {
                SetExpr::SetOperation { left, right, .. } => {
                    open.extend([&**right, &**left]);
                    continue;
                }
                SetExpr::Select(select) => self.select(select, environment, scope)?,
                SetExpr::Query(query) => self.query(query, environment, scope)?,
                SetExpr::Values(values) => {
                    let mut block = Block::new(self, environment);
                    block.write(&values.rows, &Scope::new(std::iter::empty(), scope))?;
                    let width = values.rows.first().map_or(0, Vec::len);
                    let mut relation = Relation::table(width as u64);
                    block.finish(&mut relation)?;
                    relation
                }
                // No query, which is found out elsewhere.
                _ => Relation::table(1),
            };
            match &mut united {
                None => united = Some(arm),
                Some(united) => united.unite(&arm),
            }
            if let Some(united) = &united {
                united.check()?;
            }
        }
        Ok(united.unwrap_or_else(|| Relation::table(1)))
    }

    fn select(
        &self,
        select: &Select,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Relation, TooComplex> {
        let mut block = Block::new(self, environment);
        let mut sources = Vec::new();
        for tables in &select.from {
            block.tables(tables, &mut sources, outer)?;
        }
        if sources.is_empty() {
            block.total.tables = 1;
        }
        let mut scope = Scope::new(relations(&sources), outer);
        let mut result = block.output(&select.projection, &sources, &scope)?;
        result.arms = scope.arms;
        // Some clauses may name what SELECT has named.
        scope.add(&result.columns);
        for joins in select.from.iter().flat_map(|tables| &tables.joins) {
            if let Some(condition) = condition(&joins.join_operator) {
                block.condition(condition, &scope)?;
            }
        }
        let conditions = [&select.prewhere, &select.selection];
        let late = [&select.having, &select.qualify];
        for condition in conditions.into_iter().chain(late).flatten() {
            block.condition(condition, &scope)?;
        }
        block.group(&select.group_by, &scope)?;
        for named in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &named.1 {
                block.windows.insert(expression::window(spec));
                block.write(spec, &scope)?;
            }
        }
        block.write(&select.distinct, &scope)?;
        block.write(&select.top, &scope)?;
        block.write(&select.sort_by, &scope)?;
        block.finish(&mut result)?;
        result.levels = result.levels.saturating_add(1);
        Ok(result)
    }

    /// The result of `|> …`. Its columns are not told apart.
    fn pipe(
        &self,
        operator: &PipeOperator,
        input: Relation,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Relation, TooComplex> {
        let mut block = Block::new(self, environment);
        let mut sources = vec![Source {
            name: String::new(),
            relation: Rc::new(input),
        }];
        if let PipeOperator::Join(join) = operator {
            block.factor(&join.relation, &mut sources, outer)?;
        }
        let scope = Scope::new(relations(&sources), outer);
        let size = expression::size(operator, self, environment, &scope)?;
        let width = sources.iter().fold(0_u64, |width, source| {
            width.saturating_add(source.relation.width)
        });
        let mut result = Relation {
            width: width.saturating_add(size.own),
            arms: scope.arms.saturating_add(size.subqueries.len() as u64),
            rest: Some(size.inlined),
            ..Relation::nothing()
        };
        for source in &sources {
            result.rest = result.rest.max(Some(source.relation.largest()));
            block.read(&source.relation)?;
        }
        let inlined = size.inlined;
        let arms = scope.arms;
        block.add(size)?;
        block.grow(inlined, arms)?;
        block.finish(&mut result)?;
        result.levels = result.levels.saturating_add(1);
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
