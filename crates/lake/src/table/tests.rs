use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use iceberg::TableUpdate;
use iceberg::spec::{
    NestedField, PrimitiveType, Schema, Snapshot, SnapshotReference, SnapshotRetention, Type,
};
use rat_types::MergeStrategy;

use super::*;
use crate::testing::Lake;

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(range.clone()));
    let text = range.map(|n| (n % 3 != 0).then(|| format!("row {n:06}")));
    let s: ArrayRef = Arc::new(StringArray::from_iter(text));
    RecordBatch::try_from_iter_with_nullable([("n", n, true), ("s", s, true)]).unwrap()
}

async fn scan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let mut plan = context
        .sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    while let Some(child) = plan.children().first().cloned() {
        plan = child.clone();
    }
    assert_eq!(plan.name(), "LakeScan", "{sql}");
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_reads_back_what_was_written() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..10)).await;
    let rows = lake
        .query(&table, "SELECT n, s FROM t WHERE n IN (3, 4) ORDER BY n")
        .await;
    assert_eq!(rows, "3,\n4,row 000004");
    assert_eq!(lake.query(&table, "SELECT count(*) FROM t").await, "10");
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t WHERE s IS NULL")
            .await,
        "4"
    );
    assert_eq!(
        lake.query(&table, "SELECT s FROM t WHERE s LIKE 'row 000005%'")
            .await,
        "row 000005"
    );
    assert_eq!(
        lake.query(&table, "SELECT 1 FROM t LIMIT 3").await,
        "1\n1\n1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_read_by_all_partitions() {
    let lake = Lake::new().with_row_groups(20_000);
    let rows = 400_000;
    let table = lake.table_with(numbers(0..rows)).await;
    assert_eq!(lake.files_in("data"), 1);
    let context = lake.context(&table, &At::Main, 4).await;
    let plan = scan(&context, "SELECT n, s FROM t").await;
    let bytes = std::fs::read_dir(lake.folder.path().join("t/data")).unwrap();
    let bytes: u64 = bytes
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(
        plan.properties().partitioning.partition_count(),
        4,
        "{bytes} bytes"
    );

    let mut total = 0;
    for partition in 0..4 {
        let stream = plan.execute(partition, context.task_ctx()).unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert!(
            (60_000..=140_000).contains(&rows),
            "partition {partition} has {rows} rows"
        );
        total += rows;
    }
    assert_eq!(total, 400_000);
    let expected = format!("{}", (0..rows).sum::<i64>());
    assert_eq!(lake.query(&table, "SELECT sum(n) FROM t").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_have_exactly_the_declared_schema_also_inside_nested_columns() {
    let lake = Lake::new();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let fields = Fields::from(vec![Field::new("x", DataType::Float64, true)]);
    let points = StructArray::new(
        fields,
        vec![Arc::new(Float64Array::from(vec![1.5, 2.5, 3.5]))],
        Some(vec![true, false, true].into()),
    );
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("lists", Arc::new(lists) as ArrayRef, true),
        ("point", Arc::new(points) as ArrayRef, true),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef,
            true,
        ),
    ])
    .unwrap();
    let table = lake.table_with(batch).await;
    let context = lake.context(&table, &At::Main, 2).await;
    let plan = scan(&context, "SELECT * FROM t").await;
    let schema = plan.schema();
    assert!(
        format!("{schema:?}").find("PARQUET:field_id").is_none(),
        "{schema:?}"
    );
    for batch in collect(plan, context.task_ctx()).await.unwrap() {
        assert_eq!(batch.schema(), schema);
        assert_eq!(batch.column(0).null_count(), 1);
    }
    assert_eq!(
        lake.query(&table, "SELECT point['x'] FROM t WHERE flag")
            .await,
        "1.5\n3.5"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_matching_rows_are_not_read() {
    let lake = Lake::new();
    let mut table = lake.table_with(numbers(0..100)).await;
    for i in 1..5 {
        table = lake.append(&table, numbers(i * 100..i * 100 + 100)).await;
    }
    let context = lake.context(&table, &At::Main, 4).await;
    let files = |plan: &Arc<dyn ExecutionPlan>| {
        plan.as_any()
            .downcast_ref::<LakeScan>()
            .unwrap()
            .file_count()
    };
    assert_eq!(files(&scan(&context, "SELECT n FROM t").await), 5);
    assert_eq!(
        files(&scan(&context, "SELECT n FROM t WHERE n >= 350").await),
        2
    );
    assert_eq!(
        files(&scan(&context, "SELECT s FROM t WHERE s = 'row 000250'").await),
        1
    );
    assert_eq!(
        files(&scan(&context, "SELECT n FROM t WHERE n < 0").await),
        0
    );
    let sum = lake
        .query(&table, "SELECT sum(n) FROM t WHERE n >= 350 AND n < 360")
        .await;
    assert_eq!(sum, (350..360).sum::<i64>().to_string());
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t WHERE NOT (n < 350)")
            .await,
        "150"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_exact_where_nothing_is_filtered() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..100)).await;
    let context = lake.context(&table, &At::Main, 4).await;
    let statistics = |plan: Arc<dyn ExecutionPlan>| plan.partition_statistics(None).unwrap();
    let all = statistics(scan(&context, "SELECT n FROM t").await);
    assert_eq!(all.num_rows, Precision::Exact(100));
    assert_eq!(all.total_byte_size, Precision::Inexact(800));
    let some = statistics(scan(&context, "SELECT n FROM t WHERE n > 3").await);
    assert_eq!(some.num_rows, Precision::Inexact(100));
    let first = statistics(scan(&context, "SELECT n FROM t LIMIT 7").await);
    assert_eq!(first.num_rows, Precision::Exact(7));
    // DataFusion answers this from the statistics, without a scan.
    let plan = context.sql("SELECT count(*) FROM t").await.unwrap();
    let plan = plan.create_physical_plan().await.unwrap();
    let text = datafusion::physical_plan::displayable(plan.as_ref())
        .indent(false)
        .to_string();
    assert!(!text.contains("LakeScan"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_without_columns() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..20_000)).await;
    let count = "SELECT count(*) FROM t a CROSS JOIN (SELECT 1 AS one UNION ALL SELECT 2) b";
    assert_eq!(lake.query(&table, count).await, "40000");
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t WHERE n % 2 = 0")
            .await,
        "10000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_table_does_not_change() {
    let lake = Lake::new();
    let before = lake.table_with(numbers(0..5)).await;
    let context = lake.context(&before, &At::Main, 2).await;
    let replaced = vec![numbers(0..1)];
    let after = lake
        .write(&before, replaced, MergeStrategy::FullRefresh, "main", true)
        .await;
    let batches = context
        .sql("SELECT n FROM t")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert_eq!(lake.query(&after, "SELECT n FROM t").await, "0");
    let old = At::Snapshot(before.metadata().current_snapshot_id().unwrap());
    assert_eq!(
        lake.query_at(&after, &old, "SELECT count(*) FROM t").await,
        "5"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_has_its_own_rows_and_columns() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..5)).await;
    let wide = RecordBatch::try_from_iter_with_nullable([
        (
            "s",
            Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
            true,
        ),
        ("d", Arc::new(Date32Array::from(vec![0])) as ArrayRef, true),
    ])
    .unwrap();
    let table = lake
        .write(
            &table,
            vec![wide],
            MergeStrategy::AppendOnly,
            "run-1",
            false,
        )
        .await;
    assert_eq!(
        lake.query(&table, "SELECT * FROM t WHERE n = 4").await,
        "4,row 000004"
    );
    let branch = At::Branch("run-1".to_owned());
    let rows = lake
        .query_at(
            &table,
            &branch,
            "SELECT * FROM t WHERE n = 4 OR d IS NOT NULL",
        )
        .await;
    let mut rows: Vec<_> = rows.lines().collect();
    rows.sort_unstable();
    assert_eq!(rows, [",x,1970-01-01", "4,row 000004,"]);
    let error = LakeTable::new(lake.ident.clone(), table, &At::Branch("run-2".to_owned())).await;
    assert_eq!(error.unwrap_err().reason(), "SNAPSHOT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn widened_and_replaced_columns_read_old_files_right() {
    let lake = Lake::new();
    let narrow = |values: Vec<i32>| {
        let column: ArrayRef = Arc::new(Int32Array::from(values));
        RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
    };
    let wide = |values: Vec<i64>| {
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
    };
    let table = lake.table_with(narrow(vec![1, 2])).await;
    let table = lake.append(&table, wide(vec![1 << 40])).await;
    let table = lake.append(&table, narrow(vec![3])).await;
    assert_eq!(
        lake.query(&table, "SELECT n FROM t ORDER BY n").await,
        "1\n2\n3\n1099511627776"
    );
    let filter = format!("SELECT count(*) FROM t WHERE n < {}", 1_i64 << 39);
    assert_eq!(lake.query(&table, &filter).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_somebody_added_after_the_last_snapshot_are_there() {
    let lake = Lake::new();
    let table = lake.table_with(numbers(0..3)).await;
    let mut fields = table
        .metadata()
        .current_schema()
        .as_struct()
        .fields()
        .to_vec();
    fields.push(NestedField::optional(3, "extra", Type::Primitive(PrimitiveType::Int)).into());
    let renamed = NestedField::optional(1, "m", Type::Primitive(PrimitiveType::Long));
    fields[0] = renamed.into();
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let updates = vec![
        TableUpdate::AddSchema { schema },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    let table = lake.apply(&table, updates);
    assert_eq!(
        lake.query(&table, "SELECT m, extra FROM t WHERE m = 2")
            .await,
        "2,"
    );
    assert_eq!(
        lake.query(&table, "SELECT m FROM t WHERE extra IS NULL AND m < 1")
            .await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_snapshot_is_empty() {
    let lake = Lake::new();
    let table = lake.create(crate::schema::table_schema(&numbers(0..1).schema()).unwrap());
    assert_eq!(lake.query(&table, "SELECT * FROM t").await, "");
    assert_eq!(lake.query(&table, "SELECT count(*) FROM t").await, "0");
    let emptied = lake.table_with(numbers(0..4)).await;
    let nothing = vec![numbers(0..0)];
    let emptied = lake
        .write(&emptied, nothing, MergeStrategy::FullRefresh, "main", true)
        .await;
    assert_eq!(
        lake.query(&emptied, "SELECT count(*) FROM t WHERE n > 0")
            .await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn random_writes_keep_the_sum_of_all_rows() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..4 {
        let (lake, mut random) = (Lake::new(), StdRng::seed_from_u64(seed));
        let mut table = lake.create(crate::schema::table_schema(&numbers(0..1).schema()).unwrap());
        let mut sum = 0;
        for _ in 0..8 {
            let (from, rows) = (
                random.random_range(-1000..1000),
                random.random_range(0..3000),
            );
            let strategy = match random.random_bool(0.3) {
                true => MergeStrategy::FullRefresh,
                false => MergeStrategy::AppendOnly,
            };
            if strategy == MergeStrategy::FullRefresh {
                sum = 0;
            }
            sum += (from..from + rows).sum::<i64>();
            let batches = vec![
                numbers(from..from + rows / 2),
                numbers(from + rows / 2..from + rows),
            ];
            table = lake.write(&table, batches, strategy, "main", true).await;
            let total = lake
                .query(&table, "SELECT coalesce(sum(n), 0) FROM t")
                .await;
            assert_eq!(total, sum.to_string(), "seed {seed}");
        }
    }
}

/// Deletes rows of the table's only data file by position, as engines do that merge on read.
async fn delete_positions(lake: &Lake, table: &Table, positions: Vec<i64>) -> Table {
    use iceberg::spec::{
        DataContentType, DataFileBuilder, ManifestListWriter, ManifestWriterBuilder, Operation,
        Summary,
    };
    let (io, metadata) = (table.file_io(), table.metadata());
    let base = metadata.current_snapshot().unwrap();
    let data = live_files(io, metadata, base).await.unwrap()[0]
        .data_file
        .clone();

    let field = |name: &str, ty: DataType, id: i32| {
        let metadata = [("PARQUET:field_id".to_owned(), id.to_string())].into();
        Field::new(name, ty, false).with_metadata(metadata)
    };
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![
        field("file_path", DataType::Utf8, 2_147_483_546),
        field("pos", DataType::Int64, 2_147_483_545),
    ]));
    let paths = StringArray::from(vec![data.file_path(); positions.len()]);
    let count = positions.len() as u64;
    let columns: Vec<ArrayRef> = vec![Arc::new(paths), Arc::new(Int64Array::from(positions))];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let path = format!("{}/data/deletes.parquet", lake.location());
    let deletes = DataFileBuilder::default()
        .content(DataContentType::PositionDeletes)
        .file_path(path.clone())
        .file_format(DataFileFormat::Parquet)
        .record_count(count)
        .file_size_in_bytes(bytes.len() as u64)
        .build()
        .unwrap();
    io.new_output(&path)
        .unwrap()
        .write(bytes.into())
        .await
        .unwrap();

    let (id, sequence) = (77, metadata.next_sequence_number());
    let output = io
        .new_output(format!("{}/metadata/d.avro", lake.location()))
        .unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let current = metadata.current_schema().clone();
    let mut writer = ManifestWriterBuilder::new(output, Some(id), current, spec).build_v2_deletes();
    writer.add_file(deletes, -1).unwrap();
    let manifest = writer.write_manifest_file().await.unwrap();
    let list = format!("{}/metadata/d-list.avro", lake.location());
    let output = io.new_output(&list).unwrap().writer().await.unwrap();
    let mut writer = ManifestListWriter::v2(output, id, Some(base.snapshot_id()), sequence);
    let kept = manifests(io, metadata, base).await.unwrap();
    writer
        .add_manifests(kept.into_iter().chain([manifest]))
        .unwrap();
    writer.close().await.unwrap();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(id)
        .with_parent_snapshot_id(Some(base.snapshot_id()))
        .with_sequence_number(sequence)
        .with_timestamp_ms(metadata.last_updated_ms())
        .with_manifest_list(list)
        .with_summary(Summary {
            operation: Operation::Delete,
            additional_properties: std::collections::HashMap::new(),
        })
        .with_schema_id(metadata.current_schema_id())
        .build();
    publish(lake, table, snapshot)
}

/// The table with `snapshot` as the head of `main`.
fn publish(lake: &Lake, table: &Table, snapshot: Snapshot) -> Table {
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
    let ref_name = "main".to_owned();
    let updates = vec![
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef {
            ref_name,
            reference,
        },
    ];
    lake.apply(table, updates)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_by_others_are_gone_also_from_a_file_that_is_cut() {
    let lake = Lake::new().with_row_groups(20_000);
    let rows = 300_000;
    let table = lake.table_with(numbers(0..rows)).await;
    let dead: Vec<i64> = (0..rows).filter(|n| n % 7 == 0).collect();
    let table = delete_positions(&lake, &table, dead.clone()).await;

    let context = lake.context(&table, &At::Main, 4).await;
    let plan = scan(&context, "SELECT n FROM t").await;
    assert_eq!(plan.properties().partitioning.partition_count(), 4);
    let statistics = plan.partition_statistics(None).unwrap();
    assert!(
        matches!(statistics.num_rows, Precision::Inexact(_)),
        "{statistics:?}"
    );
    let left: Vec<i64> = (0..rows).filter(|n| n % 7 != 0).collect();
    let expected = format!("{},{}", left.len(), left.iter().sum::<i64>());
    assert_eq!(
        lake.query(&table, "SELECT count(*), sum(n) FROM t").await,
        expected
    );
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t").await,
        left.len().to_string()
    );
    assert_eq!(
        lake.query(&table, "SELECT n FROM t WHERE n IN (6, 7, 8) ORDER BY n")
            .await,
        "6\n8"
    );
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t WHERE n < 70")
            .await,
        "60"
    );

    // Replacing the rows drops what deleted some of them.
    let fresh = vec![numbers(0..10)];
    let table = lake
        .write(&table, fresh, MergeStrategy::FullRefresh, "main", true)
        .await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let files = live_files(table.file_io(), table.metadata(), snapshot)
        .await
        .unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(
        lake.query(&table, "SELECT count(*), sum(n) FROM t").await,
        "10,45"
    );
    let summary = &snapshot.summary().additional_properties;
    assert_eq!(summary["removed-delete-files"], "1");
    assert_eq!(summary["total-delete-files"], "0");
}

#[tokio::test]
async fn a_table_with_deletion_vectors_is_refused_by_name() {
    use iceberg::spec::{
        DataContentType, DataFileBuilder, ManifestListWriter, ManifestWriterBuilder, Operation,
        Summary,
    };
    let lake = Lake::new();
    let table = lake.create(crate::schema::table_schema(&numbers(0..1).schema()).unwrap());
    let upgrade = TableUpdate::UpgradeFormatVersion {
        format_version: FormatVersion::V3,
    };
    let table = lake.apply(&table, vec![upgrade]);
    let (io, metadata) = (table.file_io(), table.metadata());
    assert_eq!(
        lake.query(&table, "SELECT count(*) FROM t").await,
        "0",
        "version 3 alone is fine"
    );

    let vector = DataFileBuilder::default()
        .content(DataContentType::PositionDeletes)
        .file_path(format!("{}/data/v.puffin", lake.location()))
        .file_format(DataFileFormat::Puffin)
        .record_count(1)
        .file_size_in_bytes(1)
        .build()
        .unwrap();
    let output = io
        .new_output(format!("{}/metadata/v.avro", lake.location()))
        .unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let schema = metadata.current_schema().clone();
    let mut writer = ManifestWriterBuilder::new(output, Some(7), schema, spec).build_v3_deletes();
    writer.add_file(vector, -1).unwrap();
    let manifest = writer.write_manifest_file().await.unwrap();
    let list = format!("{}/metadata/v-list.avro", lake.location());
    let output = io.new_output(&list).unwrap().writer().await.unwrap();
    let mut writer = ManifestListWriter::v3(output, 7, None, 1, Some(0));
    writer.add_manifests([manifest].into_iter()).unwrap();
    writer.close().await.unwrap();
    let summary = Summary {
        operation: Operation::Delete,
        additional_properties: std::collections::HashMap::new(),
    };
    let snapshot = Snapshot::builder()
        .with_snapshot_id(7)
        .with_sequence_number(1)
        .with_timestamp_ms(metadata.last_updated_ms())
        .with_manifest_list(list)
        .with_summary(summary)
        .with_schema_id(metadata.current_schema_id())
        .with_row_range(0, 0)
        .build();
    let table = publish(&lake, &table, snapshot);
    let error = LakeTable::new(lake.ident.clone(), table, &At::Main)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table shop.gold.t cannot be read: it has deletion vectors"
    );
    assert_eq!(error.reason(), "TABLE_UNSUPPORTED");
}

mod columns;
