//! What a statement reads, as far as it matters for how much work planning it is.

use std::collections::HashMap;

use sqlparser::ast::TableAlias;

use super::limits::{Counted, TooComplex};

/// A table, subquery or common table expression, everything that it reads put in.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// Tables at the bottom of it.
    pub(super) tables: u64,
    /// Names, functions and operators in it.
    pub(super) expressions: u64,
    pub(super) constants: u64,
    /// Columns of all that it is made of.
    pub(super) cells: u64,
    /// Subqueries that it is made of, one in the other.
    pub(super) levels: u64,
    /// Places that a condition on it is moved to.
    pub(super) arms: u64,
    /// Number of its columns.
    pub(super) width: u64,
    /// Its columns in order, as far as they are known.
    pub(super) columns: Vec<Column>,
    /// The size of a column of any other name.
    pub(super) rest: Option<u64>,
}

/// A column, and the size of the expression that a condition on it becomes.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// In lower case; two columns whose names differ in nothing else count as the larger one.
    pub(super) name: String,
    pub(super) size: u64,
}

impl Relation {
    /// A table with `width` columns.
    pub(super) fn table(width: u64) -> Self {
        Self {
            tables: 1,
            expressions: 0,
            constants: 0,
            cells: width,
            levels: 1,
            arms: 1,
            width,
            columns: Vec::new(),
            rest: Some(1),
        }
    }

    /// No work and no columns, to which some are added.
    pub(super) fn nothing() -> Self {
        Self {
            tables: 0,
            cells: 0,
            levels: 0,
            width: 0,
            rest: None,
            ..Self::table(0)
        }
    }

    /// Adds a column.
    pub(super) fn column(&mut self, name: &str, size: u64) {
        self.width = self.width.saturating_add(1);
        let name = name.to_lowercase();
        self.columns.push(Column { name, size });
    }

    /// Adds a column with a name that the planner makes up.
    pub(super) fn unnamed(&mut self, size: u64) {
        self.column("", size);
        self.rest = self.rest.max(Some(size));
    }

    /// Refuses what is too large.
    pub(super) fn check(&self) -> Result<(), TooComplex> {
        Counted::Tables.check(self.tables)?;
        Counted::Expressions.check(self.expressions)?;
        Counted::Constants.check(self.constants)?;
        Counted::AllColumns.check(self.cells)?;
        Counted::Levels.check(self.levels)
    }

    /// The size of the largest column.
    pub(super) fn largest(&self) -> u64 {
        let known = self.columns.iter().map(|column| column.size);
        known.chain(self.rest).max().unwrap_or(1)
    }

    /// The same with the columns that an alias lists.
    pub(super) fn named(mut self, alias: Option<&TableAlias>) -> Self {
        let listed = alias.map_or(&[][..], |alias| &alias.columns);
        if !listed.is_empty() {
            let size = self.largest();
            let names = listed.iter().map(|column| column.name.value.to_lowercase());
            self.columns = names.map(|name| Column { name, size }).collect();
            self.rest = Some(size);
        }
        self
    }

    /// Adds the work of `part`.
    pub(super) fn add(&mut self, part: &Self) {
        self.tables = self.tables.saturating_add(part.tables);
        self.expressions = self.expressions.saturating_add(part.expressions);
        self.constants = self.constants.saturating_add(part.constants);
        self.cells = self.cells.saturating_add(part.cells);
        self.levels = self.levels.max(part.levels);
    }

    /// Adds the rows of `arm` to its own.
    pub(super) fn unite(&mut self, arm: &Self) {
        self.add(arm);
        self.arms = self.arms.saturating_add(arm.arms);
        self.cells = self.cells.saturating_add(self.width);
        let rest = arm.rest.unwrap_or(1);
        for (place, column) in self.columns.iter_mut().enumerate() {
            let other = arm.columns.get(place).map_or(rest, |other| other.size);
            column.size = column.size.saturating_add(other);
        }
        if let Some(size) = &mut self.rest {
            *size = size.saturating_add(arm.largest());
        }
    }
}

/// The columns that an expression may name.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    names: HashMap<String, u64>,
    rest: Option<u64>,
    pub(super) arms: u64,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new<'r>(
        sources: impl Iterator<Item = &'r Relation>,
        outer: Option<&'a Scope<'a>>,
    ) -> Self {
        let mut scope = Self {
            names: HashMap::new(),
            rest: None,
            arms: 1,
            outer,
        };
        for source in sources {
            scope.arms = scope.arms.max(source.arms);
            scope.rest = scope.rest.max(source.rest);
            scope.add(&source.columns);
        }
        scope
    }

    pub(super) fn add(&mut self, columns: &[Column]) {
        for Column { name, size } in columns {
            let known = self.names.entry(name.clone()).or_default();
            *known = (*known).max(*size);
        }
    }

    /// The size of the largest column.
    pub(super) fn largest(&self) -> u64 {
        let known = self.names.values().copied();
        known.chain(self.rest).max().unwrap_or(1)
    }

    /// The size of what `name` stands for. Where several columns have it, or something that is no
    /// column, the largest counts.
    pub(super) fn size(&self, name: &str) -> u64 {
        let name = name.to_lowercase();
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(size) = here.names.get(&name).copied().or(here.rest) {
                return size.max(1);
            }
            scope = here.outer;
        }
        1
    }
}
