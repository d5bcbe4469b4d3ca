//! Files that are older than the columns of their table.

use std::collections::HashMap;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use arrow::json::ReaderBuilder;
use iceberg::spec::{
    DataContentType, DataFileBuilder, ListType, MapType, NestedFieldRef, StructType,
};
use rat_iceberg::snapshot::SnapshotProducer;

use super::*;

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

fn structure(fields: Vec<Field>) -> DataType {
    DataType::Struct(fields.into())
}

fn map_to(value: DataType) -> DataType {
    let entries = structure(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", value, true),
    ]);
    DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
}

fn columns(columns: Vec<(&str, DataType)>) -> ArrowSchemaRef {
    let field = |(name, ty): (&str, DataType)| Field::new(name, ty, true);
    Arc::new(ArrowSchema::new(
        columns.into_iter().map(field).collect::<Vec<_>>(),
    ))
}

/// Lines of JSON as rows.
fn rows(schema: &ArrowSchemaRef, json: &str) -> RecordBatch {
    let mut reader = ReaderBuilder::new(schema.clone())
        .build(json.as_bytes())
        .unwrap();
    reader.next().unwrap().unwrap()
}

fn optional(id: i32, name: &str, ty: PrimitiveType) -> NestedFieldRef {
    NestedField::optional(id, name, Type::Primitive(ty)).into()
}

/// Makes `change` to the table's columns, as somebody else may.
fn altered(lake: &Lake, table: &Table, change: impl FnOnce(&mut Vec<NestedFieldRef>)) -> Table {
    let mut fields = table
        .metadata()
        .current_schema()
        .as_struct()
        .fields()
        .to_vec();
    change(&mut fields);
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let set_current = TableUpdate::SetCurrentSchema { schema_id: -1 };
    lake.apply(table, vec![TableUpdate::AddSchema { schema }, set_current])
}

/// Makes `change` to the fields of the struct in a column, or in its elements or values.
fn change_inside(column: &mut NestedFieldRef, change: impl FnOnce(&mut Vec<NestedFieldRef>)) {
    fn changed(ty: &Type, change: impl FnOnce(&mut Vec<NestedFieldRef>)) -> Type {
        let with_type = |field: &NestedFieldRef, ty: Type| {
            let mut field = field.as_ref().clone();
            field.field_type = Box::new(ty);
            NestedFieldRef::from(field)
        };
        match ty {
            Type::Struct(ty) => {
                let mut fields = ty.fields().to_vec();
                change(&mut fields);
                Type::Struct(StructType::new(fields))
            }
            Type::List(ListType { element_field }) => {
                let ty = changed(&element_field.field_type, change);
                Type::List(ListType::new(with_type(element_field, ty)))
            }
            Type::Map(map) => {
                let ty = changed(&map.value_field.field_type, change);
                let value = with_type(&map.value_field, ty);
                Type::Map(MapType::new(map.key_field.clone(), value))
            }
            Type::Primitive(_) => panic!("no struct in {ty}"),
        }
    }
    let mut field = column.as_ref().clone();
    field.field_type = Box::new(changed(&field.field_type, change));
    *column = field.into();
}

/// A type that has a struct in it.
type Kind = fn(DataType) -> DataType;

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_was_added_to_a_struct_is_null_in_older_files() {
    let kinds: [(Kind, &str, &str, &str); 3] = [
        (
            |ty| ty,
            r#"{"id":1,"c":{"x":1,"y":"a"}} {"id":2,"c":null} {"id":3,"c":{"x":null,"y":null}}"#,
            r#"{"id":4,"c":{"x":4,"y":"d","z":5}}"#,
            "1,{x: 1, y: a, z: }\n2,\n3,{x: , y: , z: }\n4,{x: 4, y: d, z: 5}",
        ),
        (
            |ty| DataType::new_list(ty, true),
            r#"{"id":1,"c":[{"x":1,"y":"a"},null]} {"id":2,"c":null} {"id":3,"c":[]}"#,
            r#"{"id":4,"c":[{"x":4,"y":"d","z":5}]}"#,
            "1,[{x: 1, y: a, z: }, ]\n2,\n3,[]\n4,[{x: 4, y: d, z: 5}]",
        ),
        (
            map_to,
            r#"{"id":1,"c":{"k":{"x":1,"y":"a"},"l":null}} {"id":2,"c":null} {"id":3,"c":{}}"#,
            r#"{"id":4,"c":{"m":{"x":4,"y":"d","z":5}}}"#,
            "1,{k: {x: 1, y: a, z: }, l: }\n2,\n3,{}\n4,{m: {x: 4, y: d, z: 5}}",
        ),
    ];
    for (kind, old, new, expected) in kinds {
        let mut fields = vec![int("x"), Field::new("y", DataType::Utf8, true)];
        let schema = |fields: &Vec<Field>| {
            let ty = kind(structure(fields.clone()));
            columns(vec![("id", DataType::Int64), ("c", ty)])
        };
        let lake = Lake::new();
        let table = lake.table_with(rows(&schema(&fields), old)).await;
        let last = table.metadata().last_column_id();
        let table = altered(&lake, &table, |columns| {
            change_inside(&mut columns[1], |fields| {
                fields.push(optional(last + 1, "z", PrimitiveType::Int));
            });
        });
        let all = "SELECT * FROM t ORDER BY id";
        let (older, newest) = expected.rsplit_once('\n').unwrap();
        assert_eq!(lake.query(&table, all).await, older);
        assert_eq!(
            lake.query(&table, "SELECT id FROM t WHERE c IS NULL").await,
            "2"
        );

        fields.push(int("z"));
        let table = lake.append(&table, rows(&schema(&fields), new)).await;
        assert_eq!(lake.query(&table, all).await, expected, "with {newest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_found_by_their_ids_whatever_became_of_names_and_places() {
    let lake = Lake::new();
    let point = structure(vec![int("x"), int("y")]);
    let schema = columns(vec![("p", point), ("other", DataType::Int64)]);
    let json = r#"{"p":{"x":1,"y":2},"other":9} {"p":null,"other":9}"#;
    let table = lake.table_with(rows(&schema, json)).await;
    let last = table.metadata().last_column_id();
    let ids = table.metadata().current_schema().clone();
    let [x, y] = ["p.x", "p.y"].map(|name| ids.field_id_by_name(name).unwrap());
    use PrimitiveType::{Int, Long};
    let new = |name: &str| optional(last + 1, name, Int);
    let cases = [
        (
            "swapped names",
            vec![optional(x, "y", Int), optional(y, "x", Int)],
            "{y: 1, x: 2}",
        ),
        (
            "moved",
            vec![optional(y, "y", Int), optional(x, "x", Int)],
            "{y: 2, x: 1}",
        ),
        (
            "wider and renamed",
            vec![optional(x, "a", Long), optional(y, "b", Int)],
            "{a: 1, b: 2}",
        ),
        (
            "renamed beside a new one",
            vec![new("x"), optional(x, "w", Long)],
            "{x: , w: 1}",
        ),
        ("one dropped", vec![optional(y, "y", Int)], "{y: 2}"),
        (
            "dropped and added again",
            vec![optional(y, "y", Int), new("x")],
            "{y: 2, x: }",
        ),
        ("all replaced", vec![new("x")], "{x: }"),
    ];
    for (what, fields, expected) in cases {
        let table = altered(&lake, &table, |columns| {
            change_inside(&mut columns[0], |old| *old = fields);
        });
        assert_eq!(
            lake.query(&table, "SELECT p FROM t").await,
            format!("{expected}\n"),
            "{what}"
        );
        let both = lake.query(&table, "SELECT other, p FROM t").await;
        assert_eq!(both, format!("9,{expected}\n9,"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_found_by_their_ids_whatever_became_of_names_and_places() {
    let lake = Lake::new();
    let schema = columns(vec![
        ("a", DataType::Int32),
        ("b", DataType::Int32),
        ("c", DataType::Int32),
    ]);
    let table = lake
        .table_with(rows(&schema, r#"{"a":1,"b":2,"c":3}"#))
        .await;
    use PrimitiveType::Int;
    let moved = altered(&lake, &table, |columns| columns.swap(0, 1));
    assert_eq!(lake.query(&moved, "SELECT * FROM t").await, "2,1,3");
    let swapped = altered(&lake, &table, |columns| {
        columns[0] = optional(1, "b", Int);
        columns[1] = optional(2, "a", Int);
    });
    assert_eq!(lake.query(&swapped, "SELECT a, b FROM t").await, "2,1");
    let again = altered(&lake, &table, |columns| columns[0] = optional(4, "a", Int));
    assert_eq!(lake.query(&again, "SELECT a FROM t").await, "");
    assert_eq!(lake.query(&again, "SELECT a, c FROM t").await, ",3");
    assert_eq!(
        lake.query(&again, "SELECT count(*) FROM t WHERE a IS NULL")
            .await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_any_type_that_was_added_is_null_in_older_files() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..2)).await;
    let inner = |id| optional(id, "x", PrimitiveType::Time);
    let list = |element: i32, ty| {
        let element = NestedField::list_element(element, ty, false);
        Type::List(ListType::new(element.into()))
    };
    let structure = |ids: [i32; 2]| {
        let element = Type::Primitive(PrimitiveType::Int);
        let tags = NestedField::optional(ids[0], "tags", list(ids[1], element));
        StructType::new(vec![tags.into()])
    };
    let types = [
        Type::Primitive(PrimitiveType::Time),
        Type::Primitive(PrimitiveType::Binary),
        Type::Primitive(PrimitiveType::Fixed(3)),
        Type::Primitive(PrimitiveType::Uuid),
        Type::Primitive(PrimitiveType::Timestamptz),
        list(20, Type::Primitive(PrimitiveType::String)),
        list(21, Type::Struct(StructType::new(vec![inner(22)]))),
        Type::Struct(structure([23, 24])),
        Type::Map(MapType::optional(
            25,
            Type::Primitive(PrimitiveType::String),
            26,
            Type::Struct(StructType::new(vec![inner(27)])),
        )),
    ];
    for ty in types {
        let shown = ty.to_string();
        let table = altered(&lake, &table, |columns| {
            columns.push(NestedField::optional(10, "added", ty).into());
        });
        let all = lake.query(&table, "SELECT added, n FROM t").await;
        assert_eq!(all, ",0\n,1", "{shown}");
        let count = "SELECT count(*) FROM t WHERE added IS NULL";
        assert_eq!(lake.query(&table, count).await, "2", "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_field_has_its_initial_default_in_older_files() {
    use iceberg::spec::Literal;
    let lake = Lake::new();
    let schema = columns(vec![("p", structure(vec![int("x")]))]);
    let json = r#"{"p":{"x":1}} {"p":null}"#;
    let table = lake.table_with(rows(&schema, json)).await;
    let upgrade = TableUpdate::UpgradeFormatVersion {
        format_version: FormatVersion::V3,
    };
    let table = lake.apply(&table, vec![upgrade]);
    let with_default = |id, name: &str, ty, default| {
        let field = NestedField::optional(id, name, Type::Primitive(ty));
        NestedFieldRef::from(field.with_initial_default(default))
    };
    let table = altered(&lake, &table, |columns| {
        change_inside(&mut columns[0], |fields| {
            fields.push(with_default(10, "y", PrimitiveType::Long, Literal::long(7)));
        });
        let noon = Literal::time(12 * 3_600_000_000);
        columns.push(with_default(11, "at", PrimitiveType::Time, noon));
        columns.push(with_default(12, "n", PrimitiveType::Long, Literal::long(8)));
    });
    assert_eq!(
        lake.query(&table, "SELECT p, at FROM t").await,
        "{x: 1, y: 7},12:00:00\n,12:00:00"
    );
    for (filter, rows) in [("n = 8", "2"), ("n IS NULL", "0"), ("n > 8", "0")] {
        let count = format!("SELECT count(*) FROM t WHERE {filter}");
        assert_eq!(lake.query(&table, &count).await, rows, "{filter}");
    }
}

/// Adds a file that something wrote which knows nothing of Iceberg.
async fn append_foreign(lake: &Lake, table: &Table, batch: RecordBatch) -> Table {
    let mut bytes = Vec::new();
    let schema = batch.schema();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (io, metadata) = (table.file_io().clone(), table.metadata());
    let path = format!("{}/data/foreign.parquet", lake.location());
    let file = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(path.clone())
        .file_format(DataFileFormat::Parquet)
        .record_count(batch.num_rows() as u64)
        .file_size_in_bytes(bytes.len() as u64)
        .build()
        .unwrap();
    let output = io.new_output(&path).unwrap();
    output.write(bytes.into()).await.unwrap();
    let mut producer = SnapshotProducer::append(io, vec![file]);
    producer = producer.with_schema(metadata.current_schema().clone());
    let snapshot = producer.produce(metadata, None).await.unwrap();
    publish(lake, table, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_ids_is_read_by_name_or_place_and_never_as_nulls() {
    let lake = Lake::new();
    let point = structure(vec![int("x")]);
    let schema = columns(vec![("n", DataType::Int64), ("p", point)]);
    let table = lake.create(crate::schema::table_schema(&schema).unwrap());
    let batch = rows(&schema, r#"{"n":1,"p":{"x":2}}"#);
    let by_place = append_foreign(&lake, &table, batch).await;
    assert_eq!(
        lake.query(&by_place, "SELECT p, n FROM t").await,
        "{x: 2},1"
    );

    let names = r#"[{"field-id":1,"names":["n"]},{"field-id":2,"names":["p"],
        "fields":[{"field-id":3,"names":["x"]}]}]"#;
    let property = (iceberg::spec::DEFAULT_SCHEMA_NAME_MAPPING, names);
    let updates = HashMap::from([(property.0.to_owned(), property.1.to_owned())]);
    let by_name = lake.apply(&by_place, vec![TableUpdate::SetProperties { updates }]);
    assert_eq!(lake.query(&by_name, "SELECT n FROM t").await, "1");
    let context = lake.context(&by_name, &At::Main, 2).await;
    let error = context
        .sql("SELECT p FROM t")
        .await
        .unwrap()
        .collect()
        .await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(r#"it has nested column "p" in a data file without field ids"#),
        "{error}"
    );
}
