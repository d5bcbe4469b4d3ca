use std::collections::HashMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, Literal,
    NestedField, Operation, PartitionSpec, PrimitiveType, Schema, SortOrder, Struct, TableMetadata,
    TableMetadataBuilder, Transform, Type, UnboundPartitionSpec,
};
use iceberg::spec::{Snapshot, SnapshotReference, SnapshotRetention};
use iceberg::{TableCreation, TableUpdate};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rat_types::RunId;

use super::*;

const MAIN: &str = "main";
const RUN: &str = "run-1";

fn schema() -> Schema {
    let id = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
    Schema::builder()
        .with_fields([Arc::new(id)])
        .build()
        .unwrap()
}

/// A folder for one table, with the storage that the product uses.
struct Lake {
    folder: tempfile::TempDir,
    io: FileIO,
}

impl Lake {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            io: crate::storage::file_io(),
        }
    }

    fn location(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    fn table(&self) -> TableMetadata {
        table(&self.location(), FormatVersion::V2)
    }
}

fn table(location: &str, version: FormatVersion) -> TableMetadata {
    let spec = PartitionSpec::unpartition_spec().into_unbound();
    let (location, order) = (location.to_owned(), SortOrder::unsorted_order());
    TableMetadataBuilder::new(schema(), spec, order, location, version, HashMap::new())
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

fn file(name: &str, records: u64) -> DataFile {
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("file:///lake/t/data/{name}.parquet"))
        .file_format(DataFileFormat::Parquet)
        .record_count(records)
        .file_size_in_bytes(records * 10)
        .build()
        .unwrap()
}

/// What the catalog does with a produced snapshot.
fn commit(metadata: TableMetadata, snapshot: Snapshot, branch: &str) -> TableMetadata {
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
    let updates = [
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef {
            ref_name: branch.to_owned(),
            reference,
        },
    ];
    apply(metadata, updates)
}

fn apply(metadata: TableMetadata, updates: impl IntoIterator<Item = TableUpdate>) -> TableMetadata {
    let builder = metadata.into_builder(None);
    let builder = updates
        .into_iter()
        .try_fold(builder, |builder, update| update.apply(builder));
    builder.unwrap().build().unwrap().metadata
}

fn head(metadata: &TableMetadata, branch: &str) -> Option<i64> {
    metadata
        .snapshot_for_ref(branch)
        .map(|snapshot| snapshot.snapshot_id())
}

async fn append(
    io: &FileIO,
    metadata: TableMetadata,
    branch: &str,
    file: DataFile,
) -> TableMetadata {
    let base = head(&metadata, branch).or(head(&metadata, MAIN));
    let mut producer = SnapshotProducer::append(io.clone(), vec![file]);
    let snapshot = producer.produce(&metadata, base).await.unwrap();
    commit(metadata, snapshot, branch)
}

async fn names(io: &FileIO, metadata: &TableMetadata, branch: &str) -> Vec<String> {
    let Some(snapshot) = metadata.snapshot_for_ref(branch) else {
        return Vec::new();
    };
    let files = live_files(io, metadata, snapshot).await.unwrap();
    let name = |file: &TableFile| {
        let name = file.data_file.file_path().rsplit('/').next().unwrap();
        name.trim_end_matches(".parquet").to_owned()
    };
    let mut names: Vec<_> = files.iter().map(name).collect();
    names.sort();
    names
}

fn figure(snapshot: &Snapshot, key: &str) -> Option<u64> {
    snapshot
        .summary()
        .additional_properties
        .get(key)
        .map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn an_append_keeps_what_was_there_and_adds_to_the_totals() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 3)).await;
    let run: RunId = "0190a000-0000-7000-8000-000000000001".parse().unwrap();
    let mut producer = SnapshotProducer::append(io.clone(), vec![file("b", 4)])
        .with_run_id(run)
        .with_property("total-records", "99");
    let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();

    assert_eq!(snapshot.parent_snapshot_id(), head(&table, MAIN));
    assert_eq!(snapshot.sequence_number(), 2);
    assert_eq!(snapshot.summary().operation, Operation::Append);
    assert_eq!(
        snapshot.summary().additional_properties[RUN_ID_PROPERTY],
        run.to_string()
    );
    assert_eq!(figure(&snapshot, "added-records"), Some(4));
    assert_eq!(figure(&snapshot, "total-records"), Some(7));
    assert_eq!(figure(&snapshot, "total-data-files"), Some(2));
    assert_eq!(figure(&snapshot, "total-files-size"), Some(70));
    let own = format!("{}/metadata/{}", lake.location(), run.branch());
    let paths = added_paths(&io, &table, &snapshot, &own).await.unwrap();
    assert_eq!(
        paths.manifests.len(),
        1,
        "everything is in the run's folder"
    );

    let table = commit(table, snapshot.clone(), MAIN);
    assert_eq!(names(&io, &table, MAIN).await, ["a", "b"]);
    let added = added_files(&io, &table, &snapshot).await.unwrap();
    assert_eq!(added.len(), 1);
    assert_eq!(added[0].sequence_number, Some(2));
}

#[tokio::test]
async fn an_overwrite_drops_every_live_file_and_keeps_their_sequence_numbers() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 3)).await;
    let table = append(&io, table, MAIN, file("b", 4)).await;
    let base = head(&table, MAIN);
    let mut producer = SnapshotProducer::overwrite(io.clone(), vec![file("c", 5)]);
    let snapshot = producer.produce(&table, base).await.unwrap();
    assert_eq!(figure(&snapshot, "deleted-records"), Some(7));
    assert_eq!(figure(&snapshot, "deleted-data-files"), Some(2));
    assert_eq!(figure(&snapshot, "total-records"), Some(5));
    let table = commit(table, snapshot.clone(), RUN);
    assert_eq!(names(&io, &table, RUN).await, ["c"]);
    assert_eq!(names(&io, &table, MAIN).await, ["a", "b"]);

    let mut deleted = Vec::new();
    for manifest in manifests(&io, &table, &snapshot).await.unwrap() {
        assert_eq!(manifest.added_snapshot_id, snapshot.snapshot_id());
        let entries = manifest.load_manifest(&io).await.unwrap().into_parts().0;
        deleted.extend(entries.iter().filter(|entry| !entry.is_alive()).cloned());
    }
    let mut numbers: Vec<_> = deleted
        .iter()
        .map(|entry| entry.sequence_number())
        .collect();
    numbers.sort();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert!(
        deleted
            .iter()
            .all(|entry| entry.snapshot_id() == Some(snapshot.snapshot_id()))
    );

    // What is dead already is not dropped a second time.
    let mut producer = SnapshotProducer::overwrite(io.clone(), Vec::new());
    let emptied = producer.produce(&table, head(&table, RUN)).await.unwrap();
    assert_eq!(figure(&emptied, "deleted-data-files"), Some(1));
    assert_eq!(figure(&emptied, "total-records"), Some(0));
    let table = commit(table, emptied, RUN);
    assert!(names(&io, &table, RUN).await.is_empty());
}

#[tokio::test]
async fn a_lost_race_is_repeated_with_the_same_id_and_the_same_manifest() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let before = append(&io, lake.table(), MAIN, file("a", 1)).await;
    let mut producer = SnapshotProducer::append(io.clone(), vec![file("b", 1)]);
    let lost = producer
        .produce(&before, head(&before, MAIN))
        .await
        .unwrap();
    let after = append(&io, before, MAIN, file("c", 1)).await;
    let won = producer.produce(&after, head(&after, MAIN)).await.unwrap();
    assert_eq!(lost.snapshot_id(), won.snapshot_id());
    assert_eq!((lost.sequence_number(), won.sequence_number()), (2, 3));

    let after = commit(after, won.clone(), MAIN);
    producer.clean_up(&won).await;
    assert!(!io.exists(lost.manifest_list()).await.unwrap());
    assert_eq!(names(&io, &after, MAIN).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_abandoned_snapshot_leaves_no_file() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = lake.table();
    let mut producer = SnapshotProducer::append(io.clone(), vec![file("b", 1)]);
    let snapshot = producer.produce(&table, None).await.unwrap();
    let paths = added_paths(&io, &table, &snapshot, &lake.location())
        .await
        .unwrap();
    producer.abandon().await;
    for path in paths.manifests.iter().chain([&paths.manifest_list]) {
        assert!(!io.exists(path).await.unwrap(), "{path}");
    }
}

#[tokio::test]
async fn a_rebase_moves_all_appends_of_a_branch_behind_what_main_got_meanwhile() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 1)).await;
    let table = append(&io, table, RUN, file("b", 2)).await;
    let table = append(&io, table, RUN, file("c", 4)).await;
    let table = append(&io, table, MAIN, file("d", 8)).await;
    assert_eq!(names(&io, &table, RUN).await, ["a", "b", "c"]);

    let (branch, main) = (head(&table, RUN).unwrap(), head(&table, MAIN));
    let mut producer = SnapshotProducer::rebase(io.clone(), &table, branch, main)
        .await
        .unwrap();
    let snapshot = producer.produce(&table, main).await.unwrap();
    assert_eq!(snapshot.parent_snapshot_id(), main);
    assert_eq!(figure(&snapshot, "added-records"), Some(6));
    assert_eq!(figure(&snapshot, "total-records"), Some(15));
    let table = commit(table, snapshot.clone(), MAIN);
    assert_eq!(names(&io, &table, MAIN).await, ["a", "b", "c", "d"]);
    let added = added_files(&io, &table, &snapshot).await.unwrap();
    assert!(
        added
            .iter()
            .all(|file| file.sequence_number == Some(snapshot.sequence_number()))
    );
}

#[tokio::test]
async fn an_overwrite_cannot_be_rebased() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 1)).await;
    let mut producer = SnapshotProducer::overwrite(io.clone(), vec![file("b", 1)]);
    let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();
    let table = commit(table, snapshot.clone(), RUN);
    let table = append(&io, table, MAIN, file("c", 1)).await;
    let (branch, main) = (head(&table, RUN).unwrap(), head(&table, MAIN));
    let error = SnapshotProducer::rebase(io, &table, branch, main)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "SNAPSHOT_NOT_AN_APPEND");
}

#[tokio::test]
async fn other_versions_partitioned_tables_and_unknown_snapshots_are_refused() {
    let lake = Lake::new();
    let io = lake.io.clone();
    for version in [FormatVersion::V1, FormatVersion::V3] {
        let mut producer = SnapshotProducer::append(io.clone(), vec![file("a", 1)]);
        let error = producer
            .produce(&table(&lake.location(), version), None)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "TABLE_FORMAT_VERSION");
    }
    let mut producer = SnapshotProducer::append(io.clone(), vec![file("a", 1)]);
    let error = producer.produce(&lake.table(), Some(7)).await.unwrap_err();
    assert_eq!(error.reason(), "SNAPSHOT_UNKNOWN");
    let error = producer
        .produce(&partitioned(lake.location()), None)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "TABLE_PARTITIONED");
}

fn partitioned(location: String) -> TableMetadata {
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(1, "id_bucket", Transform::Identity)
        .unwrap()
        .build();
    let creation = TableCreation::builder()
        .name("t".to_owned())
        .location(location)
        .schema(schema())
        .partition_spec(spec)
        .build();
    TableMetadataBuilder::from_table_creation(creation)
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

#[tokio::test]
async fn an_overwrite_drops_the_files_of_every_partition_spec() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = partitioned(lake.location());
    let old = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path("file:///lake/t/data/id=1/p.parquet".to_owned())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([Some(Literal::long(1))]))
        .record_count(1)
        .file_size_in_bytes(1)
        .build()
        .unwrap();
    // As another engine would have written it.
    let mut producer = SnapshotProducer::append(io.clone(), Vec::new());
    producer.add_with_spec(table.default_partition_spec_id(), old);
    let snapshot = producer.produce(&table, None).await.unwrap();
    let table = commit(table, snapshot, MAIN);
    let evolved = [
        TableUpdate::AddSpec {
            spec: UnboundPartitionSpec::builder().build(),
        },
        TableUpdate::SetDefaultSpec { spec_id: -1 },
    ];
    let table = append(&io, apply(table, evolved), MAIN, file("u", 2)).await;
    assert_eq!(names(&io, &table, MAIN).await, ["p", "u"]);

    let mut producer = SnapshotProducer::overwrite(io.clone(), vec![file("n", 3)]);
    let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();
    let table = commit(table, snapshot, MAIN);
    assert_eq!(names(&io, &table, MAIN).await, ["n"]);
}

#[tokio::test]
async fn added_paths_trusts_only_what_the_parent_has_and_opens_nothing_outside() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 1)).await;
    let mut producer = SnapshotProducer::append(io.clone(), vec![file("b", 1)]);
    let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();
    let paths = added_paths(&io, &table, &snapshot, &lake.location())
        .await
        .unwrap();
    assert_eq!(paths.manifests.len(), 1);
    assert_eq!(paths.added_files, ["file:///lake/t/data/b.parquet"]);
    assert!(paths.existing_files.is_empty());

    // Without its parent, the manifest of `a` is as new as the other.
    let orphan = producer.produce(&table, None).await.unwrap();
    let other = Snapshot::builder()
        .with_snapshot_id(5)
        .with_sequence_number(9)
        .with_timestamp_ms(0)
        .with_manifest_list(snapshot.manifest_list().to_owned())
        .with_summary(orphan.summary().clone())
        .build();
    let paths = added_paths(&io, &table, &other, &lake.location())
        .await
        .unwrap();
    assert_eq!(paths.manifests.len(), 2);

    let error = added_paths(&io, &table, &snapshot, "file:///lake/u")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
}

#[tokio::test]
async fn totals_are_counted_where_the_summary_does_not_state_them() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let table = append(&io, lake.table(), MAIN, file("a", 3)).await;
    let snapshot = table.current_snapshot().unwrap();
    let mut summary = snapshot.summary().clone();
    summary.additional_properties.clear();
    let silent = Snapshot::builder()
        .with_snapshot_id(snapshot.snapshot_id())
        .with_sequence_number(1)
        .with_timestamp_ms(0)
        .with_manifest_list(snapshot.manifest_list().to_owned())
        .with_summary(summary)
        .build();
    let counted = totals(&io, &table, &silent).await.unwrap();
    assert_eq!(counted, totals(&io, &table, snapshot).await.unwrap());
    assert_eq!(
        (counted.records, counted.data_files, counted.size_bytes),
        (3, 1, 30)
    );
}

#[tokio::test]
async fn a_table_upgraded_from_version_1_can_be_written() {
    let lake = Lake::new();
    let io = lake.io.clone();
    let old = table(&lake.location(), FormatVersion::V1);
    let spec = old.default_partition_spec().as_ref().clone();
    let output = io
        .new_output(format!("{}/metadata/v1-m0.avro", lake.location()))
        .unwrap();
    let mut writer = iceberg::spec::ManifestWriterBuilder::new(
        output,
        Some(11),
        old.current_schema().clone(),
        spec,
    )
    .build_v1();
    writer.add_file(file("a", 3), -1).unwrap();
    let manifest = writer.write_manifest_file().await.unwrap();
    let list = format!("{}/metadata/v1-list.avro", lake.location());
    let output = io.new_output(&list).unwrap().writer().await.unwrap();
    let mut writer = iceberg::spec::ManifestListWriter::v1(output, 11, None);
    writer.add_manifests([manifest].into_iter()).unwrap();
    writer.close().await.unwrap();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(11)
        .with_sequence_number(0)
        .with_timestamp_ms(old.last_updated_ms())
        .with_manifest_list(list)
        .with_summary(iceberg::spec::Summary {
            operation: Operation::Append,
            additional_properties: HashMap::new(),
        })
        .build();
    let table = commit(old, snapshot, MAIN);
    assert_eq!(names(&io, &table, MAIN).await, ["a"]);

    let upgrade = TableUpdate::UpgradeFormatVersion {
        format_version: FormatVersion::V2,
    };
    let table = append(&io, apply(table, [upgrade]), MAIN, file("b", 4)).await;
    assert_eq!(names(&io, &table, MAIN).await, ["a", "b"]);
    assert_eq!(
        figure(table.current_snapshot().unwrap(), "total-records"),
        Some(7)
    );
    let mut producer = SnapshotProducer::overwrite(io.clone(), vec![file("c", 1)]);
    let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();
    let table = commit(table, snapshot, MAIN);
    assert_eq!(names(&io, &table, MAIN).await, ["c"]);
}

/// The live files of main and of the branch, as a model would keep them.
#[derive(Default)]
struct Model {
    main: Vec<String>,
    branch: Option<(Vec<String>, Vec<String>, bool)>,
}

#[tokio::test]
async fn random_appends_overwrites_and_rebases_agree_with_a_model() {
    for seed in 0..6 {
        let lake = Lake::new();
        let io = lake.io.clone();
        let mut random = StdRng::seed_from_u64(seed);
        let mut table = lake.table();
        let mut model = Model::default();
        for step in 0..25 {
            let name = format!("{step:02}");
            table = random_step(&io, table, &mut model, &mut random, name).await;
            assert_eq!(
                names(&io, &table, MAIN).await,
                model.main,
                "seed {seed} step {step}"
            );
            if let Some((branch, ..)) = &model.branch {
                assert_eq!(
                    &names(&io, &table, RUN).await,
                    branch,
                    "seed {seed} step {step}"
                );
            }
            let Some(snapshot) = table.current_snapshot() else {
                continue;
            };
            let total = totals(&io, &table, snapshot).await.unwrap();
            assert_eq!(
                total.data_files as usize,
                model.main.len(),
                "seed {seed} step {step}"
            );
        }
    }
}

async fn random_step(
    io: &FileIO,
    table: TableMetadata,
    model: &mut Model,
    random: &mut StdRng,
    name: String,
) -> TableMetadata {
    let overwrite = random.random_bool(0.25);
    let files = vec![file(&name, random.random_range(1..100))];
    let mut producer = match overwrite {
        true => SnapshotProducer::overwrite(io.clone(), files),
        false => SnapshotProducer::append(io.clone(), files),
    };
    let publish = random
        .random_bool(0.3)
        .then(|| model.branch.take())
        .flatten();
    if let Some((live, own, rewritten)) = publish {
        return publish_branch(io, table, model, live, own, rewritten).await;
    }
    if random.random_bool(0.5) {
        let snapshot = producer.produce(&table, head(&table, MAIN)).await.unwrap();
        change(&mut model.main, overwrite, name);
        return commit(table, snapshot, MAIN);
    }
    let fresh = model.branch.is_none();
    let (live, own, rewritten) = model
        .branch
        .get_or_insert_with(|| (model.main.clone(), Vec::new(), false));
    let base = if fresh {
        head(&table, MAIN)
    } else {
        head(&table, RUN)
    };
    let snapshot = producer.produce(&table, base).await.unwrap();
    change(live, overwrite, name.clone());
    own.push(name);
    *rewritten |= overwrite;
    commit(table, snapshot, RUN)
}

async fn publish_branch(
    io: &FileIO,
    table: TableMetadata,
    model: &mut Model,
    live: Vec<String>,
    own: Vec<String>,
    rewritten: bool,
) -> TableMetadata {
    let (branch, main) = (head(&table, RUN).unwrap(), head(&table, MAIN));
    let remove = TableUpdate::RemoveSnapshotRef {
        ref_name: RUN.to_owned(),
    };
    if rewritten {
        model.main = live;
        let retention = SnapshotRetention::branch(None, None, None);
        let reference = SnapshotReference::new(branch, retention);
        let set = TableUpdate::SetSnapshotRef {
            ref_name: MAIN.to_owned(),
            reference,
        };
        return apply(table, [set, remove]);
    }
    model.main.extend(own);
    model.main.sort();
    let mut producer = SnapshotProducer::rebase(io.clone(), &table, branch, main)
        .await
        .unwrap();
    let snapshot = producer.produce(&table, main).await.unwrap();
    apply(commit(table, snapshot, MAIN), [remove])
}

fn change(live: &mut Vec<String>, overwrite: bool, name: String) {
    if overwrite {
        live.clear();
    }
    live.push(name);
    live.sort();
}
