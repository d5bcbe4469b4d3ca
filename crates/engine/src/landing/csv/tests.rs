use std::io::Write as _;
use std::path::Path;

use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider as _;
use expect_test::{Expect, expect};

use super::*;

/// Removes its files when dropped.
struct Zone {
    _folder: tempfile::TempDir,
}

impl Zone {
    fn new(files: &[(&str, &str)]) -> (Self, Vec<SourceFile>) {
        let folder = tempfile::tempdir().unwrap();
        let sources = files
            .iter()
            .map(|(name, text)| write(folder.path(), name, text.as_bytes()));
        let sources = sources.collect();
        (Self { _folder: folder }, sources)
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> SourceFile {
    let path = folder.join(name);
    std::fs::File::create(&path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
    SourceFile::new(name.to_owned(), path, bytes.len() as u64)
}

fn options() -> CsvOptions {
    CsvOptions {
        header: true,
        sample: 100,
        ..CsvOptions::default()
    }
}

/// All rows of all files, in order of the files' sizes.
fn read(files: &[(&str, &str)], options: &CsvOptions) -> Result<Vec<RecordBatch>, String> {
    let (_zone, sources) = Zone::new(files);
    let table = open(sources, options, 1).map_err(|error| error.to_string())?;
    let mut batches = Vec::new();
    let all: Vec<usize> = (0..table.schema().fields().len()).collect();
    for file in table.files() {
        let mut sink = |batch| {
            batches.push(batch);
            true
        };
        file.read(&table.schema(), &all, 3, &mut sink)
            .map_err(|error| error.to_string())?;
    }
    Ok(batches)
}

fn rows(files: &[(&str, &str)], options: &CsvOptions, expected: &Expect) {
    let batches = read(files, options).unwrap();
    expected.assert_eq(&format!("{}\n", pretty_format_batches(&batches).unwrap()));
}

fn error(files: &[(&str, &str)], options: &CsvOptions) -> String {
    read(files, options).unwrap_err()
}

#[test]
fn types_are_inferred_and_empty_cells_are_null() {
    rows(
        &[(
            "a.csv",
            "\u{feff}id,name,price,day,seen\n1,Ann,1.5,2026-01-02,2026-01-02 03:04:05\n2,,,,\n",
        )],
        &options(),
        &expect![[r#"
            +----+------+-------+------------+---------------------+
            | id | name | price | day        | seen                |
            +----+------+-------+------------+---------------------+
            | 1  | Ann  | 1.5   | 2026-01-02 | 2026-01-02T03:04:05 |
            | 2  |      |       |            |                     |
            +----+------+-------+------------+---------------------+
        "#]],
    );
}

#[test]
fn moments_are_told_from_readings_of_a_clock() {
    let text = "a,b,c,d\n\
                2026-01-02T03:04:05+02:00,2026-01-02 03:04:05,2026-01-02T03:04:05Z,2026-01-02\n\
                2026-01-02T03:04:05.5Z,,2026-01-02T03:04:05,2026-01-02 03:04:05\n";
    rows(
        &[("a.csv", text)],
        &options(),
        &expect![[r#"
            +--------------------------+---------------------+----------------------+---------------------+
            | a                        | b                   | c                    | d                   |
            +--------------------------+---------------------+----------------------+---------------------+
            | 2026-01-02T01:04:05Z     | 2026-01-02T03:04:05 | 2026-01-02T03:04:05Z | 2026-01-02T00:00:00 |
            | 2026-01-02T03:04:05.500Z |                     | 2026-01-02T03:04:05  | 2026-01-02T03:04:05 |
            +--------------------------+---------------------+----------------------+---------------------+
        "#]],
    );
    let files = [
        ("a.csv", "t\n2026-01-02T03:04:05Z\n"),
        ("b.csv", "t\n2026-01-02T03:04:05\n"),
    ];
    let message = error(&files, &options());
    assert!(message.contains("declare it with types"), "{message}");
}

#[test]
fn batches_have_fewer_records_where_they_are_large() {
    let line = format!("{},1\n", "x".repeat(1 << 20));
    let (_zone, files) = Zone::new(&[("a.csv", &format!("t,n\n{}", line.repeat(60)))]);
    let table = open(files, &options(), 1).unwrap();
    let mut sizes = Vec::new();
    for file in table.files() {
        let mut sink = |batch: RecordBatch| {
            sizes.push(batch.num_rows());
            true
        };
        file.read(&table.schema(), &[0, 1], 8192, &mut sink)
            .unwrap();
    }
    assert_eq!(sizes.iter().sum::<usize>(), 60);
    assert!(sizes.iter().all(|rows| *rows < 20), "{sizes:?}");
}

#[test]
fn a_first_record_with_very_many_fields_is_refused() {
    for text in [
        ",".repeat(20_000),
        format!("\n\n{}", ",".repeat(20_000)),
        "\"a\",".repeat(20_000),
    ] {
        let message = error(&[("a.csv", &text)], &options());
        assert!(message.contains("more than 10000 fields"), "{message}");
    }
}

#[test]
fn columns_of_several_files_are_matched_by_name() {
    rows(
        &[
            ("a.csv", "id,name\n1,Ann\n22,Bea\n"),
            ("b.csv", "name,id\nCid,3.5\n"),
        ],
        &options(),
        &expect![[r#"
            +------+------+
            | id   | name |
            +------+------+
            | 1.0  | Ann  |
            | 22.0 | Bea  |
            | 3.5  | Cid  |
            +------+------+
        "#]],
    );
}

#[test]
fn files_with_other_columns_are_refused_unless_asked_for() {
    let files = [("a.csv", "id,name\n1,Ann\n22,Bea\n"), ("b.csv", "id\n3\n")];
    assert_eq!(
        error(&files, &options()),
        "b.csv, line 1: the file has other columns than expected (id, name); missing: name; union_by_name => true reads missing columns as NULL"
    );
    rows(
        &files,
        &CsvOptions {
            union_by_name: true,
            ..options()
        },
        &expect![[r#"
            +----+------+
            | id | name |
            +----+------+
            | 1  | Ann  |
            | 22 | Bea  |
            | 3  |      |
            +----+------+
        "#]],
    );
}

#[test]
fn declared_columns_must_be_those_of_the_header() {
    let columns = vec![
        ("id".to_owned(), DataType::Int64),
        ("x".to_owned(), DataType::Utf8),
    ];
    let options = CsvOptions {
        columns: Some(columns),
        ..options()
    };
    assert!(error(&[("a.csv", "id,y\n1,2\n")], &options).contains("not expected: y"));
    assert_eq!(
        read(&[("a.csv", "x,id\n2,1\n")], &options).unwrap()[0].num_rows(),
        1
    );
}

#[test]
fn a_wrong_value_is_named_with_its_file_line_and_column() {
    let columns = vec![
        ("id".to_owned(), DataType::Int64),
        ("n".to_owned(), DataType::Int64),
    ];
    let options = CsvOptions {
        columns: Some(columns),
        ..options()
    };
    let text = "id,n\n1,1\n\n2,2\n3,3\n4,4\n5,oops\n";
    assert_eq!(
        error(&[("a.csv", text)], &options),
        "a.csv, line 7: error while parsing value 'oops' as type 'Int64' for column \"n\". Row data: '[5,oops]'"
    );
}

#[test]
fn a_malformed_record_is_named_with_its_file_and_line() {
    let options = CsvOptions {
        all_text: true,
        ..options()
    };
    assert_eq!(
        error(&[("a.csv", "id,n\n1,\"two\nlines\"\n2,x,y\n")], &options),
        "a.csv, line 4: incorrect number of fields, expected 2 got 3"
    );
    let options = CsvOptions {
        all_text: false,
        ..options
    };
    assert_eq!(
        error(&[("a.csv", "id,n\n1,2\n2\n")], &options),
        "a.csv, line 3: encountered unequal lengths between records on CSV file. Expected 2 records, found 1 records"
    );
}

#[test]
fn text_that_is_not_utf_8_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a.csv", b"id,n\n1,a\n2,\xff\n");
    let message = open(vec![file], &options(), 1).unwrap_err().to_string();
    assert!(message.starts_with("a.csv, line 3: "), "{message}");
}

#[test]
fn a_quote_that_swallows_rows_is_named_with_its_line() {
    let texts = [
        (
            "id,s\n1,x\n2,\"y\n3,z\n4,w\n",
            "a.csv, line 3: a quote opens here that is never closed",
        ),
        (
            "id,s\n1,x\n2,\"a\"b\n3,z\n",
            "a.csv, line 3: text follows the closing quote",
        ),
    ];
    for (text, expected) in texts {
        for sample in [1, 100] {
            let options = CsvOptions {
                sample,
                ..options()
            };
            let message = error(&[("a.csv", text)], &options);
            assert!(message.starts_with(expected), "{message}");
        }
    }
    let mut text = "id,s\n".to_owned();
    for row in 0..100_000 {
        let stray = if row == 50_000 { "\"" } else { "" };
        text.push_str(&format!("{row},{stray}word\n"));
    }
    let message = error(&[("a.csv", &text)], &options());
    assert!(message.starts_with("a.csv, line 50002: "), "{message}");
}

#[test]
fn a_number_that_would_lose_digits_is_named_with_its_line_and_column() {
    let columns = vec![
        ("id".to_owned(), DataType::Int64),
        ("price".to_owned(), DataType::Decimal128(10, 2)),
        ("weight".to_owned(), DataType::Float64),
    ];
    let options = CsvOptions {
        columns: Some(columns),
        ..options()
    };
    let header = "id,price,weight\n1,1.23,1\n2,,\n\n3,-1.5e0,1e3\n4,4,4\n";
    for (row, expected) in [
        (
            "5,1.239,0\n",
            "value \"1.239\" for column \"price\" of type Decimal128(10, 2) has more decimal places than the column",
        ),
        (
            "5,1e9,0\n",
            "value \"1e9\" for column \"price\" of type Decimal128(10, 2) is too large for the column",
        ),
        (
            "5,1,1e400\n",
            "value \"1e400\" for column \"weight\" of type Float64 is too large for the column",
        ),
    ] {
        let text = format!("{header}{row}");
        let expected = format!("a.csv, line 7: {expected}");
        assert_eq!(error(&[("a.csv", &text)], &options), expected);
    }
    rows(
        &[("a.csv", header)],
        &options,
        &expect![[r#"
            +----+-------+--------+
            | id | price | weight |
            +----+-------+--------+
            | 1  | 1.23  | 1.0    |
            | 2  |       |        |
            | 3  | -1.50 | 1000.0 |
            | 4  | 4.00  | 4.0    |
            +----+-------+--------+
        "#]],
    );
}

#[test]
fn odd_headers_are_refused() {
    assert!(error(&[("a.csv", "id,id\n1,2\n")], &options()).contains("stands twice"));
    assert!(error(&[("a.csv", "id,\n1,2\n")], &options()).contains("no name"));
    assert!(error(&[("a.csv", "")], &options()).contains("empty"));
}

#[test]
fn a_file_with_nothing_but_a_header_has_no_rows() {
    assert_eq!(
        read(&[("a.csv", "id,name\n")], &options()).unwrap().len(),
        0
    );
}

#[test]
fn options_change_how_a_file_is_read() {
    let columns = vec![
        ("a".to_owned(), DataType::Utf8),
        ("b".to_owned(), DataType::Utf8),
    ];
    rows(
        &[("a.csv", "# comment\n1|NA\n2|x\n")],
        &CsvOptions {
            header: false,
            delimiter: Some(b'|'),
            comment: Some(b'#'),
            null_regex: Some(Regex::new("^(?:NA)?$").unwrap()),
            columns: Some(columns),
            ..options()
        },
        &expect![[r#"
            +---+---+
            | a | b |
            +---+---+
            | 1 |   |
            | 2 | x |
            +---+---+
        "#]],
    );
    assert_eq!(
        read(&[("a.tsv", "a\tb\n1\t2\n")], &options()).unwrap()[0].num_columns(),
        2
    );
}

#[test]
fn no_column_at_all_still_counts_rows() {
    let (_zone, sources) = Zone::new(&[("a.csv", "id\n1\n2\n")]);
    let table = open(sources, &options(), 1).unwrap();
    let mut count = 0;
    for file in table.files() {
        let mut sink = |batch: RecordBatch| {
            count += batch.num_rows();
            true
        };
        file.read(&table.schema(), &[], 100, &mut sink).unwrap();
    }
    assert_eq!(count, 2);
}
