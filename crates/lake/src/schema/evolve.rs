//! How a table's schema follows the columns of what is written to it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, SchemaRef, StructType,
    TableMetadata, Type,
};
use rat_types::MergeStrategy;

use super::mapping::{FieldIds, check_names, field_of, fields_of, type_of};
use super::{SchemaError, invalid};

/// The schema that rows are written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolution {
    /// The schema, with the id that the table has for it or will give it.
    pub schema: SchemaRef,
    /// Whether the table does not have the schema yet, so that the commit has to add it.
    pub is_new: bool,
}

/// The schema for writing rows of `incoming` to a table, by strategy:
///
/// - `full_refresh`: the columns are those of `incoming`. A column keeps its id while its type
///   stays or widens; a column of another type is a new column under the old name. Columns that
///   `incoming` does not have are dropped.
/// - `append_only`: the table keeps its columns (those that `incoming` lacks are null in the new
///   rows), may get new ones at the end, and widens types where Iceberg can.
///
/// Types widen from int to long, from float to double, and to decimals of more digits and the
/// same scale. Where the table's type is the wider one, it stays. Names match regardless of case.
///
/// # Errors
/// A column that a table cannot hold, or that does not fit the table's column (`append_only`).
pub fn evolve(
    metadata: &TableMetadata,
    incoming: &ArrowSchema,
    strategy: MergeStrategy,
) -> Result<Evolution, SchemaError> {
    check_names(incoming)?;
    let current = metadata.current_schema();
    let last_id = metadata.last_column_id().max(current.highest_field_id());
    let ids = &mut FieldIds::after(last_id);
    let fields = match strategy {
        MergeStrategy::FullRefresh => replaced(current, incoming, ids)?,
        MergeStrategy::AppendOnly => extended(current, incoming, ids)?,
    };
    if fields == current.as_struct().fields() {
        return Ok(Evolution {
            schema: current.clone(),
            is_new: false,
        });
    }
    register(metadata, current, fields)
}

/// Finds out which id the table has or will have for a schema of these fields, by letting it add
/// the schema the way the catalog will.
fn register(
    metadata: &TableMetadata,
    current: &Schema,
    fields: Vec<NestedFieldRef>,
) -> Result<Evolution, SchemaError> {
    let required: HashSet<i32> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.id)
        .collect();
    let identifiers = current
        .identifier_field_ids()
        .filter(|id| required.contains(id));
    let schema = Schema::builder()
        .with_identifier_field_ids(identifiers)
        .with_fields(fields)
        .build()
        .map_err(invalid)?;
    let known = |schemas: &TableMetadata| {
        let same = |known: &&SchemaRef| {
            known.as_struct() == schema.as_struct()
                && known.identifier_field_ids().collect::<HashSet<_>>()
                    == schema.identifier_field_ids().collect::<HashSet<_>>()
        };
        schemas.schemas_iter().find(same).cloned()
    };
    if let Some(schema) = known(metadata) {
        return Ok(Evolution {
            schema,
            is_new: false,
        });
    }
    let added = metadata
        .clone()
        .into_builder(None)
        .add_schema(schema.clone())
        .and_then(|builder| builder.build())
        .map_err(invalid)?;
    let schema = known(&added.metadata).unwrap_or_else(|| Arc::new(schema.clone()));
    Ok(Evolution {
        schema,
        is_new: true,
    })
}

fn replaced(
    current: &Schema,
    incoming: &ArrowSchema,
    ids: &mut FieldIds,
) -> Result<Vec<NestedFieldRef>, SchemaError> {
    // Refuses what no table can hold, before anything is compared.
    fields_of(incoming.fields(), "", &mut FieldIds::after(0))?;
    let field = |field: &Arc<Field>| {
        let kept = match find(current, field.name()) {
            Some(existing) => widened(existing, field)?.map(|ty| (existing, ty)),
            None => None,
        };
        match kept {
            Some((existing, ty)) => {
                let mut kept = NestedField::optional(existing.id, field.name(), ty);
                kept.doc = existing.doc.clone();
                Ok(kept.into())
            }
            None => {
                let id = ids.next();
                field_of(field, "", id, ids)
            }
        }
    };
    incoming.fields().iter().map(field).collect()
}

fn extended(
    current: &Schema,
    incoming: &ArrowSchema,
    ids: &mut FieldIds,
) -> Result<Vec<NestedFieldRef>, SchemaError> {
    fields_of(incoming.fields(), "", &mut FieldIds::after(0))?;
    let mut fields = Vec::new();
    for existing in current.as_struct().fields() {
        let matching = incoming
            .fields()
            .iter()
            .find(|field| same_name(field, &existing.name));
        let Some(field) = matching else {
            if existing.required {
                return Err(SchemaError::MissingRequired {
                    column: existing.name.clone(),
                });
            }
            fields.push(existing.clone());
            continue;
        };
        let Some(ty) = widened(existing, field)? else {
            return Err(SchemaError::Incompatible {
                column: existing.name.clone(),
                existing: existing.field_type.to_string(),
                incoming: type_of(field.data_type(), field.name())?.to_string(),
            });
        };
        let mut field = existing.as_ref().clone();
        field.field_type = Box::new(ty);
        fields.push(field.into());
    }
    for field in incoming.fields() {
        if find(current, field.name()).is_none() {
            let id = ids.next();
            fields.push(field_of(field, "", id, ids)?);
        }
    }
    Ok(fields)
}

fn find<'a>(schema: &'a Schema, name: &str) -> Option<&'a NestedFieldRef> {
    let fields = schema.as_struct().fields();
    let exact = fields.iter().find(|field| field.name == name);
    let lower = name.to_lowercase();
    exact.or_else(|| {
        fields
            .iter()
            .find(|field| field.name.to_lowercase() == lower)
    })
}

fn same_name(field: &Field, name: &str) -> bool {
    field.name() == name || field.name().to_lowercase() == name.to_lowercase()
}

/// The type that holds both the table's column and `field`; `None` if there is none.
fn widened(existing: &NestedField, field: &Field) -> Result<Option<Type>, SchemaError> {
    let existing = existing.field_type.as_ref();
    // A column of nothing but nulls fits every type.
    if *field.data_type() == DataType::Null {
        return Ok(Some(existing.clone()));
    }
    let incoming = type_of(field.data_type(), field.name())?;
    Ok(match (existing, &incoming) {
        (Type::Primitive(existing), Type::Primitive(incoming)) => {
            widest(existing, incoming).map(Type::Primitive)
        }
        _ => same_shape(existing, &incoming).then(|| existing.clone()),
    })
}

fn widest(existing: &PrimitiveType, incoming: &PrimitiveType) -> Option<PrimitiveType> {
    use PrimitiveType as P;
    match (existing, incoming) {
        (existing, incoming) if existing == incoming => Some(existing.clone()),
        (P::Int | P::Long, P::Int | P::Long) => Some(P::Long),
        (P::Float | P::Double, P::Float | P::Double) => Some(P::Double),
        (
            P::Decimal {
                precision: a,
                scale: s,
            },
            P::Decimal {
                precision: b,
                scale: t,
            },
        ) if s == t => Some(P::Decimal {
            precision: *a.max(b),
            scale: *s,
        }),
        (P::Uuid, P::Fixed(16)) => Some(P::Uuid),
        _ => None,
    }
}

/// Whether two types are the same but for ids, documentation and what is required.
fn same_shape(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Primitive(a), Type::Primitive(b)) => a == b,
        (Type::List(ListType { element_field: a }), Type::List(ListType { element_field: b })) => {
            same_shape(&a.field_type, &b.field_type)
        }
        (
            Type::Map(MapType {
                key_field: a,
                value_field: c,
            }),
            Type::Map(MapType {
                key_field: b,
                value_field: d,
            }),
        ) => same_shape(&a.field_type, &b.field_type) && same_shape(&c.field_type, &d.field_type),
        (Type::Struct(a), Type::Struct(b)) => same_fields(a, b),
        _ => false,
    }
}

fn same_fields(a: &StructType, b: &StructType) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields()
            .iter()
            .zip(b.fields())
            .all(|(a, b)| a.name == b.name && same_shape(&a.field_type, &b.field_type))
}

#[cfg(test)]
mod tests;
