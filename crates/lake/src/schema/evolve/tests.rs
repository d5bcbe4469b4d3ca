use std::collections::HashMap;

use arrow::datatypes::{Fields, TimeUnit};
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, PartitionSpec, SortOrder, TableMetadataBuilder};

use super::super::table_schema;
use super::*;

fn arrow(columns: &[(&str, DataType)]) -> ArrowSchema {
    let field = |(name, ty): &(&str, DataType)| Field::new(*name, ty.clone(), true);
    ArrowSchema::new(columns.iter().map(field).collect::<Vec<_>>())
}

fn table(schema: Schema) -> TableMetadata {
    let spec = PartitionSpec::unpartition_spec().into_unbound();
    let (order, version) = (SortOrder::unsorted_order(), FormatVersion::V2);
    let location = "file:///lake/t".to_owned();
    TableMetadataBuilder::new(schema, spec, order, location, version, HashMap::new())
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

fn table_of(columns: &[(&str, DataType)]) -> TableMetadata {
    table(table_schema(&arrow(columns)).unwrap())
}

/// `id name type`, for each column, or the reason of the refusal.
fn outcome(
    table: &TableMetadata,
    columns: &[(&str, DataType)],
    strategy: MergeStrategy,
) -> Vec<String> {
    match evolve(table, &arrow(columns), strategy) {
        Ok(evolution) => {
            let fields = evolution.schema.as_struct().fields();
            let line = |field: &NestedFieldRef| {
                format!("{} {} {}", field.id, field.name, field.field_type)
            };
            fields.iter().map(line).collect()
        }
        Err(error) => vec![error.reason().to_owned()],
    }
}

use MergeStrategy::{AppendOnly, FullRefresh};

#[test]
fn the_same_columns_need_no_new_schema() {
    let columns = [("a", DataType::Int32), ("b", DataType::Utf8)];
    let table = table_of(&columns);
    for strategy in [FullRefresh, AppendOnly] {
        let views = arrow(&[("a", DataType::Int8), ("b", DataType::Utf8View)]);
        let evolution = evolve(&table, &views, strategy).unwrap();
        assert!(!evolution.is_new);
        assert_eq!(&evolution.schema, table.current_schema());
    }
}

#[test]
fn a_full_refresh_takes_the_columns_of_the_query() {
    let table = table_of(&[
        ("a", DataType::Int32),
        ("b", DataType::Utf8),
        ("c", DataType::Date32),
    ]);
    let columns = [
        ("c", DataType::Date32),
        ("a", DataType::Int64),
        ("d", DataType::Boolean),
    ];
    assert_eq!(
        outcome(&table, &columns, FullRefresh),
        ["3 c date", "1 a long", "4 d boolean"]
    );
}

#[test]
fn a_full_refresh_with_another_type_makes_a_new_column() {
    let table = table_of(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let columns = [("a", DataType::Utf8), ("b", DataType::Utf8)];
    assert_eq!(
        outcome(&table, &columns, FullRefresh),
        ["3 a string", "2 b string"]
    );
}

#[test]
fn a_full_refresh_keeps_the_wider_type_and_may_change_case() {
    let table = table_of(&[("a", DataType::Int64), ("B", DataType::Float64)]);
    let columns = [("a", DataType::Int16), ("b", DataType::Float32)];
    assert_eq!(
        outcome(&table, &columns, FullRefresh),
        ["1 a long", "2 b double"]
    );
}

#[test]
fn an_append_keeps_what_the_query_lacks_and_adds_what_it_brings() {
    let table = table_of(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let columns = [("c", DataType::Boolean), ("A", DataType::Int64)];
    let expected = ["1 a long", "2 b string", "3 c boolean"];
    assert_eq!(outcome(&table, &columns, AppendOnly), expected);
}

#[test]
fn an_append_of_another_type_is_refused_with_both_types() {
    let table = table_of(&[("a", DataType::Int32)]);
    let error = evolve(&table, &arrow(&[("a", DataType::Utf8)]), AppendOnly).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"column "a" has type string, but the table's column has int"#
    );
    let table = table_of(&[("a", DataType::Timestamp(TimeUnit::Second, None))]);
    let zoned = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
    assert_eq!(
        outcome(&table, &[("a", zoned)], AppendOnly),
        ["SCHEMA_INCOMPATIBLE"]
    );
}

#[test]
fn types_widen_as_iceberg_allows() {
    use DataType as A;
    let table = [
        (A::Int32, A::Int64, "long"),
        (A::Int64, A::Int8, "long"),
        (A::Float32, A::Float64, "double"),
        (A::Decimal128(10, 2), A::Decimal128(12, 2), "decimal(12, 2)"),
        (A::Decimal128(12, 2), A::Decimal128(10, 2), "decimal(12, 2)"),
        (A::Utf8, A::Null, "string"),
        (A::Int32, A::Null, "int"),
    ];
    for (existing, incoming, expected) in table {
        let metadata = table_of(&[("a", existing.clone())]);
        let columns = [("a", incoming)];
        assert_eq!(
            outcome(&metadata, &columns, AppendOnly),
            [format!("1 a {expected}")]
        );
    }
    for (existing, incoming) in [
        (A::Int32, A::Float64),
        (A::Int64, A::Float64),
        (A::Decimal128(10, 2), A::Decimal128(12, 3)),
        (A::Date32, A::Timestamp(TimeUnit::Microsecond, None)),
        (A::Utf8, A::Binary),
        (A::Boolean, A::Int32),
    ] {
        let metadata = table_of(&[("a", existing.clone())]);
        let columns = [("a", incoming.clone())];
        let refused = outcome(&metadata, &columns, AppendOnly);
        assert_eq!(refused, ["SCHEMA_INCOMPATIBLE"], "{existing} {incoming}");
    }
}

#[test]
fn nested_columns_stay_when_their_shape_stays() {
    let point = |name: &str| {
        DataType::Struct(Fields::from(vec![
            Field::new("x", DataType::Float64, false),
            Field::new(name, DataType::new_list(DataType::Utf8, true), true),
        ]))
    };
    let table = table_of(&[("p", point("tags"))]);
    assert!(
        !evolve(&table, &arrow(&[("p", point("tags"))]), AppendOnly)
            .unwrap()
            .is_new
    );
    assert_eq!(
        outcome(&table, &[("p", point("other"))], AppendOnly),
        ["SCHEMA_INCOMPATIBLE"]
    );
    let evolution = evolve(&table, &arrow(&[("p", point("other"))]), FullRefresh).unwrap();
    assert_eq!(evolution.schema.field_id_by_name("p"), Some(5));
    assert_eq!(
        evolution.schema.field_id_by_name("p.other.element"),
        Some(8)
    );
}

#[test]
fn ids_of_dropped_columns_are_never_given_again() {
    let table = table_of(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let small = table_schema(&arrow(&[("a", DataType::Int32)])).unwrap();
    let updates = [
        TableUpdate::AddSchema { schema: small },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    let builder = table.into_builder(None);
    let builder = updates
        .into_iter()
        .try_fold(builder, |builder, update| update.apply(builder));
    let table = builder.unwrap().build().unwrap().metadata;
    let columns = [("a", DataType::Int32), ("c", DataType::Utf8)];
    assert_eq!(
        outcome(&table, &columns, AppendOnly),
        ["1 a int", "3 c string"]
    );
}

#[test]
fn the_predicted_schema_is_the_one_that_the_catalog_makes() {
    let table = table_of(&[("a", DataType::Int32)]);
    let columns = arrow(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let evolution = evolve(&table, &columns, AppendOnly).unwrap();
    assert!(evolution.is_new);
    assert_eq!(evolution.schema.schema_id(), 1);
    let update = TableUpdate::AddSchema {
        schema: evolution.schema.as_ref().clone(),
    };
    let metadata = update
        .apply(table.into_builder(None))
        .unwrap()
        .build()
        .unwrap()
        .metadata;
    assert_eq!(metadata.schema_by_id(1).unwrap(), &evolution.schema);
    // A second attempt, whose first was never published, must not use its ids again.
    let again = evolve(&metadata, &columns, AppendOnly).unwrap();
    assert_eq!((again.schema.schema_id(), again.is_new), (2, true));
    assert_eq!(again.schema.field_id_by_name("b"), Some(3));
}

#[test]
fn a_required_column_of_somebody_elses_table_must_be_there() {
    let required = NestedField::required(1, "a", Type::Primitive(PrimitiveType::Int));
    let optional = NestedField::optional(2, "b", Type::Primitive(PrimitiveType::Int));
    let fields = [required.into(), optional.into()];
    let table = table(Schema::builder().with_fields(fields).build().unwrap());
    let columns = [("b", DataType::Int32)];
    assert_eq!(
        outcome(&table, &columns, AppendOnly),
        ["SCHEMA_INCOMPATIBLE"]
    );
    let evolution = evolve(&table, &arrow(&[("a", DataType::Int32)]), FullRefresh).unwrap();
    assert!(!evolution.schema.field_by_id(1).unwrap().required);
}
