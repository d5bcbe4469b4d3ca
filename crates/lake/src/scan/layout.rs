//! Which columns a data file has, and how they become those of the table.
//!
//! A file keeps the columns of the day on which it was written. The `iceberg` crate compares them
//! with the table's by position and name, and fills in few types of what is missing. So it is told
//! to read each file as it is, the file's fields in the file's order, and what it returns is
//! brought into the table's form here, by field ids. That takes a look at the file's footer first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use iceberg::arrow::{ArrowFileReader, arrow_type_to_type};
use iceberg::io::{FileIO, FileMetadata};
use iceberg::scan::FileScanTask;
use iceberg::spec::{
    ListType, MapType, NameMapping, NestedField, NestedFieldRef, Schema, StructType, Transform,
    Type,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use rat_types::TableIdent;

use crate::Error;
use crate::schema::{Shape, Source};

/// How one file is read, and what becomes of its columns.
#[derive(Debug)]
pub(super) struct Layout {
    /// Reads the columns that the file has.
    pub(super) task: FileScanTask,
    /// Where each column that was asked for comes from.
    columns: Vec<Source>,
}

impl Layout {
    /// Looks at the file of `task`, which asks for columns of `table`.
    pub(super) async fn of(
        io: &FileIO,
        table: &TableIdent,
        task: FileScanTask,
    ) -> Result<Self, Error> {
        let unreadable = |source| Error::read(table, source);
        let file = footer(io, &task).await.map_err(unreadable)?;
        if task.name_mapping.is_some()
            && let Some(column) = without_ids_inside(&file, &task)
        {
            let what = format!("nested column {column:?} in a data file without field ids");
            let table = table.clone();
            return Err(Error::Unsupported { table, what });
        }
        Self::new(task, &file).map_err(unreadable)
    }

    fn new(mut task: FileScanTask, file: &ArrowSchema) -> iceberg::Result<Self> {
        let mut fields = task.schema.as_struct().fields().to_vec();
        let places: HashMap<i32, usize> = fields.iter().map(|field| field.id).zip(0..).collect();
        let wanted = std::mem::take(&mut task.project_field_ids);
        let is_wanted: HashSet<i32> = wanted.iter().copied().collect();
        let constants = constants(&task);

        let mut present = HashSet::new();
        let mut found: HashMap<i32, Source> = HashMap::new();
        let mut project = Vec::new();
        let mut cheapest = None;
        for (column, id) in column_ids(file, task.name_mapping.as_deref()) {
            let Some((id, place)) = id.and_then(|id| Some((id, *places.get(&id)?))) else {
                continue;
            };
            present.insert(id);
            if cheapest.is_none() && fields[place].field_type.is_primitive() {
                cheapest = Some(id);
            }
            if !is_wanted.contains(&id) || constants.contains(&id) {
                continue;
            }
            let table = &fields[place].field_type;
            let have = narrowed(table, column.data_type());
            found.insert(
                id,
                Source::Column(project.len(), Shape::by_id(&have, table)),
            );
            project.push(id);
            if have != **table {
                let mut field = fields[place].as_ref().clone();
                field.field_type = Box::new(have);
                fields[place] = field.into();
            }
        }
        for id in wanted.iter().filter(|id| constants.contains(id)) {
            found.insert(*id, Source::Column(project.len(), Shape::Value));
            project.push(*id);
        }
        let columns = wanted.iter().filter_map(|id| {
            let absent = || Some(Source::absent(&fields[*places.get(id)?]));
            found.remove(id).or_else(absent)
        });
        let columns = columns.collect();
        // The reader takes what is missing for null when it looks which rows are wanted.
        let is_default = |field: &NestedFieldRef| {
            field.initial_default.is_some() && !present.contains(&field.id)
        };
        if fields.iter().any(is_default) {
            task.predicate = None;
        }
        // Without any, all are read.
        if project.is_empty() {
            project.extend(cheapest);
        }
        if fields != task.schema.as_struct().fields() {
            let id = task.schema.schema_id();
            let schema = Schema::builder().with_schema_id(id).with_fields(fields);
            task.schema = Arc::new(schema.build()?);
        }
        task.project_field_ids = project;
        Ok(Self { task, columns })
    }

    /// A batch of the file as one of `schema`, which has the columns that were asked for.
    pub(super) fn apply(
        &self,
        batch: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let columns = self.columns.iter().zip(schema.fields());
        let columns =
            columns.map(|(source, field)| source.take(batch.columns(), field.data_type(), rows));
        let columns = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.clone(), columns, &options)
    }
}

async fn footer(io: &FileIO, task: &FileScanTask) -> iceberg::Result<SchemaRef> {
    let file = io.new_input(&task.data_file_path)?.reader().await?;
    let size = task.file_size_in_bytes;
    let mut reader = ArrowFileReader::new(FileMetadata { size }, file);
    let metadata = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await;
    let metadata = metadata.map_err(|source| {
        let message = format!("failed to read the footer of {}", task.data_file_path);
        iceberg::Error::new(iceberg::ErrorKind::DataInvalid, message).with_source(source)
    })?;
    Ok(metadata.schema().clone())
}

/// Columns whose value is the same in the whole file and stands in the table's metadata.
fn constants(task: &FileScanTask) -> HashSet<i32> {
    let (Some(spec), Some(values)) = (&task.partition_spec, &task.partition) else {
        return HashSet::new();
    };
    let fields = spec.fields().iter().zip(values.iter());
    fields
        .filter(|(field, value)| field.transform == Transform::Identity && value.is_some())
        .map(|(field, _)| field.source_id)
        .collect()
}

/// The columns of a file and their ids. A file of something that knows nothing of Iceberg has
/// none: then their names or, where nobody has said what these mean, their places count.
fn column_ids<'a>(
    file: &'a ArrowSchema,
    names: Option<&'a NameMapping>,
) -> impl Iterator<Item = (&'a FieldRef, Option<i32>)> {
    let has_ids = file
        .fields()
        .first()
        .is_none_or(|first| id_of(first).is_some());
    file.fields().iter().zip(1..).map(move |(field, place)| {
        let id = match names {
            _ if has_ids => id_of(field),
            Some(names) => {
                let mut names = names.fields().iter();
                names
                    .find(|known| known.names().contains(field.name()))
                    .and_then(|known| known.field_id())
            }
            None => Some(place),
        };
        (field, id)
    })
}

fn id_of(field: &Field) -> Option<i32> {
    field
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)?
        .parse()
        .ok()
}

/// A column that is asked for and would be read as nulls, because names are known for columns only.
fn without_ids_inside<'a>(file: &'a ArrowSchema, task: &'a FileScanTask) -> Option<&'a str> {
    column_ids(file, task.name_mapping.as_deref())
        .filter(|(_, id)| id.is_some_and(|id| task.project_field_ids.contains(&id)))
        .find(|(column, _)| lacks_ids(column))
        .map(|(column, _)| column.name().as_str())
}

/// Whether a column has fields inside, none of which has an id.
fn lacks_ids(column: &Field) -> bool {
    match column.data_type() {
        DataType::Struct(fields) => fields.iter().all(|field| id_of(field).is_none()),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::Map(element, _) => {
            id_of(element).is_none() && (!element.data_type().is_nested() || lacks_ids(element))
        }
        _ => false,
    }
}

/// What a file with a column of type `file` has of the table's type `table`: the file's fields,
/// names and order, and for values the table's types.
fn narrowed(table: &Type, file: &DataType) -> Type {
    match (table, file) {
        (Type::Struct(known), DataType::Struct(fields)) => {
            let own = |field: &FieldRef| {
                let id = id_of(field)?;
                let ty = narrowed(&known.field_by_id(id)?.field_type, field.data_type());
                Some(NestedField::new(id, field.name(), ty, !field.is_nullable()).into())
            };
            let mut kept: Vec<NestedFieldRef> = fields.iter().filter_map(own).collect();
            if kept.is_empty() {
                kept.extend(fields.iter().find_map(stand_in));
            }
            match kept.is_empty() {
                true => table.clone(),
                false => Type::Struct(StructType::new(kept)),
            }
        }
        (
            Type::List(list),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _),
        ) => {
            let known = &list.element_field;
            let ty = narrowed(&known.field_type, element.data_type());
            let element = NestedField::list_element(known.id, ty, !element.is_nullable());
            Type::List(ListType::new(element.into()))
        }
        (Type::Map(map), DataType::Map(entries, _)) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return table.clone();
            };
            let [key, value] = &fields[..] else {
                return table.clone();
            };
            let (known_key, known_value) = (&map.key_field, &map.value_field);
            let key_type = narrowed(&known_key.field_type, key.data_type());
            let value_type = narrowed(&known_value.field_type, value.data_type());
            let is_required = !value.is_nullable();
            Type::Map(MapType::new(
                NestedField::map_key_element(known_key.id, key_type).into(),
                NestedField::map_value_element(known_value.id, value_type, is_required).into(),
            ))
        }
        _ => table.clone(),
    }
}

/// Of a struct that has none of the table's fields (any more), one other is read, because only
/// fields tell where the struct itself is null.
fn stand_in(field: &FieldRef) -> Option<NestedFieldRef> {
    let ty = arrow_type_to_type(field.data_type()).ok()?;
    let id = id_of(field)?;
    Some(NestedField::new(id, field.name(), ty, !field.is_nullable()).into())
}
