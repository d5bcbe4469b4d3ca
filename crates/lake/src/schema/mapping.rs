//! From Arrow types to Iceberg types.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema};
use iceberg::metadata_columns::is_metadata_column_name;
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};

use super::{SchemaError, invalid};

/// Digits of the longest decimal.
const MAX_PRECISION: u8 = 38;

/// The schema of a new table for rows of `incoming`, with ids from 1.
///
/// # Errors
/// A column that a table cannot hold, or two of the same name.
pub fn table_schema(incoming: &ArrowSchema) -> Result<Schema, SchemaError> {
    check_names(incoming)?;
    let mut ids = FieldIds::after(0);
    let fields = fields_of(incoming.fields(), "", &mut ids)?;
    Schema::builder()
        .with_fields(fields)
        .build()
        .map_err(invalid)
}

/// Checks that `incoming` has columns, and that their names can stand in one table.
pub(super) fn check_names(incoming: &ArrowSchema) -> Result<(), SchemaError> {
    if incoming.fields().is_empty() {
        return Err(SchemaError::NoColumns);
    }
    for field in incoming.fields() {
        if is_metadata_column_name(field.name()) {
            return Err(SchemaError::ReservedName {
                column: field.name().clone(),
            });
        }
    }
    Ok(())
}

/// Hands out field ids that were never used in the table.
#[derive(Debug)]
pub(super) struct FieldIds {
    last: i32,
}

impl FieldIds {
    pub(super) fn after(last: i32) -> Self {
        Self { last }
    }

    pub(super) fn next(&mut self) -> i32 {
        self.last += 1;
        self.last
    }
}

/// The Iceberg fields for `fields` below `path`: the ids of one level come first, then those of
/// what is nested in it.
pub(super) fn fields_of(
    fields: &Fields,
    path: &str,
    ids: &mut FieldIds,
) -> Result<Vec<NestedFieldRef>, SchemaError> {
    check_distinct(fields, path)?;
    let own: Vec<i32> = fields.iter().map(|_| ids.next()).collect();
    fields
        .iter()
        .zip(own)
        .map(|(field, id)| field_of(field, path, id, ids))
        .collect()
}

/// The Iceberg field `id` for `field` below `path`.
pub(super) fn field_of(
    field: &Field,
    path: &str,
    id: i32,
    ids: &mut FieldIds,
) -> Result<NestedFieldRef, SchemaError> {
    let path = join(path, field.name());
    let ty = map(field.data_type(), &path, ids)?;
    Ok(NestedField::optional(id, field.name(), ty).into())
}

/// The Iceberg type for an Arrow type. The ids of nested fields count from 1, so only the type's
/// shape is of use.
///
/// # Errors
/// A type that a table cannot hold; `column` is named in the message.
pub fn type_of(arrow: &DataType, column: &str) -> Result<Type, SchemaError> {
    map(arrow, column, &mut FieldIds::after(0))
}

fn map(arrow: &DataType, path: &str, ids: &mut FieldIds) -> Result<Type, SchemaError> {
    match arrow {
        DataType::Dictionary(_, values) => map(values, path, ids),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => {
            let id = ids.next();
            let element = map(element.data_type(), &join(path, "element"), ids)?;
            let element = NestedField::list_element(id, element, false);
            Ok(Type::List(ListType::new(element.into())))
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            Ok(Type::Struct(StructType::new(fields_of(fields, path, ids)?)))
        }
        DataType::Map(entries, _) => map_of(entries, arrow, path, ids),
        _ => primitive(arrow)
            .map(Type::Primitive)
            .ok_or_else(|| unsupported(arrow, path)),
    }
}

fn map_of(
    entries: &FieldRef,
    arrow: &DataType,
    path: &str,
    ids: &mut FieldIds,
) -> Result<Type, SchemaError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(unsupported(arrow, path));
    };
    let [key, value] = &fields[..] else {
        return Err(unsupported(arrow, path));
    };
    let (key_id, value_id) = (ids.next(), ids.next());
    let key = map(key.data_type(), &join(path, "key"), ids)?;
    let value = map(value.data_type(), &join(path, "value"), ids)?;
    Ok(Type::Map(MapType::new(
        NestedField::map_key_element(key_id, key).into(),
        NestedField::map_value_element(value_id, value, false).into(),
    )))
}

fn primitive(arrow: &DataType) -> Option<PrimitiveType> {
    use DataType as A;
    use PrimitiveType as P;
    Some(match arrow {
        A::Boolean => P::Boolean,
        A::Int8 | A::Int16 | A::Int32 | A::UInt8 | A::UInt16 => P::Int,
        A::Int64 | A::UInt32 => P::Long,
        A::UInt64 => P::Decimal {
            precision: 20,
            scale: 0,
        },
        A::Float16 | A::Float32 => P::Float,
        A::Float64 => P::Double,
        A::Decimal32(precision, scale)
        | A::Decimal64(precision, scale)
        | A::Decimal128(precision, scale)
        | A::Decimal256(precision, scale) => return decimal(*precision, *scale),
        A::Date32 | A::Date64 => P::Date,
        A::Time32(_) | A::Time64(_) => P::Time,
        A::Timestamp(_, None) => P::Timestamp,
        A::Timestamp(_, Some(_)) => P::Timestamptz,
        A::Utf8 | A::LargeUtf8 | A::Utf8View | A::Null => P::String,
        A::Binary | A::LargeBinary | A::BinaryView => P::Binary,
        A::FixedSizeBinary(length) => P::Fixed(u64::try_from(*length).ok()?),
        _ => return None,
    })
}

/// A negative scale (tens, hundreds) needs the digits that it leaves out.
fn decimal(precision: u8, scale: i8) -> Option<PrimitiveType> {
    let (precision, scale) = match u8::try_from(scale) {
        Ok(scale) => (precision, scale),
        Err(_) => (precision.checked_add(scale.unsigned_abs())?, 0),
    };
    let fits = (1..=MAX_PRECISION).contains(&precision) && scale <= precision;
    fits.then_some(PrimitiveType::Decimal {
        precision: precision.into(),
        scale: scale.into(),
    })
}

/// The same columns without Iceberg's field ids and comments, also in nested types.
pub fn without_ids(schema: &ArrowSchema) -> ArrowSchema {
    ArrowSchema::new(bare_fields(schema.fields()))
}

fn bare_fields(fields: &Fields) -> Fields {
    fields.iter().map(bare).collect()
}

fn bare(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(bare_fields(fields)),
        DataType::List(element) => DataType::List(bare(element)),
        DataType::Map(entries, sorted) => DataType::Map(bare(entries), *sorted),
        other => other.clone(),
    };
    Field::new(field.name(), ty, field.is_nullable()).into()
}

fn unsupported(arrow: &DataType, path: &str) -> SchemaError {
    SchemaError::UnsupportedType {
        column: path.to_owned(),
        arrow: arrow.to_string(),
    }
}

fn check_distinct(fields: &Fields, path: &str) -> Result<(), SchemaError> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in fields {
        if field.name().is_empty() {
            return Err(SchemaError::ReservedName {
                column: join(path, ""),
            });
        }
        if let Some(first) = seen.insert(field.name().to_lowercase(), field.name()) {
            let (first, second) = (join(path, first), join(path, field.name()));
            return Err(SchemaError::DuplicateColumn { first, second });
        }
    }
    Ok(())
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{IntervalUnit, TimeUnit};

    use super::*;

    fn text(arrow: DataType) -> String {
        match type_of(&arrow, "c") {
            Ok(ty) => ty.to_string(),
            Err(error) => error.reason().to_owned(),
        }
    }

    #[test]
    fn every_arrow_type_maps_or_is_refused() {
        use DataType as A;
        let utc = || Some("Europe/Berlin".into());
        let table = [
            (A::Boolean, "boolean"),
            (A::Int8, "int"),
            (A::Int16, "int"),
            (A::Int32, "int"),
            (A::Int64, "long"),
            (A::UInt8, "int"),
            (A::UInt16, "int"),
            (A::UInt32, "long"),
            (A::UInt64, "decimal(20, 0)"),
            (A::Float16, "float"),
            (A::Float32, "float"),
            (A::Float64, "double"),
            (A::Decimal32(5, 2), "decimal(5, 2)"),
            (A::Decimal64(12, 0), "decimal(12, 0)"),
            (A::Decimal128(38, 10), "decimal(38, 10)"),
            (A::Decimal128(5, -3), "decimal(8, 0)"),
            (A::Decimal256(38, 2), "decimal(38, 2)"),
            (A::Decimal256(39, 2), "SCHEMA_TYPE_UNSUPPORTED"),
            (A::Decimal128(38, -1), "SCHEMA_TYPE_UNSUPPORTED"),
            (A::Date32, "date"),
            (A::Date64, "date"),
            (A::Time32(TimeUnit::Second), "time"),
            (A::Time64(TimeUnit::Nanosecond), "time"),
            (A::Timestamp(TimeUnit::Second, None), "timestamp"),
            (A::Timestamp(TimeUnit::Nanosecond, None), "timestamp"),
            (A::Timestamp(TimeUnit::Millisecond, utc()), "timestamptz"),
            (A::Utf8, "string"),
            (A::LargeUtf8, "string"),
            (A::Utf8View, "string"),
            (A::Null, "string"),
            (
                A::Dictionary(Box::new(A::Int32), Box::new(A::Utf8)),
                "string",
            ),
            (A::Binary, "binary"),
            (A::LargeBinary, "binary"),
            (A::BinaryView, "binary"),
            (A::FixedSizeBinary(4), "fixed(4)"),
            (
                A::Interval(IntervalUnit::DayTime),
                "SCHEMA_TYPE_UNSUPPORTED",
            ),
            (A::Duration(TimeUnit::Second), "SCHEMA_TYPE_UNSUPPORTED"),
            (A::Struct(Fields::empty()), "SCHEMA_TYPE_UNSUPPORTED"),
        ];
        for (arrow, expected) in table {
            assert_eq!(text(arrow.clone()), expected, "{arrow}");
        }
    }

    #[test]
    fn nested_fields_get_ids_of_their_own_and_all_are_optional() {
        let point = DataType::Struct(Fields::from(vec![
            Field::new("x", DataType::Float64, false),
            Field::new("tags", DataType::new_list(DataType::Utf8View, false), false),
        ]));
        let schema = ArrowSchema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("point", point, false),
        ]);
        let schema = table_schema(&schema).unwrap();
        let ids: Vec<_> = (1..=5)
            .map(|id| schema.name_by_field_id(id).unwrap())
            .collect();
        assert_eq!(
            ids,
            ["id", "point", "point.x", "point.tags", "point.tags.element"]
        );
        assert!(
            schema
                .field_id_to_fields()
                .values()
                .all(|field| !field.required)
        );
    }

    #[test]
    fn a_map_keeps_its_key_required() {
        let entries = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Int8, true),
        ]);
        let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
        let Type::Map(map) = type_of(&DataType::Map(entries, false), "m").unwrap() else {
            panic!("not a map")
        };
        assert!(map.key_field.required && !map.value_field.required);
    }

    #[test]
    fn names_that_clash_or_are_reserved_are_refused_by_name() {
        let schema = |names: &[&str]| {
            let field = |name: &&str| Field::new(*name, DataType::Int64, true);
            ArrowSchema::new(names.iter().map(field).collect::<Vec<_>>())
        };
        let error = table_schema(&schema(&["Id", "iD"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"columns "Id" and "iD" have the same name, apart from case"#
        );
        assert_eq!(
            table_schema(&schema(&[])).unwrap_err().reason(),
            "SCHEMA_EMPTY"
        );
        for name in ["", "_file", "_pos"] {
            let error = table_schema(&schema(&["a", name])).unwrap_err();
            assert_eq!(error.reason(), "SCHEMA_RESERVED_NAME", "{name}");
        }
        assert!(table_schema(&schema(&["count(*)", "sum(t.x)", "é", "1"])).is_ok());
    }

    #[test]
    fn the_path_of_an_unsupported_nested_type_is_named() {
        let list = DataType::new_list(DataType::Duration(TimeUnit::Second), true);
        let schema = ArrowSchema::new(vec![Field::new("waits", list, true)]);
        let error = table_schema(&schema).unwrap_err().to_string();
        assert!(error.contains(r#""waits.element""#), "{error}");
    }
}
