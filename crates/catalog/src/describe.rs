//! What tables there are, and what is in them.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use iceberg::spec::{NestedField, PrimitiveType, Type};
use rat_types::{Layer, NamespaceName, TableIdent};

use crate::Error;
use crate::catalog::{Catalog, LoadedTable};

/// Tables that are looked at at the same time.
const CONCURRENCY: usize = 8;

/// A table, as everybody sees it at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSummary {
    /// The table.
    pub ident: TableIdent,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Rows. Where equality deletes apply, which only reading the data could resolve, the rows
    /// that they delete are counted.
    pub row_count: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// Data files.
    pub file_count: u64,
    /// Head of `main`; `None` for a table that was never written.
    pub snapshot_id: Option<i64>,
    /// When `main` last changed, or when the table was created.
    pub updated_at: DateTime<Utc>,
    /// Folder of the table.
    pub location: String,
    /// Current metadata file.
    pub metadata_location: String,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type as SQL writes it, for example `DECIMAL(15, 2)`.
    pub data_type: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Comment in the schema.
    pub comment: Option<String>,
}

impl Catalog {
    /// Names of the tables, sorted: of a namespace, of a layer, of both or all. Tables that a run
    /// created and that are not published are not among them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list_tables(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<TableIdent>, Error> {
        self.tables().list(namespace, layer).await
    }

    /// What is in a table.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], or a file or the database fails.
    pub async fn table_summary(&self, ident: &TableIdent) -> Result<TableSummary, Error> {
        let table = self.find_published(ident).await?;
        self.summarize(table.ok_or_else(|| Error::no_table(ident))?)
            .await
    }

    /// [`Self::table_summary`] of many tables, in the order of their names. One damaged table does
    /// not hide the others.
    ///
    /// # Errors
    /// The database fails.
    pub async fn table_summaries(
        &self,
        namespace: Option<&NamespaceName>,
        layer: Option<Layer>,
    ) -> Result<Vec<(TableIdent, Result<TableSummary, Error>)>, Error> {
        let tables = self.list_tables(namespace, layer).await?;
        let summaries = stream::iter(tables).map(|ident| async move {
            let summary = self.table_summary(&ident).await;
            (ident, summary)
        });
        // One that was dropped since the list was made is not there.
        let summaries = summaries.buffered(CONCURRENCY).filter(|(_, summary)| {
            let is_gone = matches!(summary, Err(Error::NoSuchTable { .. }));
            std::future::ready(!is_gone)
        });
        Ok(summaries.collect().await)
    }

    async fn summarize(&self, table: LoadedTable) -> Result<TableSummary, Error> {
        let metadata = table.metadata();
        let snapshot = metadata.current_snapshot();
        let totals = match snapshot {
            Some(snapshot) => self.totals(metadata, &table.ident, snapshot).await?,
            None => rat_iceberg::snapshot::Totals::default(),
        };
        let updated_ms = snapshot
            .map(|snapshot| snapshot.timestamp_ms())
            .or_else(|| {
                metadata
                    .metadata_log()
                    .first()
                    .map(|entry| entry.timestamp_ms)
            })
            .unwrap_or(metadata.last_updated_ms());
        Ok(TableSummary {
            columns: metadata
                .current_schema()
                .as_struct()
                .fields()
                .iter()
                .map(|f| column(f))
                .collect(),
            row_count: totals.records.saturating_sub(totals.position_deletes),
            size_bytes: totals.size_bytes,
            file_count: totals.data_files,
            snapshot_id: snapshot.map(|snapshot| snapshot.snapshot_id()),
            updated_at: DateTime::from_timestamp_millis(updated_ms).unwrap_or_default(),
            location: metadata.location().to_owned(),
            metadata_location: table.location.clone(),
            ident: table.ident,
        })
    }
}

fn column(field: &NestedField) -> Column {
    Column {
        name: field.name.clone(),
        data_type: sql_type(&field.field_type),
        nullable: !field.required,
        comment: field.doc.clone(),
    }
}

fn sql_type(data_type: &Type) -> String {
    match data_type {
        Type::Primitive(primitive) => primitive_type(primitive),
        Type::List(list) => format!("ARRAY<{}>", sql_type(&list.element_field.field_type)),
        Type::Map(map) => format!(
            "MAP<{}, {}>",
            sql_type(&map.key_field.field_type),
            sql_type(&map.value_field.field_type)
        ),
        Type::Struct(fields) => {
            let fields: Vec<String> = fields
                .fields()
                .iter()
                .map(|field| format!("{} {}", field.name, sql_type(&field.field_type)))
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
    }
}

fn primitive_type(primitive: &PrimitiveType) -> String {
    let name = match primitive {
        PrimitiveType::Boolean => "BOOLEAN",
        PrimitiveType::Int => "INTEGER",
        PrimitiveType::Long => "BIGINT",
        PrimitiveType::Float => "REAL",
        PrimitiveType::Double => "DOUBLE",
        PrimitiveType::Date => "DATE",
        PrimitiveType::Time => "TIME",
        PrimitiveType::Timestamp => "TIMESTAMP",
        PrimitiveType::Timestamptz => "TIMESTAMP WITH TIME ZONE",
        PrimitiveType::TimestampNs => "TIMESTAMP(9)",
        PrimitiveType::TimestamptzNs => "TIMESTAMP(9) WITH TIME ZONE",
        PrimitiveType::String => "VARCHAR",
        PrimitiveType::Uuid => "UUID",
        PrimitiveType::Binary => "VARBINARY",
        PrimitiveType::Decimal { precision, scale } => {
            return format!("DECIMAL({precision}, {scale})");
        }
        PrimitiveType::Fixed(length) => return format!("BINARY({length})"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> String {
        sql_type(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn types_are_written_as_in_sql() {
        assert_eq!(written("\"long\""), "BIGINT");
        assert_eq!(written("\"decimal(15, 2)\""), "DECIMAL(15, 2)");
        assert_eq!(written("\"timestamptz\""), "TIMESTAMP WITH TIME ZONE");
        assert_eq!(written("\"fixed[16]\""), "BINARY(16)");
        let nested = r#"{"type": "struct", "fields": [
            {"id": 1, "name": "tags", "required": false, "type":
                {"type": "list", "element-id": 2, "element-required": false, "element": "string"}},
            {"id": 3, "name": "counts", "required": false, "type":
                {"type": "map", "key-id": 4, "key": "string", "value-id": 5,
                 "value-required": false, "value": "int"}}]}"#;
        assert_eq!(
            written(nested),
            "STRUCT<tags ARRAY<VARCHAR>, counts MAP<VARCHAR, INTEGER>>"
        );
    }
}
