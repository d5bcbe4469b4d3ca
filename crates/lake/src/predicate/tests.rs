use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use datafusion::logical_expr::{cast, col, lit, not};
use datafusion::prelude::ident;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, PartitionSpec, SortOrder, TableMetadataBuilder};
use rat_types::MergeStrategy;

use super::*;
use crate::schema::{evolve, table_schema};

fn metadata() -> TableMetadata {
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let columns = [
        ("b", DataType::Boolean),
        ("i", DataType::Int32),
        ("l", DataType::Int64),
        ("f", DataType::Float64),
        ("d", DataType::Date32),
        ("t", micros(None)),
        ("z", micros(Some("+00:00"))),
        ("s", DataType::Utf8),
        ("m", DataType::Decimal128(10, 2)),
        ("x.y", DataType::Int32),
    ];
    let field = |(name, ty): (&str, DataType)| Field::new(name, ty, true);
    let schema = ArrowSchema::new(columns.map(field).to_vec());
    let spec = PartitionSpec::unpartition_spec().into_unbound();
    let (order, version) = (SortOrder::unsorted_order(), FormatVersion::V2);
    let (schema, location) = (table_schema(&schema).unwrap(), "file:///t".to_owned());
    TableMetadataBuilder::new(schema, spec, order, location, version, HashMap::new())
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

fn translated(metadata: &TableMetadata, filter: Expr) -> String {
    let schema = metadata.current_schema();
    let translator = Translator::new(metadata, schema, schema);
    match translator.implied(&filter) {
        Some(predicate) => {
            // Whatever is handed over must fit the schema.
            iceberg::expr::Bind::bind(&predicate.clone().rewrite_not(), schema.clone(), true)
                .unwrap();
            predicate.to_string()
        }
        None => "-".to_owned(),
    }
}

#[test]
fn filters_become_predicates_or_are_left_out() {
    let metadata = metadata();
    let scalar = |value: ScalarValue| Expr::Literal(value, None);
    let money = |value: i128| scalar(ScalarValue::Decimal128(Some(value), 10, 2));
    let instant = |zone: Option<&str>| {
        scalar(ScalarValue::TimestampMicrosecond(
            Some(7),
            zone.map(Into::into),
        ))
    };
    let table = [
        (col("i").eq(lit(1)), "i = 1"),
        (lit(1).lt(col("i")), "i > 1"),
        (col("l").not_eq(lit(1_i64)), "l != 1"),
        (col("l").eq(lit(1)), "-"),
        (col("i").eq(scalar(ScalarValue::Int32(None))), "-"),
        (col("s").gt_eq(lit("a")), r#"s >= "a""#),
        (
            col("s").eq(scalar(ScalarValue::Utf8View(Some("a".into())))),
            r#"s = "a""#,
        ),
        (
            col("d").lt(scalar(ScalarValue::Date32(Some(0)))),
            "d < 1970-01-01",
        ),
        (col("m").gt(money(12345)), "m > 123.45"),
        (
            col("m").gt(scalar(ScalarValue::Decimal128(Some(1), 9, 2))),
            "-",
        ),
        (col("t").eq(instant(None)), "t = 1970-01-01 00:00:00.000007"),
        (col("t").eq(instant(Some("UTC"))), "-"),
        (col("z").eq(instant(None)), "-"),
        (col("z").is_null(), "z IS NULL"),
        (col("z").is_not_null(), "z IS NOT NULL"),
        (col("b"), "b = true"),
        (col("i"), "-"),
        (not(col("b")), "b != true"),
        (col("i").between(lit(1), lit(3)), "(i >= 1) AND (i <= 3)"),
        (col("s").like(lit("ab%")), r#"s STARTS WITH "ab""#),
        (col("s").like(lit("a_b%")), "-"),
        (col("s").like(lit("%b")), "-"),
        (col("s").like(lit("%")), "-"),
        (col("s").not_like(lit("ab%")), "-"),
        (col("s").ilike(lit("ab%")), "-"),
        (cast(col("i"), DataType::Int64).eq(lit(1_i64)), "-"),
        (ident("x.y").eq(lit(1)), "x.y = 1"),
        (col("unknown").eq(lit(1)), "-"),
        (col("i").eq(col("i")), "-"),
    ];
    for (filter, expected) in table {
        let text = filter.to_string();
        assert_eq!(translated(&metadata, filter), expected, "{text}");
    }
}

#[test]
fn lists_are_translated_when_all_of_their_items_are() {
    let metadata = metadata();
    let null = Expr::Literal(ScalarValue::Int32(None), None);
    assert_eq!(
        translated(&metadata, col("i").in_list(vec![lit(1)], false)),
        "i IN (1)"
    );
    assert_eq!(
        translated(&metadata, col("i").in_list(vec![lit(1)], true)),
        "i NOT IN (1)"
    );
    assert_eq!(
        translated(&metadata, col("i").in_list(vec![lit(1), null], true)),
        "-"
    );
    let long = (0..1000).map(lit).collect();
    assert_eq!(translated(&metadata, col("i").in_list(long, false)), "-");
}

#[test]
fn a_part_of_a_conjunction_is_enough_but_not_of_anything_else() {
    let metadata = metadata();
    let (known, unknown) = (col("i").eq(lit(1)), col("i").eq(col("l")));
    assert_eq!(
        translated(&metadata, known.clone().and(unknown.clone())),
        "i = 1"
    );
    assert_eq!(
        translated(&metadata, known.clone().or(unknown.clone())),
        "-"
    );
    assert_eq!(
        translated(&metadata, not(known.clone().and(unknown.clone()))),
        "-"
    );
    let nested = known.clone().and(unknown).or(col("l").is_null());
    assert_eq!(translated(&metadata, nested), "(i = 1) OR (l IS NULL)");
    assert_eq!(translated(&metadata, not(known)), "i != 1");
}

#[test]
fn nan_is_above_every_number_and_so_never_cut_off() {
    let metadata = metadata();
    assert_eq!(translated(&metadata, col("f").lt(lit(1.5))), "f < 1.5");
    assert_eq!(translated(&metadata, col("f").eq(lit(1.5))), "f = 1.5");
    for filter in [
        col("f").gt(lit(1.5)),
        col("f").gt_eq(lit(1.5)),
        col("f").not_eq(lit(1.5)),
        col("f").lt(lit(f64::NAN)),
        not(col("f").lt(lit(1.5))),
        not(col("f").eq(lit(1.5)).or(col("i").eq(lit(1)))),
        col("f").in_list(vec![lit(1.5)], true),
        col("f").between(lit(0.0), lit(1.0)),
    ] {
        let text = filter.to_string();
        assert_eq!(translated(&metadata, filter), "-", "{text}");
    }
}

#[test]
fn a_column_that_was_widened_is_not_filtered_on() {
    let metadata = metadata();
    let wide = ArrowSchema::new(vec![Field::new("i", DataType::Int64, true)]);
    let evolution = evolve(&metadata, &wide, MergeStrategy::AppendOnly).unwrap();
    let schema = evolution.schema.as_ref().clone();
    let updates = [
        TableUpdate::AddSchema { schema },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    let builder = metadata.into_builder(None);
    let builder = updates
        .into_iter()
        .try_fold(builder, |builder, update| update.apply(builder));
    let metadata = builder.unwrap().build().unwrap().metadata;
    assert_eq!(translated(&metadata, col("i").lt(lit(1_i64 << 40))), "-");
    assert_eq!(
        translated(&metadata, col("l").lt(lit(1_i64 << 40))),
        "l < 1099511627776"
    );
}
