//! The eight tables of TPC-H: their columns, their files, their rows.

use std::io::Write;

use arrow::datatypes::{DataType, Field, Schema};
use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

/// In what a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// Parquet.
    Parquet,
}

/// One of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, which is also that of its landing zone.
    pub name: &'static str,
    /// In what it is written.
    pub format: FileFormat,
    /// Number of files.
    pub parts: u32,
}

/// The tables, small ones first.
pub const TABLES: [Table; 8] = [
    Table::new("region", FileFormat::Csv, 1),
    Table::new("nation", FileFormat::Csv, 1),
    Table::new("supplier", FileFormat::Csv, 1),
    Table::new("customer", FileFormat::Csv, 1),
    Table::new("part", FileFormat::Parquet, 1),
    Table::new("partsupp", FileFormat::Csv, 1),
    Table::new("orders", FileFormat::Parquet, 4),
    Table::new("lineitem", FileFormat::Csv, 4),
];

/// Appends the next row, with its line feed, to the buffer; `false` when there is none.
pub(super) type NextRow = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

macro_rules! rows {
    ($generator:ident, $csv:ident, $scale:expr, $part:expr, $parts:expr) => {{
        let mut rows = $generator::new($scale, $part, $parts).iter();
        let next = move |buffer: &mut Vec<u8>| match rows.next() {
            // Writing to a vector cannot fail.
            Some(row) => writeln!(buffer, "{}", $csv::new(row)).is_ok(),
            None => false,
        };
        ($csv::header(), Box::new(next) as NextRow)
    }};
}

impl Table {
    const fn new(name: &'static str, format: FileFormat, parts: u32) -> Self {
        Self {
            name,
            format,
            parts,
        }
    }

    /// The rows of part `part` (from 1) of `parts`, as CSV: the header line and what gives the
    /// next row.
    pub(super) fn rows(&self, scale: f64, part: i32, parts: i32) -> (&'static str, NextRow) {
        match self.name {
            "region" => rows!(RegionGenerator, RegionCsv, scale, part, parts),
            "nation" => rows!(NationGenerator, NationCsv, scale, part, parts),
            "supplier" => rows!(SupplierGenerator, SupplierCsv, scale, part, parts),
            "customer" => rows!(CustomerGenerator, CustomerCsv, scale, part, parts),
            "part" => rows!(PartGenerator, PartCsv, scale, part, parts),
            "partsupp" => rows!(PartSuppGenerator, PartSuppCsv, scale, part, parts),
            "orders" => rows!(OrderGenerator, OrderCsv, scale, part, parts),
            _ => rows!(LineItemGenerator, LineItemCsv, scale, part, parts),
        }
    }

    /// How many rows the table has; for lineitem about as many.
    pub(super) fn estimated_rows(&self, scale: f64) -> u64 {
        let rows = match self.name {
            "region" => 5,
            "nation" => 25,
            "supplier" => SupplierGenerator::calculate_row_count(scale, 1, 1),
            "customer" => CustomerGenerator::calculate_row_count(scale, 1, 1),
            "part" => PartGenerator::calculate_row_count(scale, 1, 1),
            "partsupp" => 4 * PartGenerator::calculate_row_count(scale, 1, 1),
            "orders" => OrderGenerator::calculate_row_count(scale, 1, 1),
            _ => 4 * OrderGenerator::calculate_row_count(scale, 1, 1),
        };
        u64::try_from(rows).unwrap_or(0)
    }

    /// Columns of the tables that are written as Parquet, in the order of their CSV.
    pub(super) fn schema(&self) -> Schema {
        let money = DataType::Decimal128(15, 2);
        let columns: Vec<(&str, DataType)> = match self.name {
            "orders" => vec![
                ("o_orderkey", DataType::Int64),
                ("o_custkey", DataType::Int64),
                ("o_orderstatus", DataType::Utf8),
                ("o_totalprice", money),
                ("o_orderdate", DataType::Date32),
                ("o_orderpriority", DataType::Utf8),
                ("o_clerk", DataType::Utf8),
                ("o_shippriority", DataType::Int32),
                ("o_comment", DataType::Utf8),
            ],
            "part" => vec![
                ("p_partkey", DataType::Int64),
                ("p_name", DataType::Utf8),
                ("p_mfgr", DataType::Utf8),
                ("p_brand", DataType::Utf8),
                ("p_type", DataType::Utf8),
                ("p_size", DataType::Int32),
                ("p_container", DataType::Utf8),
                ("p_retailprice", money),
                ("p_comment", DataType::Utf8),
            ],
            _ => Vec::new(),
        };
        let field = |(name, data_type): (&str, DataType)| Field::new(name, data_type, false);
        Schema::new(columns.into_iter().map(field).collect::<Vec<_>>())
    }

    /// Names of the table's files.
    pub(super) fn files(&self) -> Vec<String> {
        let extension = match self.format {
            FileFormat::Csv => "csv",
            FileFormat::Parquet => "parquet",
        };
        match self.parts {
            1 => vec![format!("{}.{extension}", self.name)],
            parts => (1..=parts)
                .map(|part| format!("{}-{part}.{extension}", self.name))
                .collect(),
        }
    }
}
