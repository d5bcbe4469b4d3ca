//! Bringing arrays from one form into another, inside structs, lists and maps too.
//!
//! Arrow's own cast pairs the fields of two structs by name, or by position where not all names
//! are found. Iceberg knows a field by its id: neither the name nor the place says which it is.
//! And a list of a fixed size keeps the name of its element there, so that it fits no table.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray,
    StructArray, UInt32Array, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use iceberg::spec::{Literal, NestedField, NestedFieldRef, PrimitiveLiteral, Type};

/// How an array becomes one of another type.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Its values are cast, if they have to be.
    Value,
    /// Where each field of the struct comes from.
    Struct(Vec<Source>),
    /// What happens to the elements.
    List(Box<Shape>),
    /// What happens to keys and values.
    Map(Box<(Shape, Shape)>),
}

/// Where one column or field comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// From the column at this place.
    Column(usize, Shape),
    /// From nowhere: every row has this value, or null.
    Constant(Option<PrimitiveLiteral>),
}

impl Shape {
    /// From `have` to `want`, which are two states of one column.
    pub(crate) fn by_id(have: &Type, want: &Type) -> Self {
        match (have, want) {
            (Type::Struct(have), Type::Struct(want)) => {
                let source = |field: &NestedFieldRef| Source::by_id(have.fields(), field);
                Self::Struct(want.fields().iter().map(source).collect())
            }
            (Type::List(have), Type::List(want)) => {
                let (have, want) = (&have.element_field, &want.element_field);
                Self::List(Box::new(Self::by_id(&have.field_type, &want.field_type)))
            }
            (Type::Map(have), Type::Map(want)) => {
                let key = Self::by_id(&have.key_field.field_type, &want.key_field.field_type);
                let value = Self::by_id(&have.value_field.field_type, &want.value_field.field_type);
                Self::Map(Box::new((key, value)))
            }
            _ => Self::Value,
        }
    }

    /// To `target`, from a type with as many fields in the same order.
    pub(super) fn by_place(target: &DataType) -> Self {
        match target {
            DataType::Struct(fields) => {
                let source = |(place, field): (usize, &FieldRef)| {
                    Source::Column(place, Self::by_place(field.data_type()))
                };
                Self::Struct(fields.iter().enumerate().map(source).collect())
            }
            DataType::List(element) => Self::List(Box::new(Self::by_place(element.data_type()))),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    let [key, value] =
                        [0, 1].map(|place: usize| Self::by_place(fields[place].data_type()));
                    Self::Map(Box::new((key, value)))
                }
                _ => Self::Value,
            },
            _ => Self::Value,
        }
    }

    /// `array` as an array of `target`.
    ///
    /// # Errors
    /// A value that does not fit, a null where there may be none, or another kind of array than
    /// the shape was made for.
    pub(crate) fn apply(
        &self,
        array: &ArrayRef,
        target: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        match array.data_type() {
            DataType::Null => return Ok(new_null_array(target, array.len())),
            DataType::Dictionary(_, values) if target.is_nested() => {
                return self.apply(&strict_cast(array, values)?, target);
            }
            _ => {}
        }
        match (self, target) {
            (Self::Struct(sources), DataType::Struct(fields)) => {
                let array = array
                    .as_struct_opt()
                    .ok_or_else(|| unlike(array.as_ref(), target))?;
                let nulls = array.nulls().cloned();
                let columns = fields_from(sources, array.columns(), fields, array.len())?;
                let array =
                    StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?;
                Ok(Arc::new(array))
            }
            (Self::List(element), DataType::List(field)) => {
                let array = list(array).ok_or_else(|| unlike(array.as_ref(), target))??;
                let values = element.apply(array.values(), field.data_type())?;
                let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
                let array = ListArray::try_new(field.clone(), offsets, values, nulls)?;
                Ok(Arc::new(array))
            }
            (Self::Map(entry), DataType::Map(field, is_sorted)) => {
                let array = array
                    .as_map_opt()
                    .ok_or_else(|| unlike(array.as_ref(), target))?;
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(unlike(array, target));
                };
                let [key, value] = &fields[..] else {
                    return Err(unlike(array, target));
                };
                let columns = vec![
                    entry.0.apply(array.keys(), key.data_type())?,
                    entry.1.apply(array.values(), value.data_type())?,
                ];
                let nulls = array.entries().nulls().cloned();
                let entries = StructArray::try_new(fields.clone(), columns, nulls)?;
                let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
                let array = MapArray::try_new(field.clone(), offsets, entries, nulls, *is_sorted)?;
                Ok(Arc::new(array))
            }
            _ if array.data_type() == target => Ok(array.clone()),
            _ => strict_cast(array, target),
        }
    }
}

impl Source {
    /// Where `want` comes from, among the fields `have`.
    pub(crate) fn by_id(have: &[NestedFieldRef], want: &NestedField) -> Self {
        match have.iter().position(|field| field.id == want.id) {
            Some(index) => {
                let shape = Shape::by_id(&have[index].field_type, &want.field_type);
                Self::Column(index, shape)
            }
            None => Self::absent(want),
        }
    }

    /// The column is in no file that is older than itself: there it has its initial default.
    pub(crate) fn absent(field: &NestedField) -> Self {
        Self::Constant(match &field.initial_default {
            Some(Literal::Primitive(literal)) => Some(literal.clone()),
            _ => None,
        })
    }

    /// The column of type `target`, out of `columns` that have `rows` rows.
    ///
    /// # Errors
    /// See [`Shape::apply`].
    pub(crate) fn take(
        &self,
        columns: &[ArrayRef],
        target: &DataType,
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Column(index, shape) => {
                let column = columns.get(*index).ok_or_else(|| {
                    let have = columns.len();
                    let message = format!("column {index} of {have} is asked for");
                    ArrowError::SchemaError(message)
                })?;
                shape.apply(column, target)
            }
            Self::Constant(None) => Ok(new_null_array(target, rows)),
            Self::Constant(Some(literal)) => repeated(literal, target, rows),
        }
    }
}

fn fields_from(
    sources: &[Source],
    columns: &[ArrayRef],
    fields: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let fields = sources.iter().zip(fields);
    fields
        .map(|(source, field)| source.take(columns, field.data_type(), rows))
        .collect()
}

/// An array of lists, however long; `None` if it is something else.
fn list(array: &ArrayRef) -> Option<Result<ListArray, ArrowError>> {
    match array.data_type() {
        DataType::FixedSizeList(..) => array
            .as_fixed_size_list_opt()
            .map(|array| Ok(array.clone().into())),
        DataType::LargeList(element) => {
            let cast = strict_cast(array, &DataType::List(element.clone()));
            Some(cast.map(|array| array.as_list().clone()))
        }
        _ => array.as_list_opt().map(|array| Ok(array.clone())),
    }
}

/// A cast that never makes a null of a value.
fn strict_cast(array: &dyn Array, target: &DataType) -> Result<ArrayRef, ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, target, &strict)
}

fn repeated(
    literal: &PrimitiveLiteral,
    target: &DataType,
    rows: usize,
) -> Result<ArrayRef, ArrowError> {
    use PrimitiveLiteral as L;
    let one: ArrayRef = match (literal, target) {
        (L::Boolean(value), _) => Arc::new(BooleanArray::from(vec![*value])),
        (L::Int(value), _) => Arc::new(Int32Array::from(vec![*value])),
        (L::Long(value), _) => Arc::new(Int64Array::from(vec![*value])),
        (L::Float(value), _) => Arc::new(Float32Array::from(vec![value.0])),
        (L::Double(value), _) => Arc::new(Float64Array::from(vec![value.0])),
        (L::String(value), _) => Arc::new(StringArray::from(vec![value.as_str()])),
        (L::Binary(value), _) => Arc::new(BinaryArray::from(vec![value.as_slice()])),
        (L::Int128(value), DataType::Decimal128(precision, scale)) => Arc::new(
            Decimal128Array::from(vec![*value]).with_precision_and_scale(*precision, *scale)?,
        ),
        (L::UInt128(value), DataType::FixedSizeBinary(_)) => Arc::new(
            FixedSizeBinaryArray::try_from_iter(std::iter::once(value.to_be_bytes()))?,
        ),
        _ => {
            let message = format!("a column of type {target} has a default of another type");
            return Err(ArrowError::SchemaError(message));
        }
    };
    let one = strict_cast(&one, target)?;
    take(&one, &UInt32Array::from(vec![0; rows]), None)
}

fn unlike(array: &dyn Array, target: &DataType) -> ArrowError {
    let message = format!("a column of type {} cannot be {target}", array.data_type());
    ArrowError::SchemaError(message)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, TimeUnit};
    use iceberg::spec::{PrimitiveType, StructType};

    use super::*;

    fn field(id: i32, name: &str, ty: PrimitiveType) -> NestedFieldRef {
        NestedField::optional(id, name, Type::Primitive(ty)).into()
    }

    fn shaped(have: Vec<NestedFieldRef>, want: Vec<NestedFieldRef>, array: &ArrayRef) -> ArrayRef {
        let (have, want) = (StructType::new(have), StructType::new(want));
        let (have, want) = (Type::Struct(have), Type::Struct(want));
        let target = iceberg::arrow::type_to_arrow_type(&want).unwrap();
        Shape::by_id(&have, &want).apply(array, &target).unwrap()
    }

    fn pair() -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("x", DataType::Int32, true),
            Field::new("y", DataType::Int32, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![1, 2])),
            Arc::new(Int32Array::from(vec![3, 4])),
        ];
        let nulls = Some(vec![true, false].into());
        Arc::new(StructArray::new(fields, columns, nulls))
    }

    #[test]
    fn fields_are_known_by_their_ids_whatever_their_names() {
        use PrimitiveType::{Int, Long};
        let have = vec![field(2, "x", Int), field(3, "y", Int)];
        let want = vec![field(3, "x", Long), field(9, "z", Int), field(2, "y", Int)];
        let array = shaped(have, want, &pair());
        let array = array.as_struct();
        assert!(array.is_valid(0) && array.is_null(1));
        let first: Vec<i64> = array
            .column(0)
            .as_primitive::<arrow::datatypes::Int64Type>()
            .values()
            .to_vec();
        assert_eq!(first, [3, 4]);
        assert_eq!(array.column(1).null_count(), 2);
        let third = array
            .column(2)
            .as_primitive::<arrow::datatypes::Int32Type>();
        assert_eq!(third.values(), &[1, 2]);
    }

    #[test]
    fn what_a_file_lacks_has_its_initial_default() {
        use PrimitiveLiteral as L;
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        let cases = [
            (L::Boolean(true), DataType::Boolean, "true"),
            (L::Int(7), DataType::Int32, "7"),
            (L::Int(1), DataType::Date32, "1970-01-02"),
            (L::Long(-7), DataType::Int64, "-7"),
            (
                L::Long(1_000_000),
                DataType::Time64(TimeUnit::Microsecond),
                "00:00:01",
            ),
            (L::Long(1_000_000), micros, "1970-01-01T00:00:01Z"),
            (L::Float(1.5.into()), DataType::Float32, "1.5"),
            (L::Double(2.5.into()), DataType::Float64, "2.5"),
            (L::String("ä".to_owned()), DataType::Utf8, "ä"),
            (L::Binary(vec![1, 255]), DataType::LargeBinary, "01ff"),
            (
                L::Binary(vec![1, 255]),
                DataType::FixedSizeBinary(2),
                "01ff",
            ),
            (L::Int128(1234), DataType::Decimal128(9, 2), "12.34"),
            (
                L::UInt128(1),
                DataType::FixedSizeBinary(16),
                "00000000000000000000000000000001",
            ),
        ];
        for (literal, ty, expected) in cases {
            let source = Source::Constant(Some(literal));
            let array = source.take(&[], &ty, 3).unwrap();
            assert_eq!((array.data_type(), array.len()), (&ty, 3));
            let text = arrow::util::display::array_value_to_string(&array, 2).unwrap();
            assert_eq!(text, expected, "{ty}");
        }
        let wrong = Source::Constant(Some(L::Int128(1)));
        assert!(wrong.take(&[], &DataType::Utf8, 1).is_err());
    }
}
