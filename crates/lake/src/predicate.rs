//! DataFusion filters as Iceberg predicates, for skipping files, row groups and rows.
//!
//! DataFusion filters again what a scan returns, so a predicate may let rows through that the
//! filter drops, never the reverse. Whatever is not certainly translated right is left out:
//!
//! - literals of another type than the column's (DataFusion has cast what it could by then);
//! - columns that ever had another type: Iceberg's row filter casts the literal down to the type
//!   in an old file, and what does not fit there would match nothing;
//! - `>`, `>=`, `<>` on floating point columns, and `NOT` of anything on them: DataFusion sorts
//!   NaN above every number, and Iceberg's bounds do not include it.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator};
use iceberg::expr::{Predicate, Reference};
use iceberg::spec::{Datum, NestedField, PrimitiveType, Schema, TableMetadata};

/// Longest `IN` list that is worth comparing with every file's bounds.
const MAX_IN_LIST: usize = 200;

/// Translates filters on the columns of a table.
#[derive(Debug)]
pub(crate) struct Translator<'a> {
    metadata: &'a TableMetadata,
    schema: &'a Schema,
    snapshot_schema: &'a Schema,
}

impl<'a> Translator<'a> {
    /// The filters speak of the columns of `schema`, the predicates of those of
    /// `snapshot_schema`, which may lack some or have them under another name.
    pub(crate) fn new(
        metadata: &'a TableMetadata,
        schema: &'a Schema,
        snapshot_schema: &'a Schema,
    ) -> Self {
        Self {
            metadata,
            schema,
            snapshot_schema,
        }
    }

    /// A predicate that holds for every row for which all of `filters` hold.
    pub(crate) fn conjunction<'e>(
        &self,
        filters: impl IntoIterator<Item = &'e Expr>,
    ) -> Option<Predicate> {
        let translated = filters
            .into_iter()
            .filter_map(|filter| self.implied(filter));
        translated.reduce(Predicate::and)
    }

    /// A predicate that holds for every row for which `filter` holds.
    pub(crate) fn implied(&self, filter: &Expr) -> Option<Predicate> {
        match filter {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And,
                right,
            }) => match (self.implied(left), self.implied(right)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            },
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Or,
                right,
            }) => Some(self.implied(left)?.or(self.implied(right)?)),
            _ => self.exact(filter),
        }
    }

    /// A predicate that holds for exactly the rows for which `filter` holds, and whose negation
    /// holds for exactly those for which `filter` is false.
    fn exact(&self, filter: &Expr) -> Option<Predicate> {
        match filter {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And,
                right,
            }) => Some(self.exact(left)?.and(self.exact(right)?)),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Or,
                right,
            }) => Some(self.exact(left)?.or(self.exact(right)?)),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(left, *op, right),
            Expr::Not(inner) => self.negation(inner),
            Expr::IsNull(inner) => Some(self.nullable(inner)?.is_null()),
            Expr::IsNotNull(inner) => Some(self.nullable(inner)?.is_not_null()),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.prefix(like),
            Expr::Column(_) => {
                let (field, ty) = self.column(filter)?;
                let is_boolean = *ty == PrimitiveType::Boolean;
                is_boolean.then(|| reference(field).equal_to(Datum::bool(true)))
            }
            _ => None,
        }
    }

    fn negation(&self, inner: &Expr) -> Option<Predicate> {
        let floats = inner
            .column_refs()
            .into_iter()
            .any(|column| self.is_float(column));
        if floats {
            return None;
        }
        Some(self.exact(inner)?.negate())
    }

    fn comparison(&self, left: &Expr, op: Operator, right: &Expr) -> Option<Predicate> {
        let (column, op, literal) = match (left, right) {
            (_, Expr::Literal(literal, _)) => (left, op, literal),
            (Expr::Literal(literal, _), _) => (right, op.swap()?, literal),
            _ => return None,
        };
        let (field, ty) = self.column(column)?;
        let datum = datum(ty, literal)?;
        let reference = reference(field);
        match op {
            Operator::Eq => Some(reference.equal_to(datum)),
            Operator::Lt => Some(reference.less_than(datum)),
            Operator::LtEq => Some(reference.less_than_or_equal_to(datum)),
            _ if is_floating(ty) => None,
            Operator::NotEq => Some(reference.not_equal_to(datum)),
            Operator::Gt => Some(reference.greater_than(datum)),
            Operator::GtEq => Some(reference.greater_than_or_equal_to(datum)),
            _ => None,
        }
    }

    fn between(&self, between: &Between) -> Option<Predicate> {
        let low = self.comparison(&between.expr, Operator::GtEq, &between.low)?;
        let high = self.comparison(&between.expr, Operator::LtEq, &between.high)?;
        let inside = low.and(high);
        Some(if between.negated {
            inside.negate()
        } else {
            inside
        })
    }

    fn in_list(&self, list: &InList) -> Option<Predicate> {
        let (field, ty) = self.column(&list.expr)?;
        if list.list.len() > MAX_IN_LIST || (list.negated && is_floating(ty)) {
            return None;
        }
        let literal = |item: &Expr| match item {
            Expr::Literal(literal, _) => datum(ty, literal),
            _ => None,
        };
        let data: Vec<Datum> = list.list.iter().map(literal).collect::<Option<_>>()?;
        let reference = reference(field);
        Some(if list.negated {
            reference.is_not_in(data)
        } else {
            reference.is_in(data)
        })
    }

    /// `LIKE 'prefix%'` without further wildcards.
    fn prefix(&self, like: &Like) -> Option<Predicate> {
        let (field, ty) = self.column(&like.expr)?;
        let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
            return None;
        };
        let prefix = pattern.try_as_str()??.strip_suffix('%')?;
        let plain = !prefix.is_empty() && !prefix.contains(['%', '_', '\\']);
        let simple = !like.negated && !like.case_insensitive && like.escape_char.is_none();
        let usable = plain && simple && *ty == PrimitiveType::String;
        usable.then(|| reference(field).starts_with(Datum::string(prefix)))
    }

    fn nullable(&self, expr: &Expr) -> Option<Reference> {
        self.column(expr).map(|(field, _)| reference(field))
    }

    /// A top-level column of a primitive type that it always had, as the snapshot knows it.
    fn column(&self, expr: &Expr) -> Option<(&'a NestedField, &'a PrimitiveType)> {
        let Expr::Column(Column { name, .. }) = expr else {
            return None;
        };
        let id = self.schema.as_struct().field_by_name(name)?.id;
        let field = self.snapshot_schema.as_struct().field_by_id(id)?;
        let ty = field.field_type.as_primitive_type()?;
        let same = |schema: &iceberg::spec::SchemaRef| {
            schema
                .field_by_id(id)
                .is_none_or(|old| old.field_type == field.field_type)
        };
        // Iceberg resolves a name with dots as a path.
        let unambiguous = self.snapshot_schema.field_id_by_name(&field.name) == Some(id);
        (unambiguous && self.metadata.schemas_iter().all(same)).then_some((field.as_ref(), ty))
    }

    fn is_float(&self, column: &Column) -> bool {
        let field = self.schema.as_struct().field_by_name(&column.name);
        let ty = field.and_then(|field| field.field_type.as_primitive_type());
        ty.is_some_and(is_floating)
    }
}

fn reference(field: &NestedField) -> Reference {
    Reference::new(&field.name)
}

fn is_floating(ty: &PrimitiveType) -> bool {
    matches!(ty, PrimitiveType::Float | PrimitiveType::Double)
}

/// The literal as a value of exactly the column's type.
fn datum(ty: &PrimitiveType, literal: &ScalarValue) -> Option<Datum> {
    use PrimitiveType as P;
    use ScalarValue as S;
    Some(match (ty, literal) {
        (P::Boolean, S::Boolean(Some(value))) => Datum::bool(*value),
        (P::Int, S::Int32(Some(value))) => Datum::int(*value),
        (P::Long, S::Int64(Some(value))) => Datum::long(*value),
        (P::Float, S::Float32(Some(value))) if !value.is_nan() => Datum::float(*value),
        (P::Double, S::Float64(Some(value))) if !value.is_nan() => Datum::double(*value),
        (P::Date, S::Date32(Some(days))) => Datum::date(*days),
        (P::Timestamp, S::TimestampMicrosecond(Some(value), None)) => {
            Datum::timestamp_micros(*value)
        }
        (P::Timestamptz, S::TimestampMicrosecond(Some(value), Some(_))) => {
            Datum::timestamptz_micros(*value)
        }
        (
            P::String,
            S::Utf8(Some(value)) | S::LargeUtf8(Some(value)) | S::Utf8View(Some(value)),
        ) => Datum::string(value),
        (P::Decimal { precision, scale }, S::Decimal128(Some(value), digits, places))
            if u32::from(*digits) == *precision && u32::try_from(*places) == Ok(*scale) =>
        {
            Datum::try_from_bytes(&value.to_be_bytes(), ty.clone()).ok()?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
