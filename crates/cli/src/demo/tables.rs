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
    /// Parquet, in so many files.
    Parquet {
        /// Number of files.
        parts: u32,
    },
}

/// One of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, which is also that of its landing zone.
    pub name: &'static str,
    /// In what it is written.
    pub format: FileFormat,
}

/// The tables, small ones first.
pub const TABLES: [Table; 8] = [
    Table {
        name: "region",
        format: FileFormat::Csv,
    },
    Table {
        name: "nation",
        format: FileFormat::Csv,
    },
    Table {
        name: "supplier",
        format: FileFormat::Csv,
    },
    Table {
        name: "customer",
        format: FileFormat::Csv,
    },
    Table {
        name: "part",
        format: FileFormat::Csv,
    },
    Table {
        name: "partsupp",
        format: FileFormat::Csv,
    },
    Table {
        name: "orders",
        format: FileFormat::Parquet { parts: 4 },
    },
    Table {
        name: "lineitem",
        format: FileFormat::Parquet { parts: 4 },
    },
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
            "lineitem" => vec![
                ("l_orderkey", DataType::Int64),
                ("l_partkey", DataType::Int64),
                ("l_suppkey", DataType::Int64),
                ("l_linenumber", DataType::Int32),
                ("l_quantity", money.clone()),
                ("l_extendedprice", money.clone()),
                ("l_discount", money.clone()),
                ("l_tax", money),
                ("l_returnflag", DataType::Utf8),
                ("l_linestatus", DataType::Utf8),
                ("l_shipdate", DataType::Date32),
                ("l_commitdate", DataType::Date32),
                ("l_receiptdate", DataType::Date32),
                ("l_shipinstruct", DataType::Utf8),
                ("l_shipmode", DataType::Utf8),
                ("l_comment", DataType::Utf8),
            ],
            _ => Vec::new(),
        };
        let field = |(name, data_type): (&str, DataType)| Field::new(name, data_type, false);
        Schema::new(columns.into_iter().map(field).collect::<Vec<_>>())
    }

    /// Names of the table's files.
    pub(super) fn files(&self) -> Vec<String> {
        match self.format {
            FileFormat::Csv => vec![format!("{}.csv", self.name)],
            FileFormat::Parquet { parts } => (1..=parts)
                .map(|part| format!("{}-{part}.parquet", self.name))
                .collect(),
        }
    }
}
