//! Casting batches to a table's schema.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use arrow::error::ArrowError;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

use super::{SchemaError, Shape, Source, invalid};

/// Brings batches of one schema into the form in which a table's files are written: the table's
/// columns in the table's order, with Iceberg's types and field ids.
#[derive(Debug, Clone)]
pub struct Coercion {
    target: ArrowSchemaRef,
    /// For each column of the target, where it comes from.
    sources: Vec<Source>,
}

impl Coercion {
    /// Prepares the cast from `incoming` to `schema`, which must have come from
    /// [`evolve`](super::evolve) or [`table_schema`](super::table_schema) for it.
    ///
    /// # Errors
    /// A schema that has no Arrow form.
    pub fn new(incoming: &ArrowSchema, schema: &Schema) -> Result<Self, SchemaError> {
        let target = schema_to_arrow_schema(schema).map_err(invalid)?;
        let find = |name: &str| {
            let fields = incoming.fields();
            let exact = fields.iter().position(|field| field.name() == name);
            let lower = name.to_lowercase();
            exact.or_else(|| {
                fields
                    .iter()
                    .position(|field| field.name().to_lowercase() == lower)
            })
        };
        let sources = target
            .fields()
            .iter()
            .map(|field| match find(field.name()) {
                Some(place) => Source::Column(place, Shape::by_place(field.data_type())),
                None => Source::Constant(None),
            })
            .collect();
        Ok(Self {
            target: Arc::new(target),
            sources,
        })
    }

    /// The schema of the batches that come out.
    pub fn schema(&self) -> &ArrowSchemaRef {
        &self.target
    }

    /// Casts one batch. Columns that are right already are not copied.
    ///
    /// # Errors
    /// A value that the table's type cannot hold: nothing is silently replaced by null.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.sources.len());
        for (field, source) in self.target.fields().iter().zip(&self.sources) {
            let column = source.take(batch.columns(), field.data_type(), rows);
            let column = column.map_err(|source| unfit(field, source))?;
            if !field.is_nullable() && column.null_count() > 0 {
                let message = "a null in a required column".to_owned();
                return Err(unfit(field, ArrowError::InvalidArgumentError(message)));
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.target.clone(), columns, &options).map_err(
            |source| {
                let names = self
                    .target
                    .fields()
                    .iter()
                    .map(|field| field.name().as_str());
                SchemaError::Cast {
                    column: names.collect::<Vec<_>>().join(", "),
                    target: "of the table".to_owned(),
                    source,
                }
            },
        )
    }
}

fn unfit(field: &Field, source: ArrowError) -> SchemaError {
    SchemaError::Cast {
        column: field.name().clone(),
        target: field.data_type().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, AsArray, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array,
        LargeListArray, ListArray, MapArray, NullArray, StringArray, StringViewArray, StructArray,
        TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{
        DataType, Decimal128Type, Fields, Int32Type, Int64Type, TimestampMicrosecondType,
    };
    use arrow::util::display::array_value_to_string;

    use super::super::table_schema;
    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn coerced(batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
        let schema = table_schema(&batch.schema()).unwrap();
        Coercion::new(&batch.schema(), &schema)
            .unwrap()
            .apply(batch)
    }

    #[test]
    fn timestamps_become_microseconds_in_utc() {
        let zoned =
            TimestampMillisecondArray::from(vec![1_700_000_000_123]).with_timezone("Europe/Berlin");
        let batch = batch(vec![
            ("seconds", Arc::new(TimestampSecondArray::from(vec![-1]))),
            ("zoned", Arc::new(zoned)),
            (
                "nanoseconds",
                Arc::new(TimestampNanosecondArray::from(vec![1_999])),
            ),
        ]);
        let batch = coerced(&batch).unwrap();
        let value = |i: usize| {
            batch
                .column(i)
                .as_primitive::<TimestampMicrosecondType>()
                .value(0)
        };
        assert_eq!(
            [value(0), value(1), value(2)],
            [-1_000_000, 1_700_000_000_123_000, 1]
        );
        let zone = DataType::Timestamp(
            arrow::datatypes::TimeUnit::Microsecond,
            Some("+00:00".into()),
        );
        assert_eq!(batch.column(1).data_type(), &zone);
    }

    #[test]
    fn unsigned_views_dictionaries_and_nulls_are_cast() {
        let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let batch = batch(vec![
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
            ("v", Arc::new(StringViewArray::from(vec!["x", "y", "z"]))),
            ("d", Arc::new(dictionary)),
            ("n", Arc::new(NullArray::new(3))),
        ]);
        let batch = coerced(&batch).unwrap();
        let decimals = batch.column(0).as_primitive::<Decimal128Type>();
        assert_eq!(decimals.value(0), i128::from(u64::MAX));
        assert_eq!(batch.column(1).as_string::<i32>().value(2), "z");
        assert_eq!(batch.column(2).as_string::<i32>().value(1), "b");
        assert_eq!(batch.column(3).data_type(), &DataType::Utf8);
        assert_eq!(batch.column(3).null_count(), 3);
    }

    #[test]
    fn nested_columns_are_cast_inside() {
        let ids =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let inner: ArrayRef = Arc::new(StringViewArray::from(vec!["p", "q"]));
        let fields = Fields::from(vec![
            Field::new("s", DataType::Utf8View, false),
            Field::new("l", ids.data_type().clone(), true),
        ]);
        let nested = StructArray::new(fields, vec![inner, Arc::new(ids)], None);
        let map = MapArray::new_from_strings(
            ["k1", "k2"].into_iter(),
            &Int64Array::from(vec![1, 2]),
            &[0, 1, 2],
        )
        .unwrap();
        let batch = coerced(&batch(vec![("n", Arc::new(nested)), ("m", Arc::new(map))])).unwrap();
        let nested = batch.column(0).as_struct();
        assert_eq!(nested.column(0).as_string::<i32>().value(1), "q");
        assert_eq!(nested.column(1).as_list::<i32>().value(0).len(), 2);
        assert_eq!(batch.column(1).as_map().value(0).len(), 1);
    }

    #[test]
    fn lists_of_a_fixed_size_become_lists_at_every_depth() {
        let pairs = |values: Vec<Option<[i64; 2]>>| {
            let values = values
                .into_iter()
                .map(|pair| pair.map(|pair| pair.map(Some)));
            FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(values, 2)
        };
        let three = pairs(vec![Some([1, 2]), None, Some([5, 6])]);
        let strict = Arc::new(Field::new("item", DataType::Int64, false));
        let values = Arc::new(Int64Array::from_iter_values(1..=6));
        let strict = FixedSizeListArray::new(strict, 2, values, None);
        let element = Arc::new(Field::new("item", three.data_type().clone(), true));
        let squares = FixedSizeListArray::new(element, 1, Arc::new(three.clone()), None);
        let element = Arc::new(Field::new("item", three.data_type().clone(), true));
        let offsets = OffsetBuffer::new(vec![0, 2, 2, 3].into());
        let large = LargeListArray::new(element, offsets, Arc::new(three.clone()), None);
        let fields = Fields::from(vec![Field::new("p", three.data_type().clone(), true)]);
        let inside = StructArray::new(fields, vec![Arc::new(three.clone())], None);
        let wider = pairs(vec![Some([9, 9]), Some([1, 2]), None, Some([5, 6])]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("pair", Arc::new(three)),
            ("strict", Arc::new(strict)),
            ("squares", Arc::new(squares)),
            ("large", Arc::new(large)),
            ("inside", Arc::new(inside)),
            ("slice", Arc::new(wider.slice(1, 3))),
        ];
        let batch = coerced(&batch(columns)).unwrap();
        let shown = |column: usize| {
            let show = |row| array_value_to_string(batch.column(column), row).unwrap();
            (0..3).map(show).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(0), "[1, 2]  [5, 6]");
        assert_eq!(shown(1), "[1, 2] [3, 4] [5, 6]");
        assert_eq!(shown(2), "[[1, 2]] [] [[5, 6]]");
        assert_eq!(shown(3), "[[1, 2], ] [] [[5, 6]]");
        assert_eq!(shown(4), "{p: [1, 2]} {p: } {p: [5, 6]}");
        assert_eq!(shown(5), "[1, 2]  [5, 6]");
        assert_eq!(batch.column(2).as_list::<i32>().value(1).len(), 1, "a null");
    }

    #[test]
    fn a_value_inside_that_does_not_fit_is_an_error_that_names_the_column() {
        let late = TimestampSecondArray::from(vec![i64::MAX / 10]);
        let element = Arc::new(Field::new("item", late.data_type().clone(), true));
        let late = FixedSizeListArray::new(element, 1, Arc::new(late), None);
        let error = coerced(&batch(vec![("late", Arc::new(late))])).unwrap_err();
        assert_eq!(error.reason(), "SCHEMA_VALUE_OUT_OF_RANGE");
        assert!(error.to_string().contains("\"late\""), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_that_names_the_column() {
        let late = TimestampSecondArray::from(vec![i64::MAX / 10]);
        let error = coerced(&batch(vec![("late", Arc::new(late))])).unwrap_err();
        assert_eq!(error.reason(), "SCHEMA_VALUE_OUT_OF_RANGE");
        assert!(error.to_string().contains("\"late\""), "{error}");
    }

    #[test]
    fn columns_are_found_by_name_and_missing_ones_are_null() {
        let table = batch(vec![
            ("a", Arc::new(Int64Array::from(vec![1]))),
            ("b", Arc::new(StringArray::from(vec!["x"]))),
        ]);
        let schema = table_schema(&table.schema()).unwrap();
        let incoming = batch(vec![("A", Arc::new(Int32Array::from(vec![7])))]);
        let coercion = Coercion::new(&incoming.schema(), &schema).unwrap();
        let batch = coercion.apply(&incoming).unwrap();
        assert_eq!(batch.schema().field(0).metadata()["PARQUET:field_id"], "1");
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 7);
        assert!(batch.column(1).is_null(0));
    }
}
